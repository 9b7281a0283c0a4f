//! What is kept, how fast, and whether it can go on.

use store::engine::Stats;

use super::exposition::Exposition;
use super::exposition::Kind::{Counter, Gauge};
use crate::state::AppState;

/// The kinds of entries, as [`Stats::kept`] counts them.
const KINDS: [&str; 3] = ["record", "span", "log"];

/// The store, its disk, and what takes memory.
pub fn tell(text: &mut Exposition, stats: &Stats, state: &AppState) {
    text.family("sillage_store_entries", Gauge, "Entries held, by kind.");
    for (kind, many) in KINDS.into_iter().zip([stats.records, stats.spans, stats.logs]) {
        text.sample("sillage_store_entries", &[("kind", kind)], many as f64);
    }
    text.family(
        "sillage_store_kept",
        Counter,
        "Entries kept since the start, by kind; what was held already is not kept again.",
    );
    for (kind, many) in KINDS.into_iter().zip(stats.kept) {
        text.sample("sillage_store_kept_total", &[("kind", kind)], many as f64);
    }
    text.family(
        "sillage_store_appends_refused",
        Counter,
        "Appends that the store refused since the start, for whatever reason.",
    );
    text.sample("sillage_store_appends_refused_total", &[], stats.refused as f64);
    text.family("sillage_store_refusing", Gauge, "1 while the store takes no entries.");
    text.sample("sillage_store_refusing", &[], f64::from(u8::from(stats.refusing.is_some())));
    text.family("sillage_store_segments", Gauge, "Sealed segments, by state.");
    text.sample("sillage_store_segments", &[("state", "good")], stats.segments as f64);
    text.sample("sillage_store_segments", &[("state", "damaged")], stats.damaged as f64);
    text.family("sillage_store_erasing", Gauge, "Entries that were forgotten and still stand in files.");
    text.sample("sillage_store_erasing", &[], stats.erasing as f64);
    if let Some(oldest) = stats.oldest {
        text.family("sillage_store_oldest_timestamp_seconds", Gauge, "The own time of the oldest entry, since 1970.");
        text.sample("sillage_store_oldest_timestamp_seconds", &[], oldest.as_nanos() as f64 / 1e9);
    }
    text.family("sillage_store_bytes", Gauge, "Bytes on disk.");
    text.sample("sillage_store_bytes", &[], stats.bytes as f64);
    if let Some(free_bytes) = stats.free_bytes {
        text.family("sillage_store_free_bytes", Gauge, "Free bytes on the disk that holds the data.");
        text.sample("sillage_store_free_bytes", &[], free_bytes as f64);
    }
    text.histogram(
        "sillage_store_write_seconds",
        "How long writing to the log took, fsync included.",
        [(&[][..], &stats.writes)],
    );
    of_memory(text, stats, state);
}

fn of_memory(text: &mut Exposition, stats: &Stats, state: &AppState) {
    if let Some(resident) = stats.memory.resident {
        text.family("sillage_memory_resident_bytes", Gauge, "Memory that the process has in use.");
        text.sample("sillage_memory_resident_bytes", &[], resident as f64);
    }
    if stats.memory.limit > 0 {
        text.family("sillage_memory_limit_bytes", Gauge, "The limit that `memory_limit` sets.");
        text.sample("sillage_memory_limit_bytes", &[], stats.memory.limit as f64);
    }
    text.family(
        "sillage_memory_part_bytes",
        Gauge,
        "What takes memory; what waits to be written, to be sent on, and OTLP requests in flight are among it.",
    );
    for (part, bytes) in stats.memory.parts.iter().copied().chain(state.board.memory()) {
        text.sample("sillage_memory_part_bytes", &[("part", part)], bytes as f64);
    }
    text.family("sillage_queue_length", Gauge, "How many wait in a queue.");
    for (queue, waiting) in state.board.queues() {
        text.sample("sillage_queue_length", &[("queue", queue)], waiting as f64);
    }
}
