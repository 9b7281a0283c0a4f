//! Forgets entries: `POST forget` with `{"key": …}`, `{"event": …}`, `{"trace": …}` or `{"query": …}`. A dry run unless `"yes": true`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use serde::{Deserialize, Serialize};
use store::engine::Forgotten;
use store::erasure::{By, ErasureError, Wanted};

use super::problem::{Problem, read_body};
use crate::door::Visitor;
use crate::page::forget::carry_out;
use crate::state::AppState;

/// What is to be forgotten: one of the four.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    key: Option<String>,
    event: Option<String>,
    trace: Option<String>,
    query: Option<String>,
    #[serde(default)]
    yes: bool,
}

/// What went, or would go.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    dry_run: bool,
    entries: u64,
    at_least: bool,
    /// How many of each kind; only a dry run counts them.
    records: Option<u64>,
    spans: Option<u64>,
    logs: Option<u64>,
    files: Vec<FileView>,
    /// Entries that were forgotten before and still stand in files; only a dry run counts them.
    erasing: Option<u64>,
    /// Why they are hidden but not gone from every file yet.
    unfinished: Option<String>,
    /// What was set aside as damaged, can't be looked into, and may hold some of it.
    unread: Vec<String>,
}

#[derive(Serialize)]
struct FileView {
    file: String,
    entries: u64,
}

/// `forget`.
pub async fn act(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    body: Bytes,
) -> Result<Json<Told>, Problem> {
    let asked: Asked = read_body(&body)?;
    let given = [(By::Key, asked.key), (By::Event, asked.event), (By::Trace, asked.trace), (By::Query, asked.query)];
    let mut given = given.into_iter().filter_map(|(by, value)| Some(Wanted { by, value: value? }));
    let (Some(wanted), None) = (given.next(), given.next()) else {
        return Err(Problem::unreadable("give one of `key`, `event`, `trace` and `query`"));
    };
    if !asked.yes {
        let preview = wanted.preview(state.store.as_ref()).await.map_err(problem)?;
        return Ok(Json(Told {
            dry_run: true,
            entries: preview.entries(),
            at_least: preview.at_least,
            records: Some(preview.records),
            spans: Some(preview.spans),
            logs: Some(preview.logs),
            erasing: Some(preview.erasing),
            ..Told::default()
        }));
    }
    let forgotten = carry_out(&state, &visitor, wanted).await.map_err(problem)?;
    let files = forgotten.files.into_iter().map(|(file, entries)| FileView { file, entries }).collect();
    let Forgotten { entries, unfinished, unread, .. } = forgotten;
    Ok(Json(Told { entries, files, unfinished, unread, ..Told::default() }))
}

fn problem(error: ErasureError) -> Problem {
    match error {
        ErasureError::Unreadable(says) => Problem::unreadable(says),
        ErasureError::Store(error) => error.into(),
    }
}
