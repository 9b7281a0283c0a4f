//! A store whose answers are parts of traces: how much of a page's time, or a batch's, the store took.

use std::sync::Arc;

use async_trait::async_trait;
use store::engine::{Counts, Facet, Forgotten, Found, PageRequest, Sequence, Stats};
use store::knot::Tie;
use store::{Checkpoint, Entry, Knot, Query, SourceName, Store, StoreError};
use tokio::sync::watch;
use tracing::{Instrument, Span, info_span};

/// A store, watched.
pub struct Traced(pub Arc<dyn Store>);

/// A part of what is being done. Where that has no span, this has none either: keeping what a Sillage sent must not make new spans to send.
fn part(name: &'static str) -> Span {
    if Span::current().is_none() { Span::none() } else { info_span!(target: "span", "store", otel.name = name) }
}

#[async_trait]
impl Store for Traced {
    async fn append(&self, entries: Vec<Entry>, checkpoint: Checkpoint) -> Result<Sequence, StoreError> {
        self.0.append(entries, checkpoint).instrument(part("append")).await
    }

    async fn checkpoint(&self, source: &SourceName) -> Result<Checkpoint, StoreError> {
        self.0.checkpoint(source).await
    }

    async fn related(&self, knots: &[(Tie, Knot)], limit: usize) -> Result<Found, StoreError> {
        self.0.related(knots, limit).instrument(part("related")).await
    }

    async fn search(&self, query: &Query, page: PageRequest) -> Result<Found, StoreError> {
        self.0.search(query, page).instrument(part("search")).await
    }

    async fn since(&self, sequence: Sequence, query: &Query, limit: usize) -> Result<Found, StoreError> {
        self.0.since(sequence, query, limit).await
    }

    async fn count(&self, query: &Query, by: Facet) -> Result<Counts, StoreError> {
        self.0.count(query, by).instrument(part("count")).await
    }

    async fn count_with_past(&self, query: &Query, by: Facet) -> Result<Counts, StoreError> {
        self.0.count_with_past(query, by).instrument(part("count")).await
    }

    async fn forget(&self, query: &Query) -> Result<Forgotten, StoreError> {
        self.0.forget(query).instrument(part("forget")).await
    }

    fn generation(&self) -> watch::Receiver<Sequence> {
        self.0.generation()
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.0.stats().await
    }

    async fn failed(&self) -> String {
        self.0.failed().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.0.close().await
    }
}
