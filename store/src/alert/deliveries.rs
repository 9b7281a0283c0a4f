//! What became of each notification: the journal's outbox lines, put together by notification.
//!
//! Here in memory, so that neither a page nor whoever sends has to read the file. Whoever needs it current lets it catch up:
//!
//! ```text
//! deliveries.catch_up(&journal).await?;  // reads the lines that are new
//! deliveries.waiting("ops")              // what has not ended, in the order in which it was told
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::task::spawn_blocking;

use super::{Alert, AlertState, Attempt, Ended, Gone, Notification, Outbox, Severity};
use crate::engine::StoreError;
use crate::journal::{Bookmark, Journal, Line, LineKind};
use crate::time::Timestamp;

/// How many notifications that have ended are held: what a person looks back at. The journal has all of them.
const ENDED_MAX: usize = 1_000;

/// How much of those that have ended is held, in bytes as the journal has them: a notification of 30 alerts takes 30 KiB.
const ENDED_BYTES_MAX: usize = 8 << 20;

/// How many attempts are held of one notification: its schedule twice over.
const ATTEMPTS_MAX: usize = 20;

/// A notification, and what became of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Delivery {
    /// The notification's id, the same at every attempt.
    pub id: String,
    /// The number of the journal's line that told it: later ones were told later.
    pub number: u64,
    /// When it was told.
    pub at: Timestamp,
    /// Who told it: `sillage`, or whoever tried the webhook.
    pub by: String,
    /// What is told.
    pub notification: Notification,
    /// The latest attempts, the oldest first, with when they were written down.
    pub attempts: Vec<(Timestamp, Attempt)>,
    /// How many attempts there were since it was told, or told again.
    pub tries: u32,
    /// When it was last told: later than [`Delivery::at`] where somebody wanted it once more.
    pub asked_at: Timestamp,
    /// How it ended, and when; `None` while it hasn't.
    pub ended: Option<(Timestamp, Ended)>,
    /// How much of the journal it takes.
    bytes: usize,
}

/// What a delivery is waiting for, or how it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliveryState {
    /// It wasn't tried yet.
    Waiting,
    /// It failed, and is tried again.
    Retrying,
    /// It ended.
    Ended(Ended),
}

impl DeliveryState {
    /// Its name in the JSON API.
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Waiting => "waiting",
            DeliveryState::Retrying => "retrying",
            DeliveryState::Ended(Ended::Delivered) => "delivered",
            DeliveryState::Ended(Ended::GaveUp) => "gaveUp",
            DeliveryState::Ended(Ended::Disabled) => "disabled",
        }
    }
}

impl Delivery {
    /// What it is waiting for, or how it ended.
    pub fn state(&self) -> DeliveryState {
        match self.ended {
            Some((_, ended)) => DeliveryState::Ended(ended),
            None if self.tries == 0 => DeliveryState::Waiting,
            None => DeliveryState::Retrying,
        }
    }

    /// When it is due by its schedule; `None` once it has ended.
    pub fn due(&self) -> Option<Timestamp> {
        if self.ended.is_some() {
            return None;
        }
        let next = self.attempts.last().filter(|_| self.tries > 0).and_then(|(_, attempt)| attempt.next_at.as_deref());
        Some(next.and_then(Timestamp::from_rfc3339).unwrap_or(self.asked_at))
    }

    /// How many attempts there were in all.
    pub fn n_attempts(&self) -> u32 {
        self.attempts.last().map_or(0, |(_, attempt)| attempt.number)
    }

    /// When it was last tried.
    pub fn tried_at(&self) -> Option<Timestamp> {
        self.attempts.last().map(|(at, _)| *at)
    }
}

/// All notifications that are held. Shared by whoever sends and whoever shows; a clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Deliveries {
    bookmark: Arc<Mutex<Bookmark>>,
    held: Arc<RwLock<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    by_number: BTreeMap<u64, Arc<Delivery>>,
    by_id: HashMap<String, u64>,
    /// What has not ended, by webhook.
    waiting: HashMap<String, BTreeSet<u64>>,
    /// What has ended, the oldest first.
    ended: BTreeSet<u64>,
    ended_bytes: usize,
    /// What each receiver was configured as when it said 410.
    gone: HashMap<String, String>,
}

impl Deliveries {
    /// Reads on in the journal, off the runtime's threads.
    pub async fn catch_up(&self, journal: &Journal) -> Result<(), StoreError> {
        let (deliveries, journal) = (self.clone(), journal.clone());
        let read = spawn_blocking(move || deliveries.read_on(&journal));
        read.await.map_err(|error| StoreError::Internal(error.to_string()))?
    }

    fn read_on(&self, journal: &Journal) -> Result<(), StoreError> {
        // Held over both, so that two who read on at once don't take lines twice or in another order.
        let mut bookmark = self.bookmark.lock();
        let lines = journal.read_on(&mut bookmark)?;
        let mut held = self.held.write();
        lines.iter().for_each(|line| held.take(line));
        Ok(())
    }

    /// What has not ended of a webhook, in the order in which it was told.
    pub fn waiting(&self, webhook: &str) -> Vec<Arc<Delivery>> {
        let held = self.held.read();
        let numbers = held.waiting.get(webhook).into_iter().flatten();
        numbers.filter_map(|number| held.by_number.get(number).cloned()).collect()
    }

    /// How much waits, by webhook; those too that are configured no more.
    pub fn waiting_by_webhook(&self) -> BTreeMap<String, usize> {
        let held = self.held.read();
        held.waiting
            .iter()
            .filter(|(_, numbers)| !numbers.is_empty())
            .map(|(name, all)| (name.clone(), all.len()))
            .collect()
    }

