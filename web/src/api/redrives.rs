//! What would be sent back of what died: `POST redrives` with
//! `{"source", "topic", "consumer", "type", "cause", "state", "at": ["main/orders.DLT/0@16"], "to", "override"}`, each of which may be left out.
//!
//! With `"value"` the one message that is asked for is sent with that value in place of its own.
//!
//! A dry run, unless `"dryRun": false` asks for it to be sent. Then these may be given, too: `"again"`, the other groups that may get
//! messages again, `"againUnknown"`, `"rate"` and `"stopAfter"`; and the answer is 202 with the redrive's id.

pub mod all; // the redrives that there are, and what becomes of them

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use store::redrive::{self, DryRun, Edit, Item, Plan, Wish};

use super::answer::{self, ENTRIES_MAX};
use super::problem::{Problem, read_body};
use super::view::PositionView;
use crate::difference::Difference;
use crate::door::Visitor;
use crate::page::dead_letters::asked::Asked;
use crate::redriving::{self, Edited, NotDone, Order};
use crate::state::AppState;

/// What is to be sent back, and how.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Body {
    source: Option<String>,
    topic: Option<String>,
    consumer: Option<String>,
    r#type: Option<String>,
    cause: Option<String>,
    state: Option<String>,
    #[serde(default)]
    at: Vec<String>,
    to: Option<String>,
    #[serde(default)]
    r#override: bool,
    #[serde(default = "yes")]
    dry_run: bool,
    #[serde(default)]
    again: Vec<String>,
    #[serde(default)]
    again_unknown: bool,
    rate: Option<u32>,
    stop_after: Option<u32>,
    value: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DryRunView<'a> {
    dry_run: bool,
    /// How many dead letters were looked at, how many of them would be sent, and how many of these were redriven before.
    messages: usize,
    would_be_sent: usize,
    redriven_before: usize,
    targets: Vec<TargetView<'a>>,
    /// Other groups that would get messages again, and how many.
    again: Vec<AgainView<'a>>,
    /// Of how many messages on their way to their origin's topic nobody can say who has processed them.
    again_unknown: usize,
    obstacles: Vec<ObstacleView>,
    /// What the given value changes; null where none is given, or where it is what the message has.
    edit: Option<EditView>,
    items: Vec<ItemView<'a>>,
    cut: Option<&'a str>,
}

/// What becomes of a message's value.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EditView {
    bytes_before: usize,
    bytes_after: usize,
    /// Line by line, each with `- `, `+ ` or two spaces before it; JSON is laid out, one value a line.
    difference: String,
    /// What somebody should know before it is sent.
    warning: Option<String>,
}

impl From<&Edit> for EditView {
    fn from(edit: &Edit) -> EditView {
        EditView {
            bytes_before: edit.before.len(),
            bytes_after: edit.after.len(),
            difference: Difference::between(&edit.before, &edit.after).to_text(),
            warning: edit.warning(),
        }
    }
}

#[derive(Serialize)]
struct TargetView<'a> {
    source: &'a str,
    topic: &'a str,
    messages: usize,
}

#[derive(Serialize)]
struct AgainView<'a> {
    group: &'a str,
    messages: usize,
}

