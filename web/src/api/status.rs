//! Is Sillage itself well: sources, store, what was refused.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use store::board::{OpenTransaction, SourceStatus};
use store::engine::Stats;

use super::problem::Problem;
use super::view::{Time, millis};
use crate::page::VERSION;
use crate::state::AppState;

/// How Sillage fares.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    version: &'static str,
    uptime_s: u64,
    sources: Vec<SourceView>,
    store: StoreView,
    memory: MemoryView,
    refused: BTreeMap<String, u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceView {
    name: String,
    r#type: String,
    address: String,
    state: &'static str,
    error: Option<String>,
    since: Time,
    behind_ms: Option<u64>,
    received: u64,
    channels: usize,
    unseen: Vec<String>,
    transactions: Vec<OpenTransactionView>,
}

/// A partition that holds records which are not committed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenTransactionView {
    topic: String,
    partition: i32,
    since: Time,
    last_stable_offset: i64,
    high_watermark: i64,
    waiting: u64,
}

impl From<OpenTransaction> for OpenTransactionView {
    fn from(open: OpenTransaction) -> OpenTransactionView {
        OpenTransactionView {
            waiting: open.waiting(),
            topic: open.channel,
            partition: open.partition,
            since: Time(open.since),
            last_stable_offset: open.last_stable,
            high_watermark: open.end,
        }
    }
}

impl From<SourceStatus> for SourceView {
    fn from(status: SourceStatus) -> SourceView {
        SourceView {
            name: status.name.as_str().to_owned(),
            r#type: status.kind,
            address: status.address,
            state: status.state.as_str(),
            error: status.error,
            since: Time(status.since),
            behind_ms: status.behind_ms,
            received: status.received,
            channels: status.channels.len(),
            unseen: status.unseen,
            transactions: status.transactions.into_iter().map(OpenTransactionView::from).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoreView {
    entries: u64,
    records: u64,
    spans: u64,
    logs: u64,
    bytes: u64,
    segments: u64,
    damaged: u64,
    oldest: Option<Time>,
    free_bytes: Option<u64>,
    last_fsync_ms: Option<f64>,
    slowest_fsync_ms: Option<f64>,
    per_second: f64,
    refused: u64,
    refusing: Option<String>,
    /// Entries that were forgotten and still stand in files.
    erasing: u64,
    /// Why they can't be removed now.
    not_erasing: Option<String>,
}

impl From<Stats> for StoreView {
    fn from(stats: Stats) -> StoreView {
        StoreView {
            entries: stats.entries,
            records: stats.records,
            spans: stats.spans,
            logs: stats.logs,
            bytes: stats.bytes,
            segments: stats.segments,
            damaged: stats.damaged,
            oldest: stats.oldest.map(Time),
            free_bytes: stats.free_bytes,
            last_fsync_ms: stats.last_fsync.map(|took| millis(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))),
            slowest_fsync_ms: stats
                .slowest_fsync
                .map(|took| millis(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))),
            per_second: stats.per_second,
            refused: stats.refused,
            refusing: stats.refusing,
            erasing: stats.erasing,
            not_erasing: stats.not_erasing,
        }
    }
}

/// What takes memory, in bytes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemoryView {
    limit: u64,
    resident: Option<u64>,
    parts: BTreeMap<&'static str, u64>,
}

/// `status`.
pub async fn show(State(state): State<AppState>) -> Result<Json<StatusView>, Problem> {
    let stats = state.store.stats().await?;
    let memory = MemoryView {
        limit: stats.memory.limit,
        resident: stats.memory.resident,
        parts: stats.memory.parts.iter().copied().chain(state.board.memory()).collect(),
    };
    Ok(Json(StatusView {
        version: VERSION,
        uptime_s: state.started.elapsed().as_secs(),
        sources: state.board.sources().into_iter().map(SourceView::from).collect(),
        store: StoreView::from(stats),
        memory,
        refused: state.board.refused(),
    }))
}