    /// The newest, told before a line of the journal (`u64::MAX` for all), that meet a condition.
    pub fn newest(&self, before: u64, most: usize, meets: impl Fn(&Delivery) -> bool) -> Vec<Arc<Delivery>> {
        let held = self.held.read();
        let newest = held.by_number.range(..before).rev().map(|(_, delivery)| delivery);
        newest.filter(|delivery| meets(delivery)).take(most).cloned().collect()
    }

    /// The one of an id.
    pub fn of(&self, id: &str) -> Option<Arc<Delivery>> {
        let held = self.held.read();
        held.by_number.get(held.by_id.get(id)?).cloned()
    }

    /// What a webhook was configured as when its receiver said 410; `None` where it didn't.
    pub fn gone(&self, webhook: &str) -> Option<String> {
        self.held.read().gone.get(webhook).cloned()
    }

    /// About how many bytes of memory all of it takes.
    pub fn bytes(&self) -> u64 {
        let held = self.held.read();
        held.by_number.values().map(|delivery| delivery.bytes as u64).sum()
    }
}

impl Held {
    fn take(&mut self, line: &Line) {
        if line.kind != LineKind::Outbox {
            return;
        }
        let bytes = line.says.to_string().len();
        match line.read::<Outbox>() {
            Some(Outbox::Told(notification)) => self.tell(line, notification, bytes),
            Some(Outbox::Attempted(attempt)) => self.change(&line.about, |delivery| {
                delivery.bytes += bytes;
                delivery.tries += 1;
                delivery.attempts.push((line.at, attempt));
                if delivery.attempts.len() > ATTEMPTS_MAX {
                    delivery.attempts.remove(0);
                }
            }),
            Some(Outbox::Ended(ended)) => self.change(&line.about, |delivery| delivery.ended = Some((line.at, ended))),
            Some(Outbox::Again { after }) => self.change(&line.about, |delivery| {
                if after.is_none_or(|after| after >= delivery.n_attempts()) {
                    delivery.ended = None;
                    delivery.tries = 0;
                    delivery.asked_at = line.at;
                }
            }),
            Some(Outbox::Gone(Gone { webhook, target })) => drop(self.gone.insert(webhook, target)),
            None => {}
        }
    }

    fn tell(&mut self, line: &Line, notification: Notification, bytes: usize) {
        // An id names one notification; told twice, it is the same one.
        if self.by_id.contains_key(&line.about) {
            return;
        }
        self.by_id.insert(line.about.clone(), line.number);
        self.waiting.entry(notification.webhook.clone()).or_default().insert(line.number);
        let delivery = Delivery {
            id: line.about.clone(),
            number: line.number,
            at: line.at,
            by: line.by.clone(),
            notification,
            attempts: Vec::new(),
            tries: 0,
            asked_at: line.at,
            ended: None,
            bytes,
        };
        self.by_number.insert(line.number, Arc::new(delivery));
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Delivery)) {
        let Some(number) = self.by_id.get(id).copied() else { return };
        let Some(delivery) = self.by_number.get_mut(&number) else { return };
        let before = delivery.bytes;
        change(Arc::make_mut(delivery));
        let (bytes, has_ended) = (delivery.bytes, delivery.ended.is_some());
        let waiting = self.waiting.entry(delivery.notification.webhook.clone()).or_default();
        if self.ended.remove(&number) {
            self.ended_bytes -= before;
        }
        if has_ended {
            waiting.remove(&number);
            self.ended.insert(number);
            self.ended_bytes += bytes;
        } else {
            waiting.insert(number);
        }
        self.let_go();
    }

    /// Lets go of what ended longest ago, beyond the limits.
    fn let_go(&mut self) {
        while self.ended.len() > ENDED_MAX || self.ended_bytes > ENDED_BYTES_MAX {
            let Some(oldest) = self.ended.pop_first() else { return };
            if let Some(delivery) = self.by_number.remove(&oldest) {
                self.ended_bytes -= delivery.bytes;
                self.by_id.remove(&delivery.id);
            }
        }
    }
}

/// An id that no other notification has, as Standard Webhooks write theirs.
pub fn new_id() -> String {
    format!("msg_{}", hex::encode(rand::random::<[u8; 16]>()))
}

/// What a webhook is told when somebody tries whether it works: an alert that nothing is behind, or its end. All tests of a webhook are
/// of one group, so that an incident which one of them opens is closed by the end of another.
pub fn test_notification(webhook: &str, firing: bool, at: Timestamp) -> Notification {
    let (state, says) = if firing {
        (AlertState::Firing, "This is a test of the webhook: nothing is wrong.")
    } else {
        (AlertState::Resolved, "This ends the test of the webhook: nothing was wrong.")
    };
    let at = at.to_string();
    Notification {
        webhook: webhook.to_owned(),
        group: format!("test of {webhook}"),
        firing,
        is_test: true,
        alerts: vec![Alert {
            name: "test".to_owned(),
            kind: "test".to_owned(),
            severity: Severity::Info,
            state,
            labels: BTreeMap::from([("webhook".to_owned(), webhook.to_owned())]),
            value: "test".to_owned(),
            summary: says.to_owned(),
            page: "alerts/deliveries".to_owned(),
            since: at.clone(),
            started_at: Some(at.clone()),
            ended_at: (!firing).then(|| at.clone()),
        }],
        left_out: 0,
        at,
    }
}

#[cfg(test)]
mod tests;
