//! What the journal says of alerts: how they stand, and what is to be told of them. Written on change only.

use serde::{Deserialize, Serialize};
use store::alert::{ALERTS_PER_NOTIFICATION, Alert, Notification, Outbox};
use store::journal::{Journal, LineKind};
use store::{StoreError, Timestamp};

use super::reading::Labels;

/// By whom these lines are.
const SILLAGE: &str = "sillage";

/// What ties the lines together that say how alerts stand.
const ABOUT: &str = "alerts";

/// How many bytes of alerts go into one line: a line takes 64 KiB, and the rest of it some.
const ALERTS_BYTES_MAX: usize = 48 * 1024;

/// How one alert stands, from now on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "change")]
pub enum Change {
    /// So.
    Stands {
        /// What it is about, without the rule's own labels.
        subject: Labels,
        /// How.
        alert: Alert,
    },
    /// It was pending, and isn't any more.
    Gone {
        /// Whose it was.
        rule: String,
        /// What it was about.
        subject: Labels,
    },
}

/// What a line of kind `Alert` says.
#[derive(Serialize, Deserialize)]
pub struct Said {
    /// What changed.
    pub changes: Vec<Change>,
}

impl Change {
    /// The rule, and what it is about.
    pub fn about(&self) -> (&str, &Labels) {
        match self {
            Change::Stands { subject, alert } => (&alert.name, subject),
            Change::Gone { rule, subject } => (rule, subject),
        }
    }
}

/// Writes how alerts stand, several to a line; gives the numbers of the lines.
pub async fn write_changes(journal: &Journal, changes: &[Change]) -> Result<Vec<u64>, StoreError> {
    let mut rest = changes;
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(fitting(rest, rest.len()));
        lines.push(journal.append(LineKind::Alert, ABOUT, SILLAGE, &Said { changes: now.to_vec() }).await?);
        rest = later;
    }
    Ok(lines)
}

/// Writes what a webhook is to be told, under an id that is never given again. The alerts that don't fit are counted. Gives the
/// number of the line.
pub async fn write_notification(journal: &Journal, notification: &Notification) -> Result<u64, StoreError> {
    static WRITTEN: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = WRITTEN.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let id = format!("msg_{:016x}{number:08x}", Timestamp::now().as_nanos());
    let mut told = notification.clone();
    told.alerts.truncate(fitting(&told.alerts, ALERTS_PER_NOTIFICATION));
    told.left_out += notification.alerts.len() - told.alerts.len();
    journal.append(LineKind::Outbox, &id, SILLAGE, &Outbox::Told(told)).await
}

/// How many of the first go into one line: at least one, at most `most`.
fn fitting<T: Serialize>(all: &[T], most: usize) -> usize {
    let mut bytes = 0;
    let fitting = all.iter().take(most).take_while(|one| {
        bytes += serde_json::to_string(one).map_or(ALERTS_BYTES_MAX, |text| text.len());
        bytes <= ALERTS_BYTES_MAX
    });
    fitting.count().max(1).min(all.len())
}
