//! Where a service listens: its own consumer in its own group, and the loop that handles one record after the other.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rdkafka::consumer::{Consumer, StreamConsumer};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::{
    connection::{self, Connection},
    outage::Outage,
    record::Record,
};
use crate::DemoError;

/// How long a broker holds an empty fetch. The mock cluster doesn't wake a waiting fetch when a record arrives, so
/// this is the delay of a record there; the default of 500 ms would make every step of a journey half a second.
const FETCH_WAIT_MS: &str = "50";

/// How often handled offsets are committed: often enough that a console shows a healthy group at 0.
const COMMIT_INTERVAL_MS: &str = "250";

/// How long a silent member stays in its group: the shortest that a default Kafka broker accepts. The mock cluster
/// makes a service that comes back wait for about as long.
const SESSION_TIMEOUT_MS: &str = "6000";

/// How many records a consumer fetches ahead. The one that lags would otherwise hold up to 100,000 in memory.
const FETCHED_AHEAD_RECORDS: &str = "500";

/// How long a service waits before it tries again what failed.
const REDO_DELAY: Duration = Duration::from_secs(1);

/// A consumer in a group.
pub(crate) struct Inbox {
    consumer: StreamConsumer<Connection>,
    pub(crate) group: &'static str,
    assigned: watch::Receiver<bool>,
}

/// What a service does about a record.
pub(crate) trait React {
    /// The record may not be handled earlier; whatever is behind it in its partition waits too.
    fn not_before(&self, _record: &Record) -> Option<SystemTime> {
        None
    }

    /// Handles the record. An error means that it was not handled: it will be tried again, so nothing that was
    /// achieved before the error may count twice.
    async fn react(&mut self, record: &Record) -> Result<(), DemoError>;
}

impl Inbox {
    /// Joins the group. `member` names this consumer among the group's members.
    pub(crate) fn join(
        brokers: &str,
        group: &'static str,
        member: &str,
        topics: &[&str],
        outage: &Arc<Outage>,
    ) -> Result<Inbox, DemoError> {
        let cant = |doing| move |source| DemoError::Client { service: group.into(), doing, source };
        let connection = Connection::new(outage);
        let assigned = connection.assigned();
        let consumer: StreamConsumer<Connection> = connection::settings(brokers, member)
            .set("group.id", group)
            .set("auto.offset.reset", "earliest")
            // Offsets are stored when a record was handled, and committed from there.
            .set("enable.auto.offset.store", "false")
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", COMMIT_INTERVAL_MS)
            .set("session.timeout.ms", SESSION_TIMEOUT_MS)
            .set("heartbeat.interval.ms", "1000")
            .set("fetch.wait.max.ms", FETCH_WAIT_MS)
            .set("queued.min.messages", FETCHED_AHEAD_RECORDS)
            .create_with_context(connection)
            .map_err(cant("make a consumer"))?;
        consumer.subscribe(topics).map_err(cant("subscribe"))?;
        Ok(Inbox { consumer, group, assigned })
    }

    /// Turns true when the group has given this member partitions to read. The inbox must be read meanwhile.
    pub(crate) fn assigned(&self) -> watch::Receiver<bool> {
        self.assigned.clone()
    }

    /// The next record; `None` once `stop` is cancelled.
    pub(crate) async fn receive(&self, stop: &CancellationToken) -> Option<Record> {
        loop {
            let received = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                received = self.consumer.recv() => received,
            };
            match received {
                // No sign that the broker is there: the record may have been fetched ahead.
                Ok(message) => return Some(Record::copied(&message)),
                // librdkafka queues what it has to say of its connections before the records, and reconnects by itself:
                // a pause here would hold the records back for as many pauses as it had failures.
                Err(error) => debug!(group = self.group, "can't read: {error}"),
            }
        }
    }

    /// The next records, at most `records_max`, gathered for `linger` from the first on; empty once `stop` is cancelled.
    pub(crate) async fn receive_batch(
        &self,
        records_max: usize,
        linger: Duration,
        stop: &CancellationToken,
    ) -> Vec<Record> {
        let Some(first) = self.receive(stop).await else {
            return Vec::new();
        };
        let mut batch = vec![first];
        let end = Instant::now() + linger;
        while batch.len() < records_max {
            match tokio::time::timeout_at(end, self.receive(stop)).await {
                Ok(Some(record)) => batch.push(record),
                Ok(None) | Err(_) => break,
            }
        }
        batch
    }

    /// The record is handled: a restart goes on behind it.
    pub(crate) fn handled(&self, record: &Record) {
        if let Err(error) = self.consumer.store_offset(&record.topic, record.partition, record.offset) {
            // The partition went to another member meanwhile, who will handle the record again.
            debug!(group = self.group, "can't store the offset of {}: {error}", record.topic);
        }
    }

    /// Commits what was handled and leaves the group.
    pub(crate) async fn leave(self) {
        // Closing a consumer waits for the broker.
        let _ = tokio::task::spawn_blocking(move || drop(self.consumer)).await;
    }

    /// Reacts to one record after the other until `stop` is cancelled, then leaves the group.
    pub(crate) async fn consume(self, mut reaction: impl React, stop: &CancellationToken) {
        'records: while let Some(record) = self.receive(stop).await {
            if let Some(due) = reaction.not_before(&record)
                && let Ok(wait) = due.duration_since(SystemTime::now())
                && !pause(wait, stop).await
            {
                break 'records;
            }
            while let Err(error) = reaction.react(&record).await {
                info!(group = self.group, "will handle {} again: {}", record.topic, chain(&error));
                if !pause(REDO_DELAY, stop).await {
                    break 'records;
                }
            }
            self.handled(&record);
        }
        self.leave().await;
    }
}

/// Waits; returns false as soon as `stop` is cancelled.
pub(crate) async fn pause(duration: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = tokio::time::sleep(duration) => true,
    }
}

/// The error and its causes, in one line. A cause that the line names already is not said again.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        cause = error.source();
    }
    text
}
