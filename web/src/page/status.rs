//! Is Sillage itself well: sources, store, disk, refusals?

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use store::board::{OPEN_FOR_LONG, SourceState, SourceStatus};
use store::engine::{MemoryUse, Stats};
use store::histogram::Histogram;
use store::{Board, Timestamp};

use crate::page::topic::missing::wait;
use crate::page::{Frame, Problem, render};
use crate::state::AppState;
use crate::traffic::Asked;
use crate::wording;

#[derive(Template)]
#[template(path = "page/status.html")]
struct Status {
    frame: Frame,
    version: &'static str,
    uptime: String,
    sources: Vec<SourceRow>,
    store: Vec<(&'static str, String)>,
    refusing: Option<String>,
    memory: Vec<(&'static str, String)>,
    refused: Vec<(String, String)>,
    asked: Vec<RouteRow>,
}

/// What the console was asked at one route.
struct RouteRow {
    route: String,
    times: String,
    failed: u64,
    within: String,
}

/// One source, as it is shown.
struct SourceRow {
    name: String,
    kind: String,
    address: String,
    state: &'static str,
    tone: &'static str,
    since: String,
    error: Option<String>,
    behind: String,
    received: String,
    channels: String,
    unseen: Vec<String>,
    /// Partitions whose readers wait for a transaction.
    waits: Vec<String>,
}

/// How many partitions with an open transaction are named: the others are in the JSON.
const WAITS_MAX: usize = 10;

/// `GET /status`.
pub async fn show(State(state): State<AppState>, frame: Frame) -> Result<Response, Problem> {
    let now = Timestamp::now();
    let stats = state.store.stats().await?;
    Ok(render(&Status {
        frame,
        version: crate::page::VERSION,
        uptime: wording::duration(u64::try_from(state.started.elapsed().as_nanos()).unwrap_or(u64::MAX)),
        sources: sources(&state.board, now),
        refusing: stats.refusing.clone(),
        store: facts(&stats, now),
        memory: memory(&stats.memory, state.board.memory()),
        refused: state.board.refused().into_iter().map(|(reason, many)| (reason, wording::count(many))).collect(),
        asked: state.traffic.routes().iter().map(route_row).collect(),
    }))
}

fn sources(board: &Board, now: Timestamp) -> Vec<SourceRow> {
    let undecoded = board.undecoded();
    let row = |status: SourceStatus| {
        let undecoded = undecoded.get(&status.name).copied().unwrap_or_default();
        let mut row = source_row(status, now);
        if undecoded > 0 {
            let many = wording::many(undecoded, "record");
            row.unseen
                .push(format!("{many} since the start could not be read in full; they are kept, with the reason"));
        }
        row
    };
    board.sources().into_iter().map(row).collect()
}

fn route_row((route, asked): (&String, &Asked)) -> RouteRow {
    RouteRow {
        route: route.clone(),
        times: wording::count(asked.times()),
        failed: asked.failed(),
        within: within(&asked.took, 0.95),
    }
}

/// Within which time a share of all ended, as far as the histogram tells.
fn within(took: &Histogram, share: f64) -> String {
    match took.quantile(share) {
        Some(seconds) => format!("≤ {}", wording::duration((seconds * 1e9) as u64)),
        None if took.count() == 0 => "–".to_owned(),
        None => "longer than 10 s".to_owned(),
    }
}

fn source_row(status: SourceStatus, now: Timestamp) -> SourceRow {
    let (state, tone) = match status.state {
        SourceState::Up => ("up", "ok"),
        SourceState::Starting => ("starting", ""),
        SourceState::Down => ("down", "bad"),
        SourceState::Absent => ("not there", ""),
    };
    let long = status.transactions.iter().filter(|open| open.open_for(now) >= OPEN_FOR_LONG);
    SourceRow {
        waits: long.take(WAITS_MAX).map(|open| wait(open, now)).collect(),
        name: status.name.to_string(),
        kind: status.kind,
        address: status.address,
        state,
        tone,
        since: wording::clock_short(status.since, now),
        error: status.error,
        behind: match status.behind_ms {
            Some(behind_ms) => wording::duration(behind_ms.saturating_mul(1_000_000)),
            None => "–".to_owned(),
        },
        received: wording::count(status.received),
        // What receives spans has none.
        channels: match status.channels.len() {
            0 => "–".to_owned(),
            many => wording::count(many as u64),
        },
        unseen: status.unseen,
    }
}

fn facts(stats: &Stats, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Entries", wording::count(stats.entries)),
        ("Records", wording::count(stats.records)),
        ("Spans", wording::count(stats.spans)),
        ("Logs", wording::count(stats.logs)),
        ("On disk", wording::bytes(stats.bytes)),
        ("Segments", wording::count(stats.segments)),
    ];
    if stats.damaged > 0 {
        facts.push(("Set aside as damaged", wording::many(stats.damaged, "part")));
    }
    if stats.erasing > 0 {
        let many = wording::count(stats.erasing);
        let why = stats.not_erasing.as_ref().map_or(String::new(), |reason| format!(" ({reason})"));
        facts.push(("Forgotten, and still in files", format!("{many}{why}")));
    }
    if let Some(oldest) = stats.oldest {
        facts.push(("Oldest entry", wording::clock_short(oldest, now)));
    }
    if let Some(fsync) = stats.last_fsync {
        facts.push(("Last fsync took", wording::duration(u64::try_from(fsync.as_nanos()).unwrap_or(u64::MAX))));
    }
    if let Some(slowest) = stats.slowest_fsync {
        let slowest = u64::try_from(slowest.as_nanos()).unwrap_or(u64::MAX);
        facts.push(("Slowest fsync of the last minute", wording::duration(slowest)));
    }
    if stats.writes.count() > 0 {
        facts.push(("Of 100 writes since the start, 99 took", within(&stats.writes, 0.99)));
    }
    let [records, spans, logs] = stats.kept.map(wording::count);
    facts.push(("Kept since the start", format!("{records} records, {spans} spans, {logs} logs")));
    facts.push(("Kept a second, over the last minute", wording::count(stats.per_second.round() as u64)));
    if stats.refused > 0 {
        facts.push(("Appends refused", wording::count(stats.refused)));
    }
    if let Some(free) = stats.free_bytes {
        facts.push(("Free on the disk", wording::bytes(free)));
    }
    facts
}

/// What takes memory: the whole, the limit, and what is counted.
fn memory(used: &MemoryUse, beside: Vec<(&'static str, u64)>) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(resident) = used.resident {
        facts.push(("In use by the process", wording::bytes(resident)));
    }
    if used.limit > 0 {
        facts.push(("Limit", wording::bytes(used.limit)));
    }
    facts.extend(used.parts.iter().copied().chain(beside).map(|(what, bytes)| (what, wording::bytes(bytes))));
    facts
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use store::board::OpenTransaction;
    use store::file::fault::Fault;
    use store::index::{Index, IndexConfig};
    use store::{Checkpoint, Store, fixture};

    use super::*;
    use crate::given::{Console, empty};

    fn source(state: SourceState) -> SourceStatus {
        SourceStatus {
            name: "main".into(),
            kind: "kafka".to_owned(),
            address: "broker:9092".to_owned(),
            state,
            error: (state == SourceState::Down).then(|| "nobody listens: is <Kafka> running?".to_owned()),
            since: Timestamp::now(),
            behind_ms: Some(1_500),
            received: 48_213,
            channels: Vec::new(),
            unseen: vec!["groups can't be listed".to_owned()],
            transactions: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_source_that_is_down_says_why_and_what_to_do() {
        let board = Arc::new(Board::default());
        board.post(source(SourceState::Down));
        board.count_refused("spans with invalid ids", 3);
        board.count_undecoded(&"main".into(), 12);
        let page = Console::beside(empty(), board).page("/status").await;
        page.shows("main kafka broker:9092").shows("down").shows("nobody listens: is <Kafka> running?");
        page.shows("12 records since the start could not be read in full");
        page.shows("1.5 s").shows("48,213").shows("groups can't be listed").shows("spans with invalid ids 3");
        assert!(!page.body.contains("<Kafka>"));
    }

    #[tokio::test]
    async fn a_transaction_that_hangs_is_told_where_readers_wait() {
        let board = Arc::new(Board::default());
        let now = Timestamp::now();
        let open = |channel: &str, seconds| OpenTransaction {
            channel: channel.to_owned(),
            partition: 2,
            since: now.minus(Duration::from_secs(seconds)),
            last_stable: 120,
            end: 481,
        };
        let transactions = vec![open("orders", 300), open("payments", 1)];
        board.post(SourceStatus { transactions, ..source(SourceState::Up) });
        let console = Console::beside(empty(), board);
        let page = console.page("/status").await;
        page.shows("wait at offset 120 of orders partition 2, with 361 offsets behind it").hides("payments");
        let metrics = console.get("/metrics").await.body;
        assert!(metrics.contains("sillage_uncommitted_records{source=\"main\",topic=\"orders\"} 361"), "{metrics}");
        let status = console.get("/api/v1/status").await.body;
        assert!(status.contains("\"lastStableOffset\":120,\"highWatermark\":481,\"waiting\":361"), "{status}");
    }

    #[tokio::test]
    async fn what_the_console_was_asked_is_told_with_errors_and_how_long_it_took() {
        let console = Console::over(empty());
        console.page("/status").await.shows("Nothing was asked yet");
        console.get("/no-such-page").await;
        let page = console.page("/status").await;
        page.shows("/status 1 0 ≤").shows("other 1 0 ≤");
    }

    #[tokio::test]
    async fn without_sources_it_says_so() {
        Console::over(empty()).page("/status").await.shows("No source reports").shows("Nothing was refused");
    }

    #[tokio::test]
    async fn the_store_is_shown_with_its_size_segments_pace_syncs_refusals_oldest_entry_and_free_disk() {
        let folder = tempfile::tempdir().unwrap();
        let index = Arc::new(Index::open(IndexConfig::new(folder.path())).unwrap());
        let keep = async |offset: i64| {
            let entry = fixture::record("orders", 0, offset).at(offset as f64).entry();
            index.append(vec![entry], Checkpoint::none("main".into())).await
        };
        keep(1).await.unwrap();
        keep(0).await.unwrap();
        {
            let _full = Fault::room_below(folder.path(), || (5 << 20, 1 << 30));
            keep(2).await.unwrap_err();
            let page = Console::over(index.clone()).page("/status").await;
            page.shows("Nothing new is being kept: the disk is full: 5 MiB are free, at least 64 MiB are needed");
            page.shows("Free on the disk 5 MiB").shows("Appends refused 1");
        }
        index.seal().await.unwrap();
        keep(3).await.unwrap();
        let stats = index.stats().await.unwrap();
        let page = Console::over(index.clone()).page("/status").await;
        page.shows("Kept since the start 3 records, 0 spans, 0 logs").shows("Of 100 writes since the start, 99 took ≤");
        page.shows("Entries 3").shows("Records 3").shows("Segments 1").shows("Appends refused 1");
        page.shows(&format!("On disk {}", wording::bytes(stats.bytes)));
        let oldest = wording::clock_short(fixture::at(0.0), Timestamp::now());
        page.shows(&format!("Oldest entry {oldest}"))
            .shows("Last fsync took")
            .shows("Slowest fsync of the last minute");
        // As many as were kept since the start, a second: it began just now.
        assert!(stats.per_second > 0.0);
        page.shows("Kept a second, over the last minute").shows("Free on the disk");
        assert!(!page.text().contains("Nothing new is being kept"), "it takes entries again");
    }
}
