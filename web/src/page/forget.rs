//! Forgets entries for good: first what would go, then, once more asked, it goes.

use askama::Template;
use axum::Form;
use axum::extract::{Extension, State};
use axum::response::Response;
use serde::Deserialize;
use store::engine::{Forgotten, StoreError};
use store::erasure::{By, ErasureError, Wanted};

use crate::door::Visitor;
use crate::page::{Frame, Problem, render};
use crate::state::AppState;
use crate::wording;

/// What the form sends.
#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    by: String,
    #[serde(default)]
    value: String,
    /// Set on the second form, which shows what would go.
    #[serde(default)]
    yes: Option<String>,
}

#[derive(Template)]
#[template(path = "page/forget.html")]
struct Forget {
    frame: Frame,
    by: &'static str,
    value: String,
    step: Step,
}

/// How far it has got.
enum Step {
    /// Nothing was asked yet.
    Ask,
    /// What was asked can't be done.
    Refused(String),
    /// Nothing is held that this names; so many that were forgotten earlier still stand in files.
    Nothing(Option<String>),
    /// So much would go.
    Would(String),
    /// So much went.
    Gone(Gone),
}

/// What went.
struct Gone {
    many: String,
    /// From which files, and how many from each.
    files: Vec<(String, String)>,
    /// Why it is hidden but not gone from every file yet.
    unfinished: Option<String>,
    /// What can't be looked into, and may hold some of it.
    unread: Vec<String>,
}

/// What may name entries, as the form offers it.
const CHOICES: [(&str, &str); 4] = [("key", "Key"), ("event", "Event id"), ("trace", "Trace id"), ("query", "Query")];

/// `GET /forget`.
pub async fn show(frame: Frame) -> Response {
    render(&Forget { frame, by: "key", value: String::new(), step: Step::Ask })
}

/// `POST /forget`.
pub async fn act(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    frame: Frame,
    Form(asked): Form<Asked>,
) -> Result<Response, Problem> {
    let by = By::from_name(&asked.by).unwrap_or(By::Key);
    let wanted = Wanted { by, value: asked.value.clone() };
    let step = if asked.yes.is_some() {
        carry_out(&state, &visitor, wanted).await.map(|forgotten| Step::Gone(gone(forgotten)))
    } else {
        wanted.preview(state.store.as_ref()).await.map(|preview| match preview.entries() {
            0 => Step::Nothing(Some(preview.erasing).filter(|erasing| *erasing > 0).map(wording::count)),
            _ => {
                let kinds = [(preview.records, "record"), (preview.spans, "span"), (preview.logs, "log")];
                let kinds = kinds.into_iter().filter(|(many, _)| *many > 0);
                let told: Vec<String> = kinds.map(|(many, kind)| wording::many(many, kind)).collect();
                let at_least = if preview.at_least { "at least " } else { "" };
                Step::Would(format!("{at_least}{}", told.join(", ")))
            }
        })
    };
    let step = match step {
        Ok(step) => step,
        Err(ErasureError::Unreadable(says)) => Step::Refused(says),
        Err(ErasureError::Store(error)) => return Err(error.into()),
    };
    // What is gone must not stand in the form any more.
    let value = if matches!(step, Step::Gone(..)) { String::new() } else { asked.value };
    Ok(render(&Forget { frame, by: by.as_str(), value, step }))
}

fn gone(forgotten: Forgotten) -> Gone {
    let files = forgotten.files.into_iter().map(|(file, entries)| (file, wording::count(entries))).collect();
    let noun = if forgotten.entries == 1 { "entry is" } else { "entries are" };
    let many = format!("{} {noun}", wording::count(forgotten.entries));
    Gone { many, files, unfinished: forgotten.unfinished, unread: forgotten.unread }
}

/// Forgets it, in the name of whoever asked. It goes on when they don't wait for the end: half of it would be worse than none.
pub async fn carry_out(state: &AppState, visitor: &Visitor, wanted: Wanted) -> Result<Forgotten, ErasureError> {
    let (store, journal) = (state.store.clone(), state.journal.clone());
    let who = visitor.name.clone().unwrap_or_else(|| "operator".to_owned());
    let work = tokio::spawn(async move { wanted.forget(store.as_ref(), &journal, &who).await });
    work.await.unwrap_or_else(|failed| Err(StoreError::Internal(failed.to_string()).into()))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::given::{Console, holding, order_journey};

    #[tokio::test]
    async fn a_key_is_forgotten_only_after_it_was_shown_what_would_go() {
        let console = Console::over(holding(order_journey()).await);
        let page = console.page("/forget").await;
        let token = page.token().to_owned();
        let fields = [("token", token.as_str()), ("by", "key"), ("value", "order-48213")];
        let would = console.post("/forget", &fields).await;
        would.shows("records").shows("This can't be undone");
        console.get("/api/v1/search?q=key:order-48213").await.shows("order-48213");
        let gone = console.post("/forget", &[&fields[..], &[("yes", "yes")]].concat()).await;
        gone.shows("gone").hides("order-48213");
        assert!(!console.get("/api/v1/search?q=key:order-48213").await.body.contains("evt-placed"));
        let journal = console.journal();
        assert!(journal.contains("forget key ") && !journal.contains("order-48213"), "{journal}");
        console.post("/forget", &fields).await.shows("Nothing is kept");
    }

    #[tokio::test]
    async fn only_an_operator_with_our_form_forgets() {
        let console = Console::over(holding(order_journey()).await);
        let asked = [("by", "key"), ("value", "order-48213"), ("yes", "yes")];
        assert_eq!(console.post("/forget", &asked).await.status, StatusCode::FORBIDDEN);
        let viewer = Console::locked(holding(order_journey()).await).sending("authorization", "bearer view secret");
        assert_eq!(viewer.post("/forget", &asked).await.status, StatusCode::FORBIDDEN);
        let operator =
            Console::locked(holding(order_journey()).await).sending("authorization", "bearer operate secret");
        operator.post("/forget", &asked).await.shows("gone");
        assert!(operator.journal().contains("\"by\":\"operate\""));
        operator
            .post("/forget", &[("by", "query"), ("value", "flow:(status:dead)")])
            .await
            .shows("asks of whole flows");
    }

    #[tokio::test]
    async fn the_api_runs_dry_unless_told_otherwise() {
        let operator =
            Console::locked(holding(order_journey()).await).sending("authorization", "bearer operate secret");
        let post = |body: &'static str| operator.ask(axum::http::Request::post("/api/v1/forget"), body.to_owned());
        let dry = post(r#"{"event":"evt-reserved-9120"}"#).await;
        assert!(dry.body.contains(r#""dryRun":true"#) && !dry.body.contains(r#""entries":0"#), "{}", dry.body);
        let done = post(r#"{"event":"evt-reserved-9120","yes":true}"#).await;
        assert!(done.body.contains(r#""dryRun":false"#), "{}", done.body);
        assert!(post(r#"{"event":"evt-reserved-9120"}"#).await.body.contains(r#""entries":0"#));
        for wrong in ["{}", "no", r#"{"key":"a","event":"b"}"#, r#"{"query":"key:("}"#] {
            assert_eq!(post(wrong).await.status, StatusCode::BAD_REQUEST, "{wrong}");
        }
    }
}
