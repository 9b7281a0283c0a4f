//! The redrives that there are: `GET redrives`, `GET redrives/{id}`, and `POST redrives/{id}` with `{"do": "pause"}`, `resume` or `cancel`.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::redrive::Redrive;
use store::redrive::ledger::{Course, Message, Progress, Step, Target};
use store::redrive::outcome::{self, After, Outcome};

use super::EditView;
use crate::api::answer::{self, ENTRIES_MAX};
use crate::api::problem::{Problem, read_body};
use crate::api::view::{PositionView, Time};
use crate::door::Visitor;
use crate::redriving::{self, Steer};
use crate::state::AppState;

#[derive(Serialize)]
struct ListView<'a> {
    redrives: Vec<RedriveView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RedriveView<'a> {
    id: &'a str,
    by: &'a str,
    at: Time,
    /// `running`, `paused`, `cancelled`, `finished`, or `incomplete`: it was never answered for.
    state: &'static str,
    /// Why it is paused, or what it waits for; null where it does neither.
    why: Option<String>,
    filter: &'a str,
    to: Option<&'a str>,
    rate: u32,
    stop_after: u32,
    r#override: bool,
    again: &'a [String],
    /// Whether somebody edited its one message.
    edited: bool,
    messages: usize,
    waiting: usize,
    sent: usize,
    refused: usize,
    /// Of so many nobody can tell whether they were sent.
    unknown: usize,
    changed_at: Time,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WholeView<'a> {
    #[serde(flatten)]
    redrive: RedriveView<'a>,
    /// What became of what was sent.
    outcome: OutcomeView<'a>,
    /// What was edited; null where nothing was, or where that isn't kept any more.
    edit: Option<EditView>,
    items: Vec<MessageView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutcomeView<'a> {
    says: String,
    processed: usize,
    waiting: usize,
    dead_again: usize,
    untold: usize,
    cut: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageView<'a> {
    number: usize,
    position: PositionView<'a>,
    /// `waiting`, `sending`, `sent`, `refused` or `unknown`.
    state: &'static str,
    to: Option<TargetView<'a>>,
    why: Option<&'a str>,
    /// `processed`, `waiting`, `deadAgain` or `untold`; null where it was not sent.
    after: Option<&'static str>,
    dead_again: Option<PositionView<'a>>,
}

#[derive(Serialize)]
struct TargetView<'a> {
    topic: &'a str,
    partition: i32,
    offset: Option<i64>,
}

/// What is to become of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    r#do: String,
}

/// `GET redrives`.
pub async fn list(State(state): State<AppState>) -> Result<Response, Problem> {
    state.redrives.catch_up(&state.journal).await?;
    let all = state.redrives.all();
    answer::json(all.len(), move || {
        let redrives = all.iter().take(ENTRIES_MAX).map(|redrive| RedriveView::of(redrive, &state)).collect();
        serde_json::to_vec(&ListView { redrives })
    })
    .await
}

/// `GET redrives/{id}`.
pub async fn show(State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, Problem> {
    state.redrives.catch_up(&state.journal).await?;
    let redrive = state.redrives.get(&id).ok_or(redriving::NotDone::NotFound)?;
    whole(state, redrive).await
}

/// `POST redrives/{id}`.
pub async fn steer(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let body: Body = read_body(&body)?;
    let steer =
        Steer::from_name(&body.r#do).ok_or_else(|| Problem::unreadable("`do` is `pause`, `resume` or `cancel`"))?;
    redriving::steer(&state, &visitor, &id, steer).await?;
    let redrive = state.redrives.get(&id).ok_or(redriving::NotDone::NotFound)?;
    whole(state, redrive).await
}

/// That a redrive was written down, and where it can be followed.
pub fn accepted(state: &AppState, id: &str, messages: usize) -> Response {
    let url = state.links.api_redrive_of(id);
    let mut response =
        (StatusCode::ACCEPTED, Json(json!({ "dryRun": false, "id": id, "messages": messages, "url": url.as_str() })))
            .into_response();
    if let Ok(url) = HeaderValue::from_str(url.as_str()) {
        response.headers_mut().insert(header::LOCATION, url);
    }
    response
}

async fn whole(state: AppState, redrive: Arc<Redrive>) -> Result<Response, Problem> {
    let outcome = outcome::follow(&*state.store, &state.board, &redrive).await?;
    let edit = redriving::edit_of(&state, &redrive).await?;
    answer::json(redrive.messages.len(), move || {
        let items = redrive.messages.iter().enumerate();
        let items = items.map(|(number, message)| MessageView::of(number, message, &outcome)).collect();
        let outcome = OutcomeView::of(&outcome);
        let edit = edit.as_ref().map(EditView::from);
        serde_json::to_vec(&WholeView { redrive: RedriveView::of(&redrive, &state), outcome, edit, items })
    })
    .await
}

impl<'a> RedriveView<'a> {
    fn of(redrive: &'a Redrive, state: &AppState) -> RedriveView<'a> {
        let Progress { waiting, sent, refused, unknown } = redrive.progress();
        let asked = &redrive.asked;
        RedriveView {
            id: &redrive.id,
            by: &redrive.by,
            at: Time(redrive.at),
            state: redrive.course.as_str(),
            why: match &redrive.course {
                Course::Paused { by, why } if why.is_empty() => Some(format!("paused by {by}")),
                Course::Paused { why, .. } => Some(why.clone()),
                _ => state.board.redrive_waits(&redrive.id),
            },
            filter: &asked.filter,
            to: asked.to.as_deref(),
            rate: asked.rate,
            stop_after: asked.stop_after,
            r#override: asked.overrides,
            again: &asked.again,
            edited: asked.edited.is_some(),
            messages: asked.messages,
            waiting,
            sent,
            refused,
            unknown,
            changed_at: Time(redrive.changed_at),
        }
    }
}

impl<'a> OutcomeView<'a> {
    fn of(outcome: &'a Outcome) -> OutcomeView<'a> {
        let [processed, waiting, dead_again, untold] = outcome.tally();
        OutcomeView { says: outcome.to_string(), processed, waiting, dead_again, untold, cut: outcome.cut.as_deref() }
    }
}

impl<'a> MessageView<'a> {
    fn of(number: usize, message: &'a Message, outcome: &'a Outcome) -> MessageView<'a> {
        let to =
            |target: &'a Target, offset| Some(TargetView { topic: &target.topic, partition: target.partition, offset });
        let (state, to, why) = match &message.step {
            Step::Waiting => ("waiting", None, None),
            Step::Sending(target) => ("sending", to(target, None), None),
            Step::There { target, offset, .. } => ("sent", to(target, Some(*offset)), None),
            Step::Refused(why) => ("refused", None, Some(why.as_str())),
            Step::Unknown(target, why) => ("unknown", to(target, None), Some(why.as_str())),
        };
        let after = outcome.by_number.get(&number);
        let dead_again = match after {
            Some(After::DeadAgain(position)) => Some(PositionView::from(position)),
            _ => None,
        };
        let why = why.or(match after {
            Some(After::Untold(why)) => Some(*why),
            _ => None,
        });
        let position = PositionView::from(&message.letter);
        MessageView { number, position, state, to, why, after: after.map(After::as_str), dead_again }
    }
}