#[derive(Serialize)]
struct ObstacleView {
    why: String,
    messages: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemView<'a> {
    position: PositionView<'a>,
    key: Option<&'a str>,
    consumer: Option<&'a str>,
    /// Null where it can't be sent.
    to: Option<ToView<'a>>,
    /// Why it can't be; null where it can.
    obstacle: Option<String>,
    /// Null where it isn't known, or where it doesn't go to the origin's topic.
    again: Option<&'a [String]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToView<'a> {
    topic: &'a str,
    target: &'static str,
    partition: i32,
    partition_by: &'static str,
    redrive: u32,
    /// Whose key, value and headers are sent: `origin` as kept, or `deadLetter` without what was added to it; `broker` where something was
    /// taken out of what is kept, so that they come from there.
    bytes_of: &'static str,
    bytes: usize,
    headers_removed: &'a [String],
}

/// `redrives`.
pub async fn act(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    body: Bytes,
) -> Result<Response, Problem> {
    let mut body: Body = read_body(&body)?;
    let (sends, again, again_unknown) = (!body.dry_run, std::mem::take(&mut body.again), body.again_unknown);
    let (rate, stop_after) = (body.rate, body.stop_after);
    let edited = body.value.take().map(Edited::Exact);
    let wish = wish(body)?;
    if sends {
        let order = Order { wish, rate, stop_after, again, again_unknown, edited };
        let (id, messages) = redriving::start(&state, &visitor, order).await?;
        return Ok(all::accepted(&state, &id, messages));
    }
    let run = redrive::dry_run(&*state.store, &state.board, state.decided().await?, &state.redrive, &wish).await?;
    let edit = match edited {
        Some(edited) => {
            redriving::edit(&state, &run, edited).map_err(|error| Problem::unreadable(error.to_string()))?
        }
        None => None,
    };
    answer::json(run.items.len(), move || {
        let edit = edit.as_ref().map(EditView::from);
        serde_json::to_vec(&DryRunView { edit, ..DryRunView::from(&run) })
    })
    .await
}

impl From<NotDone> for Problem {
    fn from(error: NotDone) -> Problem {
        match error {
            NotDone::Off => Problem::new(StatusCode::FORBIDDEN, error.to_string()),
            NotDone::Unreadable(says) => Problem::unreadable(says),
            NotDone::NotFound => Problem::not_found(error.to_string()),
            NotDone::Conflict(says) => Problem::new(StatusCode::CONFLICT, says),
            NotDone::Store(error) => error.into(),
        }
    }
}

/// The same words as in an address of `dead-letters`, read by the same code.
fn wish(body: Body) -> Result<Wish, Problem> {
    let mut href = crate::href::Links::below("").api_dead_letters();
    let given = [
        ("source", body.source),
        ("topic", body.topic),
        ("consumer", body.consumer),
        ("type", body.r#type),
        ("cause", body.cause),
        ("state", body.state),
    ];
    for (name, value) in given.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        href = if value.is_empty() { href.with_empty(name) } else { href.with(name, &value) };
    }
    for name in &body.at {
        href = href.with("at", name);
    }
    let href = href.to_string();
    let query = href.split_once('?').map_or("", |(_, query)| query);
    let asked = Asked::read(query).map_err(Problem::unreadable)?.whatever_is_named();
    let to = body.to.filter(|topic| !topic.is_empty());
    Ok(Wish { wanted: asked.wanted, newest: None, to, overrides: body.r#override })
}

impl<'a> From<&'a DryRun> for DryRunView<'a> {
    fn from(run: &'a DryRun) -> DryRunView<'a> {
        let plans = || run.items.iter().filter_map(|item| Some((item, item.outcome.as_ref().ok()?)));
        let again = run.items.iter().flat_map(|item| item.again.iter().flatten().map(String::as_str));
        let targets = plans().map(|(item, plan)| (item.letter.position.source.as_str(), plan.topic.as_str()));
        let obstacles = run.items.iter().filter_map(|item| Some(item.outcome.as_ref().err()?.to_string()));
        DryRunView {
            dry_run: true,
            messages: run.items.len(),
            would_be_sent: plans().count(),
            redriven_before: plans().filter(|(_, plan)| plan.redrive > 1).count(),
            targets: tally(targets)
                .into_iter()
                .map(|((source, topic), messages)| TargetView { source, topic, messages })
                .collect(),
            again: tally(again).into_iter().map(|(group, messages)| AgainView { group, messages }).collect(),
            again_unknown: run.items.iter().filter(|item| item.again_is_unknown()).count(),
            obstacles: tally(obstacles).into_iter().map(|(why, messages)| ObstacleView { why, messages }).collect(),
            edit: None,
            items: run.items.iter().take(ENTRIES_MAX).map(ItemView::from).collect(),
            cut: run.cut.as_deref(),
        }
    }
}

fn tally<T: Ord>(things: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut tally = BTreeMap::new();
    for thing in things {
        *tally.entry(thing).or_default() += 1;
    }
    tally
}

impl<'a> From<&'a Item> for ItemView<'a> {
    fn from(item: &'a Item) -> ItemView<'a> {
        let letter = &item.letter;
        ItemView {
            position: PositionView::from(&letter.position),
            key: letter.key.as_deref(),
            consumer: letter.consumer.as_deref(),
            to: item.outcome.as_ref().ok().map(ToView::from),
            obstacle: item.outcome.as_ref().err().map(ToString::to_string),
            again: item.again.as_deref(),
        }
    }
}

impl<'a> From<&'a Plan> for ToView<'a> {
    fn from(plan: &'a Plan) -> ToView<'a> {
        ToView {
            topic: &plan.topic,
            target: plan.target.as_str(),
            partition: plan.partition,
            partition_by: plan.chosen_by.as_str(),
            redrive: plan.redrive,
            bytes_of: match (plan.is_redacted, plan.is_of_origin) {
                (true, _) => "broker",
                (false, true) => "origin",
                (false, false) => "deadLetter",
            },
            bytes: plan.value.as_ref().map_or(0, |value| value.len()),
            headers_removed: &plan.removed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::http::Request;
    use serde_json::{Value, json};
    use store::memory::Memory;
    use store::{Checkpoint, Store, fixture};

    use super::*;
    use crate::given::Console;

    async fn console(secret: &str) -> Console {
        let store = Arc::new(Memory::new());
        let letter = |offset| fixture::record("orders.DLT", 0, offset).key("order-1").dead("billing", "declined");
        let entries = vec![letter(0).from("orders", 3, 18).entry(), letter(1).entry()];
        store.append(entries, Checkpoint::none("main".into())).await.unwrap();
        Console::locked(store).sending("authorization", &format!("Bearer {secret} secret"))
    }

    async fn ask(console: &Console, body: &Value) -> (StatusCode, Value) {
        let answer = console.ask(Request::post("/api/v1/redrives"), body.to_string()).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }

    #[tokio::test]
    async fn without_a_word_it_is_a_dry_run_that_says_what_stands_in_the_way() {
        let console = console("operate").await;
        let (status, told) = ask(&console, &json!({})).await;
        assert_eq!(status, StatusCode::OK, "{told}");
        assert_eq!((&told["dryRun"], &told["messages"], &told["wouldBeSent"]), (&json!(true), &json!(2), &json!(0)));
        assert_eq!(told["obstacles"].as_array().unwrap().len(), 2, "the topic is gone; nothing tells the topic");
        let (_, told) = ask(&console, &json!({ "at": ["main/orders.DLT/0@1"] })).await;
        assert_eq!(told["messages"], 1);
        assert!(told["items"][0]["obstacle"].as_str().unwrap().contains("name one to send it to"), "{told}");
    }

    #[tokio::test]
    async fn what_can_not_be_read_or_done_is_told_and_nobody_who_only_looks_may_ask() {
        let operator = console("operate").await;
        for (body, expected, part) in [
            (json!({ "dryRun": false }), StatusCode::FORBIDDEN, "set `enabled = true` in [redrive]"),
            (json!({ "at": ["orders"] }), StatusCode::BAD_REQUEST, "names no dead letter"),
            (json!({ "tpoic": "orders" }), StatusCode::BAD_REQUEST, "tpoic"),
        ] {
            let (status, told) = ask(&operator, &body).await;
            assert_eq!(status, expected, "{told}");
            assert!(told["detail"].as_str().unwrap().contains(part), "{told}");
        }
        let (status, _) = ask(&console("view").await, &json!({})).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
}
