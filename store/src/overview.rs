//! Figures of the overview: how much came in, how much of it went wrong, and when.

use std::time::Duration;

use crate::engine::{CountRow, Facet, Store, StoreError};
use crate::entry::Kind;
use crate::query::{Field, Query};
use crate::time::Timestamp;
use crate::topics::{Period, dense};

/// What went on in a period.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Overview {
    /// All records.
    pub records: Course,
    /// All spans.
    pub spans: Course,
    /// All logs.
    pub logs: Course,
    /// Spans that ended in an error.
    pub failed: Course,
    /// Retry copies, and dead letters that tell of more than one attempt.
    pub retried: Course,
    /// Dead letters.
    pub dead: Course,
    /// True when a count ran out of its budget: there may be more.
    pub at_least: bool,
}

/// How much of something there was, and when.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Course {
    /// In the whole period.
    pub total: u64,
    /// The latest.
    pub last: Option<Timestamp>,
    /// In each step, oldest first, empty steps included.
    pub steps: Vec<(Timestamp, u64)>,
}

/// What went on in a period: six counts, each answered from the engine's counts.
pub async fn overview(store: &dyn Store, period: Period) -> Result<Overview, StoreError> {
    let mut overview = Overview::default();
    let status = |status: &str| Query::is(Field::Status, status);
    for (query, course) in [
        (Query::Kind(Kind::Record), &mut overview.records),
        (Query::Kind(Kind::Span), &mut overview.spans),
        (Query::Kind(Kind::Log), &mut overview.logs),
        (status("failed"), &mut overview.failed),
        (status("retried"), &mut overview.retried),
        (status("dead"), &mut overview.dead),
    ] {
        let (row, at_least) = count(store, query, period).await?;
        let Period { window, step, now } = period;
        *course = Course {
            total: row.count,
            last: (row.count > 0).then_some(row.last),
            steps: dense(row.steps, now.minus(window), now, step),
        };
        overview.at_least |= at_least;
    }
    Ok(overview)
}

async fn count(store: &dyn Store, query: Query, period: Period) -> Result<(CountRow, bool), StoreError> {
    let query = query.and(Query::Time { from: Some(period.now.minus(period.window)), to: None });
    let counts = store.count_with_past(&query, Facet { field: None, step: Some(period.step), values_max: 1 }).await?;
    Ok((counts.rows.into_iter().next().unwrap_or_default(), counts.at_least))
}

impl Course {
    /// How many a second over the last steps that make up `recent`.
    pub fn rate(&self, recent: Duration, step: Duration) -> f64 {
        let n_steps = usize::try_from(recent.as_nanos() / step.as_nanos().max(1)).unwrap_or(usize::MAX).max(1);
        let total: u64 = self.steps.iter().rev().take(n_steps).map(|(_, count)| *count).sum();
        total as f64 / (step.as_secs_f64() * n_steps.min(self.steps.len().max(1)) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::fixture;
    use crate::memory::Memory;

    #[tokio::test]
    async fn what_went_wrong_is_counted_where_it_happened() {
        let store = Memory::new();
        let entries = vec![
            fixture::record("orders", 0, 1).at(1.0).entry(),
            fixture::record("orders.retry", 0, 1).retry("billing", 2).at(2.0).entry(),
            fixture::record("orders.DLT", 0, 1).dead("billing", "card declined").at(3.0).entry(),
            fixture::span("billing", "process").failed("card declined").at(3.0).entry(),
            fixture::span("billing", "wait").at(3.5).entry(),
            fixture::record("orders", 0, 0).at(-100.0).entry(),
        ];
        store.append(entries, Checkpoint::none("main".into())).await.unwrap();
        let period = Period { window: Duration::from_secs(4), step: Duration::from_secs(1), now: fixture::at(4.0) };
        let found = overview(&store, period).await.unwrap();
        assert_eq!((found.records.total, found.spans.total, found.logs.total), (3, 2, 0));
        assert_eq!((found.failed.total, found.retried.total, found.dead.total), (1, 1, 1));
        assert_eq!((found.dead.last, found.logs.last), (Some(fixture::at(3.0)), None));
        assert_eq!(found.records.steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [0, 1, 1, 1, 0]);
        assert!((found.records.rate(Duration::from_secs(2), period.step) - 0.5).abs() < 1e-9);
    }
}
