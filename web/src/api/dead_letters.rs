//! What died, why, and in which consumer: `dead-letters?cause=&topic=&state=&consumer=&type=&source=&at=&limit=&cursor=`.
//!
//! `dead-letters/export` streams the same as NDJSON, a line each with the whole record: nothing of it is held together in memory.

use std::collections::VecDeque;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use store::dead_letters::{self, CauseGroup, DeadLetter, Dismissal, State as LetterState, Wanted};
use store::engine::{Cursor, Held, PageRequest};
use store::record::Origin;
use store::{StoreError, TraceId};

use super::answer::{self, ENTRIES_MAX};
use super::ask::limit;
use super::problem::Problem;
use super::view::{AsText, EntryView, PositionView, Time};
use crate::page::dead_letters::asked::Asked;
use crate::state::AppState;

/// How many messages a page holds when nothing is said.
const MESSAGES_USUAL: usize = 100;

/// How many entries the export asks the store for at a time: they are in memory together.
const EXPORTED_AT_ONCE: usize = 50;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeadLettersView<'a> {
    open: u64,
    oldest_open: Option<Time>,
    causes: Vec<CauseView<'a>>,
    messages: Vec<MessageView<'a>>,
    next: Option<String>,
    cut: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CauseView<'a> {
    id: &'a str,
    cause: String,
    consumer: Option<&'a str>,
    count: u64,
    last_seen: Time,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageView<'a> {
    position: PositionView<'a>,
    origin: Option<OriginView<'a>>,
    trace_id: Option<AsText<TraceId>>,
    event_id: Option<&'a str>,
    event_type: Option<&'a str>,
    key: Option<&'a str>,
    consumer: Option<&'a str>,
    attempts: Option<u32>,
    cause_id: String,
    cause: String,
    /// What the dead letter itself gives as its reason; null where it gives none.
    reason: Option<&'a str>,
    exception: Option<&'a str>,
    convention: &'a str,
    guessed: bool,
    /// `new`, `redriven` or `dismissed`; what became of one that was redriven, its redrive tells.
    state: &'static str,
    dismissal: Option<DismissalView<'a>>,
    redriven: Option<RedrivenView<'a>>,
    died_at: Time,
}

/// Which redrive sent it back last, and as which of its messages.
#[derive(Serialize)]
struct RedrivenView<'a> {
    redrive: &'a str,
    message: usize,
}

#[derive(Serialize)]
struct OriginView<'a> {
    channel: Option<&'a str>,
    partition: Option<i32>,
    offset: Option<i64>,
    timestamp: Option<Time>,
}

#[derive(Serialize)]
struct DismissalView<'a> {
    by: &'a str,
    at: Time,
    note: &'a str,
}

/// One line of the export.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LineView<'a> {
    dead_letter: MessageView<'a>,
    record: EntryView<'a>,
    /// The whole body, where the record above has only its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_hex: Option<String>,
}

/// `dead-letters`.
pub async fn list(State(state): State<AppState>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let asked = read(query.as_deref())?;
    let found = dead_letters::list(&*state.store, state.decided().await?, &asked.wanted).await?;
    let n_asked = limit(asked.limit, MESSAGES_USUAL, ENTRIES_MAX);
    answer::json(found.letters.len(), move || {
        let after = asked.after.as_ref();
        let from = after.map_or(0, |after| found.letters.partition_point(|letter| letter.cursor >= *after));
        let page = &found.letters[from..found.letters.len().min(from + n_asked)];
        let is_last = from + page.len() == found.letters.len();
        serde_json::to_vec(&DeadLettersView {
            open: found.open,
            oldest_open: found.oldest_open.map(Time),
            causes: found.causes.iter().take(ENTRIES_MAX).map(CauseView::from).collect(),
            messages: page.iter().map(MessageView::from).collect(),
            next: page.last().filter(|_| !is_last).map(|last| last.cursor.to_text()),
            cut: found.cut.as_deref(),
        })
    })
    .await
}

/// `dead-letters/export`.
pub async fn export(State(state): State<AppState>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let asked = read(query.as_deref())?;
    state.redrives.catch_up(&state.journal).await?;
    let lines = Lines { state, wanted: asked.wanted, ready: VecDeque::new(), after: asked.after, is_done: false };
    let body = Body::from_stream(stream::try_unfold(lines, |mut lines| async move {
        let line = lines.next().await?;
        Ok::<_, StoreError>(line.map(|line| (line, lines)))
    }));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    let named = HeaderValue::from_static("attachment; filename=\"dead-letters.ndjson\"");
    headers.insert(header::CONTENT_DISPOSITION, named);
    Ok(response)
}

