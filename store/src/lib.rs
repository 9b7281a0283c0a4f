//! What Sillage remembers, and the questions it answers.
//!
//! An [`Entry`] is anything that is kept: a [`Record`] with its event, a [`Span`], a [`Log`].
//! A [`Store`] keeps entries durably and finds them again by [`Knot`], by [`Query`] and by arrival.
//! A [`Flow`](flow::Flow) is everything that hangs together with one cause: computed when asked for, never stored.
//!
//! This crate knows neither brokers nor HTTP nor HTML.

// What is kept.
pub mod board; // what the collector reports of itself, for the pages: in memory only
pub mod checkpoint; // how far each partition has been kept
pub mod entry; // a record, a span or a log
pub mod gap; // records that went before we could read them
pub mod groups; // how consumer groups stand now: in memory only
pub mod id; // trace and span ids
pub mod knot; // typed terms by which entries hang together
pub mod log; // a log line
pub mod position; // where a record is: source, channel, place
pub mod record; // one message as the broker holds it, with its event
pub mod redacted; // what stands where a value was taken out
pub mod selection; // globs that choose names
pub mod span; // a span, with what it says of messaging
pub mod time; // nanoseconds since the epoch
pub mod value; // an OpenTelemetry value

// How it is kept and found.
pub mod clock; // the wall clock, which may be wrong
mod codec; // entries as bytes
pub mod config; // the `[store]` section of the configuration
mod cursor; // a place in an answer, as text
pub mod engine; // the `Store` trait
pub mod erasure; // forgetting on somebody's word
pub mod file; // everything that the store does to files
mod frame; // pieces of a file that can be told to be whole
pub mod histogram; // how long something took, over many times
pub mod index; // the default engine: log, live set, segments
pub mod journal; // what people and Sillage decided
pub mod lag_series; // how far groups were behind, over time
pub mod memory; // the specification of a store: all in memory
pub mod query; // what can be asked for
pub mod tally; // adds up counts by a facet

// What is computed from it.
pub mod alert; // that something is wrong, and what is told of it
pub mod dead_letters; // what died, why, and what was decided of it
pub mod flow; // everything that hangs together with one cause
pub mod overview; // how much came in, how much of it went wrong
pub mod redrive; // what would be sent back of what died
pub mod retries; // who retries, how often, why, and whether it helps
pub mod topics; // what is in them, who writes and reads them, how fast

#[cfg(any(test, feature = "fixture"))]
pub mod fixture; // entries for tests

use std::sync::Arc;

pub use board::Board;
pub use checkpoint::Checkpoint;
pub use config::Config;
pub use engine::{Store, StoreError};
pub use entry::Entry;
pub use gap::Gap;
pub use id::{SpanId, TraceId};
pub use journal::Journal;
pub use knot::Knot;
pub use lag_series::LagSeries;
pub use log::Log;
pub use position::{Channel, Place, Position, SourceName};
pub use query::Query;
pub use record::Record;
pub use span::Span;
pub use time::Timestamp;
pub use value::Value;

/// Opens the store that a configuration asks for; off the runtime's threads, because a replay of the log may take seconds.
pub async fn open(config: Config) -> Result<Arc<dyn Store>, StoreError> {
    let opened = tokio::task::spawn_blocking(move || index::Index::open(index::IndexConfig::from(&config)));
    let index = opened.await.map_err(|error| StoreError::Internal(error.to_string()))??;
    Ok(Arc::new(index))
}
