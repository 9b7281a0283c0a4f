//! How a webhook stands now, as the collector reports it on the [`Board`](crate::Board). Nothing of it is a secret.

use crate::time::Timestamp;

/// A configured webhook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebhookStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Its format, as in the configuration.
    pub format: &'static str,
    /// Scheme, host and port of its address: the rest may be a secret.
    pub host: String,
    /// Whether it is told anything.
    pub state: WebhookState,
    /// When it last took something since the start; `None` where it didn't.
    pub succeeded_at: Option<Timestamp>,
    /// What went wrong at the last attempt; `None` where nothing did.
    pub error: Option<String>,
    /// How many attempts went well since the start.
    pub taken: u64,
    /// How many attempts failed since the start.
    pub failed: u64,
    /// How many notifications it was never told since the start: they were given up, or it wants no more.
    pub given_up: u64,
}

/// Whether a webhook is told anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WebhookState {
    /// It is.
    Healthy,
    /// It failed several times in a row, or asked for a rest: nothing is tried before this time.
    Open(Timestamp),
    /// Its receiver said 410: nothing is tried until it is configured otherwise.
    Disabled,
}

impl WebhookState {
    /// Its name in the JSON API.
    pub fn as_str(self) -> &'static str {
        match self {
            WebhookState::Healthy => "healthy",
            WebhookState::Open(_) => "open",
            WebhookState::Disabled => "disabled",
        }
    }
}