fn read(query: Option<&str>) -> Result<Asked, Problem> {
    Asked::read(query.unwrap_or_default()).map_err(Problem::unreadable)
}

/// The lines of an export, as far as they are made.
struct Lines {
    state: AppState,
    wanted: Wanted,
    ready: VecDeque<Bytes>,
    after: Option<Cursor>,
    is_done: bool,
}

impl Lines {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        while self.ready.is_empty() && !self.is_done {
            let page = PageRequest { limit: EXPORTED_AT_ONCE, after: self.after.take() };
            let found = self.state.store.search(&self.wanted.query(), page).await?;
            self.is_done = found.next.is_none();
            self.after = found.next;
            let (state, wanted) = (self.state.clone(), self.wanted.clone());
            let made = tokio::task::spawn_blocking(move || {
                let lines = found.entries.iter().filter_map(|held| line(held, &state, &wanted));
                lines.collect::<VecDeque<Bytes>>()
            });
            self.ready = made.await.map_err(|error| StoreError::Internal(error.to_string()))?;
        }
        Ok(self.ready.pop_front())
    }
}

/// The line of a dead letter; `None` for one that isn't asked for.
fn line(held: &Held, state: &AppState, wanted: &Wanted) -> Option<Bytes> {
    let letter = wanted.letter(held, state.decided_so_far())?;
    let record = EntryView::new(held, None, &state.links);
    let body = held.entry.as_record().and_then(|record| record.body.as_ref());
    let body_hex = body.filter(|_| record.is_truncated()).map(hex::encode);
    let mut line = serde_json::to_vec(&LineView { dead_letter: MessageView::from(&letter), record, body_hex }).ok()?;
    // A body that is JSON stands there as it was written, over several lines too; within its texts a line end is `\n`.
    line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    line.push(b'\n');
    Some(Bytes::from(line))
}

impl<'a> From<&'a CauseGroup> for CauseView<'a> {
    fn from(group: &'a CauseGroup) -> CauseView<'a> {
        CauseView {
            id: &group.id,
            cause: group.cause.to_string(),
            consumer: group.consumer.as_deref(),
            count: group.count,
            last_seen: Time(group.last),
        }
    }
}

impl<'a> From<&'a DeadLetter> for MessageView<'a> {
    fn from(letter: &'a DeadLetter) -> MessageView<'a> {
        let failure = &letter.failure;
        MessageView {
            position: PositionView::from(&letter.position),
            origin: failure.origin.as_ref().map(OriginView::from),
            trace_id: letter.trace_id.map(AsText),
            event_id: letter.event_id.as_deref(),
            event_type: letter.event_type.as_deref(),
            key: letter.key.as_deref(),
            consumer: letter.consumer.as_deref(),
            attempts: failure.attempts,
            cause_id: letter.cause_id(),
            cause: letter.cause.to_string(),
            reason: failure.message.as_deref(),
            exception: failure.exception.as_deref(),
            convention: &failure.convention,
            guessed: failure.guessed,
            state: match letter.state() {
                LetterState::Dismissed => "dismissed",
                LetterState::Redriven => "redriven",
                LetterState::Open | LetterState::Any => "new",
            },
            dismissal: letter.dismissal.as_ref().map(DismissalView::from),
            redriven: letter.redriven.as_ref().map(|(redrive, message)| RedrivenView { redrive, message: *message }),
            died_at: Time(letter.died_at),
        }
    }
}

impl<'a> From<&'a Origin> for OriginView<'a> {
    fn from(origin: &'a Origin) -> OriginView<'a> {
        OriginView {
            channel: origin.channel.as_deref(),
            partition: origin.partition,
            offset: origin.offset,
            timestamp: origin.timestamp.map(Time),
        }
    }
}

impl<'a> From<&'a Dismissal> for DismissalView<'a> {
    fn from(dismissal: &'a Dismissal) -> DismissalView<'a> {
        DismissalView { by: &dismissal.by, at: Time(dismissal.at), note: &dismissal.note }
    }
}
