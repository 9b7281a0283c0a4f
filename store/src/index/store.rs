//! What every store promises, as this engine keeps it: each question goes to its own part.

use std::path::Path;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::columns::Columns;
use super::disk::Disk;
use super::erasing::Hidden;
use super::upkeep::retention;
use super::writer::Command;
use super::{ADMISSION_WAIT_MAX, Index, RETRY_AFTER, ask, memory_use, weight};
use crate::checkpoint::Checkpoint;
use crate::engine::{Counts, Facet, Forgotten, Found, PageRequest, Sequence, Stats, Store, StoreError};
use crate::entry::Entry;
use crate::file;
use crate::knot::{Knot, Tie};
use crate::position::SourceName;
use crate::query::Query;

#[async_trait]
impl Store for Index {
    async fn append(&self, entries: Vec<Entry>, checkpoint: Checkpoint) -> Result<Sequence, StoreError> {
        let bytes: usize = entries.iter().map(weight::weight).sum();
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.admission_bytes);
        let Ok(admitted) = timeout(ADMISSION_WAIT_MAX, self.admit(permits)).await else {
            let mut condition = self.shared.condition.lock();
            condition.refused += 1;
            let reason = condition.refusing.clone();
            let reason =
                reason.unwrap_or_else(|| "more comes in than can be written; memory for it is used up".to_owned());
            return Err(StoreError::Refused { reason, retry_after: RETRY_AFTER });
        };
        let admitted = admitted?;
        let (reply, answer) = oneshot::channel();
        self.command(Command::Append { entries, checkpoint, admitted, reply })?;
        answer.await.map_err(|_| self.gone())?
    }

    async fn checkpoint(&self, source: &SourceName) -> Result<Checkpoint, StoreError> {
        let held = self.shared.checkpoints.read().get(source).cloned();
        Ok(held.unwrap_or_else(|| Checkpoint::none(source.clone())))
    }

    async fn related(&self, knots: &[(Tie, Knot)], limit: usize) -> Result<Found, StoreError> {
        if let Some(step) = ask::Step::find_brief(&self.shared, knots) {
            return Ok(step.look(&self.shared, knots, limit));
        }
        let (shared, knots) = (self.shared.clone(), knots.to_vec());
        self.ask(move || Ok(ask::Step::find(&shared, &knots).look(&shared, &knots, limit))).await
    }

    async fn search(&self, query: &Query, page: PageRequest) -> Result<Found, StoreError> {
        let (shared, query) = (self.shared.clone(), query.clone());
        self.ask(move || Ok(ask::search(&shared, &query, &page))).await
    }

    async fn since(&self, sequence: Sequence, query: &Query, limit: usize) -> Result<Found, StoreError> {
        let (shared, query) = (self.shared.clone(), query.clone());
        self.ask(move || Ok(ask::since(&shared, sequence, &query, limit))).await
    }

    async fn count(&self, query: &Query, by: Facet) -> Result<Counts, StoreError> {
        let (shared, query) = (self.shared.clone(), query.clone());
        self.ask(move || Ok(ask::count(&shared, &query, &by, false))).await
    }

    async fn count_with_past(&self, query: &Query, by: Facet) -> Result<Counts, StoreError> {
        let (shared, query) = (self.shared.clone(), query.clone());
        self.ask(move || Ok(ask::count(&shared, &query, &by, true))).await
    }

    async fn forget(&self, query: &Query) -> Result<Forgotten, StoreError> {
        let forgotten = self.forget_all(query).await;
        // At the end: a segment may have gone meanwhile by its age, and its counts with it into the past.
        self.shared.past.forget(query)?;
        forgotten
    }

    fn generation(&self) -> watch::Receiver<Sequence> {
        self.shared.generation.subscribe()
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        let (shared, admission, admission_bytes) = (self.shared.clone(), self.admission.clone(), self.admission_bytes);
        self.ask(move || {
            let view = shared.look();
            let mut kinds = [0; 3];
            let mut oldest: Option<i64> = None;
            let mut take = |more: [u64; 3], hidden: &Hidden, first: Option<i64>| {
                let shown = more.iter().zip(hidden.kinds).map(|(more, hidden)| more.saturating_sub(hidden));
                kinds.iter_mut().zip(shown).for_each(|(many, more)| *many += more);
                oldest = [oldest, first].into_iter().flatten().min();
            };
            for segment in &view.segments {
                // A damaged one is set aside by whoever meets it first, and counts no more.
                let Ok(hidden) = shared.ask(segment, || shared.erasing.in_segment(&shared.caches, segment)) else {
                    continue;
                };
                let first = if hidden.is_empty() {
                    Ok(Some(segment.manifest.times.0))
                } else {
                    shared.ask(segment, || Ok(oldest_shown(&*segment.columns(&shared.caches)?, &hidden)))
                };
                take(segment.manifest.kinds, &hidden, first.unwrap_or_default());
            }
            for live in view.frozen.iter().map(|frozen| &frozen.live).chain([&view.active]) {
                let live = live.read();
                let hidden = shared.erasing.in_live(&live);
                take(live.kinds(), &hidden, oldest_shown(&live.columns, &hidden));
            }
            let condition = shared.condition.lock().clone();
            let (per_second, slowest) = condition.pace.last_minute();
            Ok(Stats {
                entries: kinds.iter().sum(),
                records: kinds[0],
                spans: kinds[1],
                logs: kinds[2],
                bytes: retention::folder_bytes(&shared)? + file::folder_bytes(&shared.config.damaged_folder())?,
                segments: view.segments.len() as u64,
                damaged: condition.damaged,
                erasing: shared.erasing.keys().len() as u64,
                not_erasing: condition.not_erasing,
                oldest: oldest.map(crate::Timestamp::from_nanos),
                counted_since: shared
                    .past
                    .look(|rows| rows.all().map(|(_, first, ..)| first).min())
                    .map(crate::Timestamp::from_nanos),
                last_fsync: condition.last_fsync,
                free_bytes: file::free_bytes(&shared.config.path),
                refusing: condition.refusing.or(condition.not_sealing).or_else(|| not_writable(&shared.config.path)),
                refused: condition.refused,
                per_second,
                slowest_fsync: Some(slowest).filter(|slowest| !slowest.is_zero()),
                kept: condition.kept,
                writes: condition.writes,
                memory: memory_use::memory_use(&shared, &admission, admission_bytes),
            })
        })
        .await
    }

    async fn failed(&self) -> String {
        let mut failed = self.shared.failed.subscribe();
        let reason = failed.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        match reason {
            Some(reason) => reason,
            // Nobody can say it any more: then it doesn't come to that.
            None => std::future::pending().await,
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.shared.is_closing.store(true, Ordering::Relaxed);
        let threads = std::mem::take(&mut *self.threads.lock());
        let joined = spawn_blocking(move || threads.join());
        joined.await.map_err(|error| StoreError::Internal(error.to_string()))?;
        drop(self.lock.lock().take());
        Ok(())
    }
}

/// Why nothing could be kept, as far as that shows before it is tried.
fn not_writable(folder: &Path) -> Option<String> {
    match file::writable(folder) {
        Ok(()) => Disk::of(folder)?.refusal(),
        Err(error) => Some(format!("the data folder can't be written: {error}")),
    }
}

/// The time of the oldest entry that is not hidden, in nanoseconds.
fn oldest_shown(columns: &Columns, hidden: &Hidden) -> Option<i64> {
    let shown = (0..columns.len()).filter(|number| !hidden.has(*number));
    shown.map(|number| columns.time(number).as_nanos()).min()
}
