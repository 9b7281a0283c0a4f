//! Silences an alert, or all of a rule, for a while and with a reason; and lifts a silence. The collector reads it in the journal.

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use store::alert::silence::{REASON_BYTES_MAX, SILENCES_MAX, Wanted, lift};
use store::alert::{Alert, Alerts};
use store::{StoreError, Timestamp};

use super::about;
use crate::door::Visitor;
use crate::href::{Href, Links};
use crate::page::dead_letters::asked::pairs;
use crate::page::{Frame, Problem, render};
use crate::state::AppState;
use crate::wording;

/// For how long, to choose: the word in the form, what people call it, how long it is.
pub const LENGTHS: &[(&str, &str, Duration)] = &[
    ("30m", "30 minutes", Duration::from_secs(1_800)),
    ("2h", "2 hours", Duration::from_secs(7_200)),
    ("8h", "8 hours", Duration::from_secs(28_800)),
    ("24h", "24 hours", Duration::from_secs(86_400)),
    ("3d", "3 days", Duration::from_secs(259_200)),
    ("7d", "7 days", Duration::from_secs(604_800)),
];

/// How long the page waits for a silence to be in force before it is shown again.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(2);

/// How many labels one silence names.
const LABELS_MAX: usize = 40;

#[derive(Template)]
#[template(path = "page/alert_silence.html")]
struct SilenceForm {
    frame: Frame,
    rule: String,
    labels: Vec<(String, String)>,
    about: String,
    of_rule: Href,
}

/// The form that silences an alert.
pub fn form(links: &Links, alert: &Alert) -> Href {
    let form = links.alert_silence().with("rule", &alert.name);
    alert.labels.iter().fold(form, |form, (name, value)| form.with("l", &format!("{name}={value}")))
}

/// `GET /alerts/silence`.
pub async fn show(frame: Frame, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let Some((rule, labels)) = meant(&query.unwrap_or_default()) else {
        return Err(Problem::not_found("No rule is named that could be silenced.")
            .try_instead("All alerts", frame.links.alerts()));
    };
    let of_rule = frame.links.alert_silence().with("rule", &rule);
    Ok(render(&SilenceForm { about: about(&labels), labels: labels.into_iter().collect(), rule, of_rule, frame }))
}

/// The rule and the labels that an address or a form names.
fn meant(query: &str) -> Option<(String, BTreeMap<String, String>)> {
    let mut rule = None;
    let mut labels = BTreeMap::new();
    for (name, value) in pairs(query) {
        match name.as_str() {
            "rule" if !value.is_empty() => rule = Some(value),
            "l" if labels.len() < LABELS_MAX => {
                let (label, value) = value.split_once('=')?;
                labels.insert(label.to_owned(), value.to_owned());
            }
            _ => {}
        }
    }
    Some((rule?, labels))
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// What was asked for can't be.
    #[error("{0}")]
    Wrong(String),
    /// It can't be written down.
    #[error("it can't be written to the journal")]
    Store(#[from] StoreError),
}

/// `POST /alerts/silence`.
pub async fn act(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    frame: Frame,
    form: String,
) -> Result<Response, Problem> {
    let done = match pairs(&form).find(|(field, _)| field == "lift") {
        Some((_, id)) => end(&state, &visitor, &id).await,
        None => match wanted(&form) {
            Ok(wanted) => begin(&state, &visitor, wanted).await.map(|_| ()),
            Err(says) => Err(NotDone::Wrong(says)),
        },
    };
    match done {
        Ok(()) => Ok(Redirect::to(frame.links.alerts().as_str()).into_response()),
        Err(NotDone::Store(error)) => Err(error.into()),
        Err(NotDone::Wrong(says)) => Err(Problem::new(StatusCode::BAD_REQUEST, "This can't be done")
            .because(&format!("Nothing was changed: {says}."))
            .try_instead("All alerts", frame.links.alerts())),
    }
}

/// What a form wants to be silent; what is wrong with it in words.
fn wanted(form: &str) -> Result<Wanted, String> {
    let value = |name: &str| pairs(form).find(|(field, _)| field == name).map(|(_, value)| value).unwrap_or_default();
    let (rule, labels) = meant(form).ok_or("the form names no rule")?;
    let lasts = value("lasts");
    let length = LENGTHS.iter().find(|(word, ..)| *word == lasts).map(|(.., length)| *length);
    let length = length.ok_or("a silence needs an end: choose for how long")?;
    Ok(Wanted { rule, labels, until: Timestamp::now().plus(length), reason: value("reason") })
}

/// Begins a silence in the name of whoever wants it, and gives its id. It is in force, and shown, unless that takes very long.
pub async fn begin(state: &AppState, visitor: &Visitor, wanted: Wanted) -> Result<String, NotDone> {
    let wrong = |says: &str| Err(NotDone::Wrong(says.to_owned()));
    let reason = wanted.reason.trim().to_owned();
    if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
        return wrong(&format!("a silence needs a reason of at most {}", wording::bytes(REASON_BYTES_MAX as u64)));
    }
    if wanted.labels.len() > LABELS_MAX {
        return wrong(&format!("a silence names at most {LABELS_MAX} labels"));
    }
    if state.board.alerts().silences.len() >= SILENCES_MAX {
        return wrong("there are too many silences: end some first");
    }
    let id = Wanted { reason, ..wanted }.begin(&state.journal, who(visitor)).await?;
    shown(state, &id, true).await;
    Ok(id)
}

/// Ends a silence before its time.
pub async fn end(state: &AppState, visitor: &Visitor, id: &str) -> Result<(), NotDone> {
    lift(&state.journal, id, who(visitor)).await?;
    shown(state, id, false).await;
    Ok(())
}

fn who(visitor: &Visitor) -> &str {
    visitor.name.as_deref().unwrap_or("operator")
}

/// Waits until pages show that a silence holds, or that it doesn't. It does so already; a reader only wants to see it.
async fn shown(state: &AppState, id: &str, holds: bool) {
    let mut alerts = state.board.watch_alerts();
    let is_shown = |alerts: &Alerts| alerts.silences.iter().any(|silence| silence.id == id);
    let _ = tokio::time::timeout(IN_FORCE_WITHIN, alerts.wait_for(|alerts| is_shown(alerts) == holds)).await;
}
