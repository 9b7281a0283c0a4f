//! What an operator orders: a notification once more, or a test of a webhook. It is written down, and whoever sends sees it there.

use axum::Form;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use store::alert::Outbox;
use store::alert::deliveries::{new_id, test_notification};
use store::journal::LineKind;
use store::{StoreError, Timestamp};

use crate::door::Visitor;
use crate::page::{Frame, Problem};
use crate::state::AppState;

/// What is ordered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// The notification of an id, from the start of its schedule.
    Again {
        /// Its id.
        id: String,
        /// The number of the latest attempt that whoever orders it has seen; that which we have where they don't say.
        after: Option<u32>,
    },
    /// A test of a webhook: an alert that nothing is behind, or the end of one.
    Test {
        /// The webhook's name.
        webhook: String,
        /// Whether it begins.
        firing: bool,
    },
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// What was named isn't there.
    #[error("{0}")]
    Unknown(String),
    /// It can't be written down.
    #[error("it can't be written to the journal")]
    Store(#[from] StoreError),
}

/// Writes an order down, in the name of whoever gave it. Gives the notification's id.
pub async fn carry_out(state: &AppState, visitor: &Visitor, order: Order) -> Result<String, OrderError> {
    let who = visitor.name.as_deref().unwrap_or("operator");
    let (id, line) = match order {
        Order::Again { id, after } => {
            state.board.deliveries().catch_up(&state.journal).await?;
            let Some(delivery) = state.board.deliveries().of(&id) else {
                return Err(OrderError::Unknown(format!("no notification that is still held has the id `{id}`")));
            };
            (id, Outbox::Again { after: Some(after.unwrap_or_else(|| delivery.n_attempts())) })
        }
        Order::Test { webhook, firing } => {
            let webhooks = state.board.webhooks();
            if !webhooks.iter().any(|known| known.name == webhook) {
                let known: Vec<String> = webhooks.iter().map(|known| format!("`{}`", known.name)).collect();
                let known = if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
                return Err(OrderError::Unknown(format!("no [[webhook]] is called `{webhook}`: {known}")));
            }
            (new_id(), Outbox::Told(test_notification(&webhook, firing, Timestamp::now())))
        }
    };
    state.journal.append(LineKind::Outbox, &id, who, &line).await?;
    Ok(id)
}

/// What the page's forms send.
#[derive(Deserialize)]
pub struct Sent {
    #[serde(default)]
    again: Option<String>,
    /// With `again`: how many attempts the page showed.
    #[serde(default)]
    after: Option<u32>,
    #[serde(default)]
    test: Option<String>,
    #[serde(default)]
    end: Option<String>,
}

/// `POST /alerts/deliveries`.
pub async fn act(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    frame: Frame,
    Form(sent): Form<Sent>,
) -> Result<Response, Problem> {
    let order = match sent {
        Sent { again: Some(id), after, .. } => Order::Again { id, after },
        Sent { test: Some(webhook), .. } => Order::Test { webhook, firing: true },
        Sent { end: Some(webhook), .. } => Order::Test { webhook, firing: false },
        _ => return Err(wrong(&frame, StatusCode::BAD_REQUEST, "The form doesn't say what is to be sent.")),
    };
    match carry_out(&state, &visitor, order).await {
        Ok(id) => Ok(Redirect::to(frame.links.deliveries().with("id", &id).as_str()).into_response()),
        Err(OrderError::Unknown(says)) => Err(wrong(&frame, StatusCode::NOT_FOUND, &says)),
        Err(OrderError::Store(error)) => Err(error.into()),
    }
}

fn wrong(frame: &Frame, status: StatusCode, says: &str) -> Problem {
    Problem::new(status, "Nothing was sent").because(says).try_instead("All deliveries", frame.links.deliveries())
}
