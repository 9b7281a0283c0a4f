//! What is not told of for a while: `alerts/silences`; and `POST alerts/silences` with
//! `{"rule": NAME, "labels": {"group": "billing"}, "lasts": "2h", "reason": "..."}`, which answers 201 with the silence's id, or with
//! `{"end": ID}`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use store::Timestamp;
use store::alert::Silence;
use store::alert::silence::Wanted;
use store::config::Period;

use super::problem::{Problem, read_body};
use super::view::Time;
use crate::door::Visitor;
use crate::page::alerts::silence::{self, NotDone};
use crate::state::AppState;

/// The longest silence: what nobody is told of for longer is a rule to change.
const LASTS_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);

/// All silences that hold, those that end soonest first. `next` is always null: there are a thousand at most.
#[derive(Serialize)]
pub struct SilencesView {
    silences: Vec<SilenceView>,
    next: Option<String>,
}

/// One silence.
#[derive(Serialize)]
pub struct SilenceView {
    id: String,
    rule: String,
    labels: BTreeMap<String, String>,
    since: Time,
    until: Time,
    reason: String,
    by: String,
}

/// What is ordered: a silence, or the end of one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    rule: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    lasts: Option<Period>,
    reason: Option<String>,
    end: Option<String>,
}

/// The silence that was begun or ended.
#[derive(Serialize)]
pub struct Told {
    id: String,
}

/// `GET alerts/silences`.
pub async fn list(State(state): State<AppState>) -> Json<SilencesView> {
    let silences = state.board.alerts().silences.iter().cloned().map(SilenceView::from).collect();
    Json(SilencesView { silences, next: None })
}

/// `POST alerts/silences`.
pub async fn act(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    body: Bytes,
) -> Result<(StatusCode, Json<Told>), Problem> {
    let body: Body = read_body(&body)?;
    match body {
        Body { end: Some(id), rule: None, lasts: None, reason: None, labels } if labels.is_empty() => {
            if !state.board.alerts().silences.iter().any(|silence| silence.id == id) {
                return Err(Problem::not_found(format!("no silence that holds has the id `{id}`")));
            }
            silence::end(&state, &visitor, &id).await.map_err(problem)?;
            Ok((StatusCode::OK, Json(Told { id })))
        }
        Body { end: None, rule: Some(rule), lasts: Some(lasts), reason: Some(reason), labels } => {
            let alerts = state.board.alerts();
            if !alerts.rules.iter().any(|status| status.rule.name == rule) {
                let known: Vec<&str> = alerts.rules.iter().map(|status| status.rule.name.as_str()).collect();
                let says = format!("no rule in force is called `{rule}`; these are: {}", known.join(", "));
                return Err(Problem::not_found(says));
            }
            if lasts.0.is_zero() || lasts.0 > LASTS_MAX {
                return Err(Problem::unreadable(format!("`lasts` must be above 0s and at most {}", Period(LASTS_MAX))));
            }
            let wanted = Wanted { rule, labels, until: Timestamp::now().plus(lasts.0), reason };
            let id = silence::begin(&state, &visitor, wanted).await.map_err(problem)?;
            Ok((StatusCode::CREATED, Json(Told { id })))
        }
        _ => Err(Problem::unreadable("give `rule`, `lasts` and `reason`, and maybe `labels`; or only `end`")),
    }
}

fn problem(error: NotDone) -> Problem {
    match error {
        NotDone::Wrong(says) => Problem::unreadable(says),
        NotDone::Store(error) => error.into(),
    }
}

impl From<Silence> for SilenceView {
    fn from(silence: Silence) -> SilenceView {
        SilenceView {
            id: silence.id,
            rule: silence.rule,
            labels: silence.labels,
            since: Time(silence.since),
            until: Time(silence.until),
            reason: silence.reason,
            by: silence.by,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde_json::Value;

    use super::*;
    use crate::given::{Answer, Console, empty};
    use crate::page::alerts::tests::board;

    const RULE: &str = "consumer group is stopped or stalled";

    async fn post(console: &Console, body: &str) -> Answer {
        console.ask(Request::post("/api/v1/alerts/silences"), body.to_owned()).await
    }

    fn json(answer: &Answer) -> Value {
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body))
    }

