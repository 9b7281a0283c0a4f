//! What the journal's lines say of a redrive: what people want of it, and what the collector did. None of them holds a payload.
//!
//! ```text
//! web:        Asked, Letters, Letters, …          Paused, Resumed, Cancelled
//! collector:                          Sending, Told, Sending, Told, …   Paused   Closed
//! ```

use serde::{Deserialize, Serialize};

use crate::dead_letters::dismissal::SaidPosition;
use crate::engine::StoreError;
use crate::journal::{Journal, LineKind};

/// How many messages one line names: with the longest topics and reasons they fit into a line of the journal.
pub const MESSAGES_PER_LINE: usize = 64;

/// The longest reason in a line, in characters.
pub const WHY_CHARS_MAX: usize = 170;

/// How lines of redrives are told from others: [`crate::journal::Line::about`] begins so, and the redrive's id follows.
const ABOUT: &str = "redrive ";

/// What somebody wants to be sent, and how.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// How many dead letters it is about; they are named by the lines that follow.
    pub messages: usize,
    /// Which ones were asked for, as an address has it; empty for all that were open.
    pub filter: String,
    /// To this topic; `None` for where each came from.
    pub to: Option<String>,
    /// How many a second at most.
    pub rate: u32,
    /// Also what was redriven as often as is allowed, or was sent back already.
    pub overrides: bool,
    /// After so many of them died again it pauses.
    pub stop_after: u32,
    /// The groups that may get messages again.
    pub again: Vec<String>,
    /// Whether messages may be sent of which nobody knows who gets them again.
    pub again_unknown: bool,
    /// The SHA-256 of its one message's value, where somebody edited that; the value is in a file of its own.
    #[serde(default)]
    pub edited: Option<String>,
}

/// One line.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "camelCase")]
pub enum Said {
    /// Somebody wants dead letters to be sent back.
    Asked(Asked),
    /// Some of them, in the order in which they are sent.
    Letters {
        /// Where they are.
        #[serde(rename = "positions")]
        letters: Letters,
    },
    /// Nothing more is sent until it is resumed.
    Paused {
        /// Why; empty where somebody just wanted it.
        why: String,
    },
    /// It goes on.
    Resumed,
    /// Nothing more is sent, ever.
    Cancelled,
    /// These are sent next.
    Sending {
        /// Which, and where to.
        messages: Vec<Sending>,
    },
    /// What became of some.
    Told {
        /// Which, and what.
        messages: Vec<Told>,
    },
    /// Nothing more is sent: the line for the audit, in the name of who asked for it.
    Closed {
        /// Which ones were asked for.
        what: String,
        /// The topics that they lie on.
        from: Vec<String>,
        /// The topics that they were sent to.
        to: Vec<String>,
        /// What came of it, in words.
        result: String,
    },
}

/// Positions of dead letters.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Letters(pub(super) Vec<SaidPosition>);

/// That one message is sent next.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sending {
    /// Which one of the redrive, from 0.
    pub number: usize,
    /// To this topic.
    pub topic: String,
    /// To this partition.
    pub partition: i32,
    /// Where the partition ended before: what is sent lies there or behind.
    pub end: i64,
    /// The consumer group that is to process it now; `None` where nothing tells it.
    pub group: Option<String>,
}

/// What became of one message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Which one of the redrive, from 0.
    pub number: usize,
    /// What.
    #[serde(flatten)]
    pub fate: Sent,
}

/// What became of a message that was to be sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "camelCase")]
pub enum Sent {
    /// It is at its target.
    There {
        /// The offset in the partition that was said before.
        offset: i64,
    },
    /// It was looked for, and isn't there: it is sent once more.
    NotThere,
    /// It was not sent.
    Refused {
        /// Why.
        why: String,
    },
    /// It may have been sent, and nothing can tell any more. It isn't sent again.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Said {
    /// Writes it down, durably.
    pub async fn append(&self, journal: &Journal, id: &str, by: &str) -> Result<(), StoreError> {
        let kind = match self {
            Said::Told { .. } => LineKind::Outcome,
            Said::Closed { .. } => LineKind::Audit,
            _ => LineKind::Intent,
        };
        journal.append(kind, &about(id), by, self).await.map(drop)
    }
}

/// What ties a redrive's lines together.
pub fn about(id: &str) -> String {
    format!("{ABOUT}{id}")
}

/// Whose line it is; `None` for one of something else.
pub(super) fn id_in(about: &str) -> Option<&str> {
    about.strip_prefix(ABOUT)
}

/// A reason as it stands in a line: without what moves a cursor, and not longer than [`WHY_CHARS_MAX`].
pub fn why(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(WHY_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::LINE_BYTES_MAX;

    #[test]
    fn the_longest_names_and_reasons_fit_into_the_journals_lines() {
        let fits = |said: &Said| assert!(serde_json::to_string(said).unwrap().len() + 500 < LINE_BYTES_MAX);
        let sending = |number| Sending {
            number,
            topic: "t".repeat(249),
            partition: 9,
            end: i64::MAX,
            group: Some("g".repeat(249)),
        };
        fits(&Said::Sending { messages: (0..MESSAGES_PER_LINE).map(sending).collect() });
        let told = |number| Told { number, fate: Sent::Unknown { why: why(&"𝄞\n".repeat(WHY_CHARS_MAX)) } };
        fits(&Said::Told { messages: (0..MESSAGES_PER_LINE).map(told).collect() });
    }
}
