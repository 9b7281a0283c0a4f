//! A delivery while it is put together: attempts that spans show, copies that were made of the record, what the group committed.

use crate::flow::{Commit, Delivery, DeliveryState, Joined};
use crate::position::Position;
use crate::record::Fate;
use crate::span::{Span, SpanStatus};
use crate::time::Timestamp;

/// One process span.
pub struct Attempt {
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    /// What went wrong; `None` where nothing did.
    pub error: Option<String>,
}

impl Attempt {
    /// Of a process span.
    pub fn of(span: &Span) -> Attempt {
        let error = span.failed().then(|| {
            let SpanStatus::Error(says) = &span.status else {
                return String::new();
            };
            if says.is_empty() { "failed".to_owned() } else { says.clone() }
        });
        Attempt { started_at: span.started_at, ended_at: span.ended_at.max(span.started_at), error }
    }
}

/// One retry copy or dead letter.
pub struct Copied {
    pub at: Timestamp,
    pub fate: Fate,
    /// How many attempts it tells of.
    pub attempts: Option<u32>,
    pub error: Option<String>,
}

/// A delivery while it is put together.
pub struct Draft {
    position: Position,
    event_id: Option<String>,
    event_type: Option<String>,
    pub consumer: String,
    pub is_group: bool,
    pub service: Option<String>,
    pub attempts: Vec<Attempt>,
    pub copies: Vec<Copied>,
    /// What the group's commits tell.
    pub commit: Option<Commit>,
}

impl Draft {
    /// Of a record that is no copy, and a consumer.
    pub fn new(first: &Joined, consumer: String, is_group: bool) -> Draft {
        let record = first.held.entry.as_record().expect("only records are first of a chain");
        Draft {
            position: record.position.clone(),
            event_id: record.event.id.clone(),
            event_type: record.event.event_type.clone(),
            consumer,
            is_group,
            service: None,
            attempts: Vec::new(),
            copies: Vec::new(),
            commit: None,
        }
    }

    /// The delivery, as far as all that is known of it goes.
    pub fn finish(mut self) -> Delivery {
        self.attempts.sort_by_key(|attempt| (attempt.started_at, attempt.ended_at));
        self.copies.sort_by_key(|copied| copied.at);
        let state = self.state();
        let last_copy = self.copies.last();
        let error = last_copy
            .and_then(|copied| copied.error.clone())
            .or_else(|| self.attempts.iter().rev().find_map(|attempt| attempt.error.clone()));
        let ended_at =
            self.attempts.iter().map(|attempt| attempt.ended_at).chain(last_copy.map(|copied| copied.at)).max();
        Delivery {
            state,
            attempts: self.count(),
            started_at: self.attempts.first().map(|attempt| attempt.started_at),
            ended_at,
            error: (state != DeliveryState::Processed).then_some(error).flatten(),
            position: self.position,
            event_id: self.event_id,
            event_type: self.event_type,
            consumer: self.consumer,
            is_group: self.is_group,
            service: self.service,
            commit: self.commit,
        }
    }

    /// How it stands: by the last attempt or copy; where there is neither, by the commit.
    fn state(&self) -> DeliveryState {
        let last_copy = self.copies.last();
        let Some(attempt) = self.attempts.last() else {
            return match (last_copy.map(|copied| copied.fate), &self.commit) {
                (Some(Fate::DeadLetter), _) => DeliveryState::DeadLettered,
                (Some(Fate::Retry), _) => DeliveryState::Retrying,
                (None, Some(commit)) => commit.stands,
                (None, None) => DeliveryState::Failed,
            };
        };
        let tried_since = last_copy.is_none_or(|copied| attempt.started_at > copied.at);
        match last_copy.map(|copied| copied.fate) {
            _ if tried_since && attempt.error.is_none() => DeliveryState::Processed,
            Some(Fate::DeadLetter) => DeliveryState::DeadLettered,
            Some(Fate::Retry) if !tried_since => DeliveryState::Retrying,
            // A group that has not committed past what failed reads it again.
            _ if self.waits_since(attempt.ended_at) => DeliveryState::Retrying,
            _ => DeliveryState::Failed,
        }
    }

    fn waits_since(&self, at: Timestamp) -> bool {
        let waits = |commit: &Commit| matches!(commit.stands, DeliveryState::Waiting(_)) && commit.looked_at > at;
        self.commit.as_ref().is_some_and(waits)
    }

    /// How many attempts are known.
    fn count(&self) -> u32 {
        if self.attempts.is_empty() && self.copies.is_empty() {
            return 0;
        }
        let told = self.copies.iter().filter_map(|copied| copied.attempts).max().unwrap_or(0);
        let retry_copies = self.copies.iter().filter(|copied| copied.fate == Fate::Retry).count();
        let seen = u32::try_from(self.attempts.len().max(retry_copies)).unwrap_or(u32::MAX);
        // What a copy tells may count the attempt that is still to come; what spans show was really done.
        if self.attempts.is_empty() { told.max(seen).max(1) } else { seen.max(1) }
    }
}