    /// Somebody with the role `operate`, beside some alerts.
    fn operator() -> Console {
        Console::locked_beside(empty(), board()).sending("authorization", "Bearer operate secret")
    }

    #[tokio::test]
    async fn a_script_lists_begins_and_ends_silences_in_its_own_name() {
        let console = operator();
        let all = json(&console.get("/api/v1/alerts/silences").await);
        assert_eq!((&all["silences"][0]["id"], &all["silences"][0]["by"]), (&"sil_1".into(), &"ann".into()));
        assert_eq!(all["next"], Value::Null);
        let begun = format!(r#"{{"rule":"{RULE}","labels":{{"group":"billing"}},"lasts":"90m","reason":" we move "}}"#);
        let begun = post(&console, &begun).await;
        assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.body);
        let id = json(&begun)["id"].as_str().unwrap().to_owned();
        let journal = console.journal();
        assert!(journal.contains(&id) && journal.contains("\"by\":\"operate\"") && journal.contains("\"we move\""));
        let ended = post(&console, r#"{"end":"sil_1"}"#).await;
        assert_eq!((ended.status, &json(&ended)["id"]), (StatusCode::OK, &"sil_1".into()));
        assert!(console.journal().contains("\"silence\":\"lifted\""));
    }

    #[tokio::test]
    async fn what_silences_nothing_or_for_ever_is_refused_with_what_to_write() {
        let console = operator();
        let wrong = |keys: &str| format!(r#"{{"rule":"{RULE}",{keys}}}"#);
        for (body, status, says) in [
            (wrong(r#""lasts":"2h""#), 400, "give `rule`, `lasts` and `reason`"),
            (wrong(r#""lasts":"2h","reason":" ""#), 400, "needs a reason"),
            (wrong(r#""lasts":"soon","reason":"a""#), 400, "can't be read"),
            (wrong(r#""lasts":"0s","reason":"a""#), 400, "at most 30d"),
            (wrong(r#""lasts":"31d","reason":"a""#), 400, "at most 30d"),
            (wrong(r#""lasts":"2h","reason":"a","label":{}"#), 400, "unknown field `label`"),
            (wrong(r#""end":"sil_1""#), 400, "or only `end`"),
            (r#"{"rule":"late","lasts":"2h","reason":"a"}"#.to_owned(), 404, RULE),
            (r#"{"end":"sil_9"}"#.to_owned(), 404, "no silence that holds has the id `sil_9`"),
            ("no".to_owned(), 400, "can't be read"),
        ] {
            let answer = post(&console, &body).await;
            assert_eq!(answer.status, status, "{body}: {}", answer.body);
            assert!(json(&answer)["detail"].as_str().unwrap().contains(says), "{body}: {}", answer.body);
        }
        assert!(!console.journal().contains("silence"), "nothing was changed");
    }

    #[tokio::test]
    async fn who_may_only_look_sees_silences_and_begins_and_ends_none() {
        let viewer = Console::locked_beside(empty(), board()).sending("authorization", "Bearer view secret");
        assert_eq!(viewer.get("/api/v1/alerts/silences").await.status, StatusCode::OK);
        for body in [format!(r#"{{"rule":"{RULE}","lasts":"2h","reason":"a"}}"#), r#"{"end":"sil_1"}"#.to_owned()] {
            assert_eq!(post(&viewer, &body).await.status, StatusCode::FORBIDDEN);
        }
        let open = Console::beside(empty(), board());
        let without = post(&open, r#"{"end":"sil_1"}"#).await;
        assert_eq!(without.status, StatusCode::FORBIDDEN, "without a token a page elsewhere could send it");
        let stranger = Console::locked_beside(empty(), board());
        assert_eq!(stranger.get("/api/v1/alerts/silences").await.status, StatusCode::UNAUTHORIZED);
        assert!(!viewer.journal().contains("silence") && !open.journal().contains("silence"));
    }
}
