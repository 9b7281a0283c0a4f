//! The page and the API as an operator, a viewer and a script meet them.

use std::sync::Arc;

use axum::http::{Request, StatusCode};
use serde_json::Value;
use store::alert::deliveries::test_notification;
use store::alert::webhook::{WebhookState, WebhookStatus};
use store::alert::{Attempt, Ended, Outbox};
use store::{Board, Timestamp};

use crate::given::{Answer, Console, empty};

/// Three webhooks: one that is well, one that is let alone, one that wants no more.
fn board() -> Arc<Board> {
    let board = Arc::new(Board::default());
    let now = Timestamp::now();
    let until = now.plus(std::time::Duration::from_secs(60));
    for (name, state, error) in [
        ("ops", WebhookState::Healthy, None),
        ("late", WebhookState::Open(until), Some("it answered 503")),
        ("old", WebhookState::Disabled, Some("it answered 410")),
    ] {
        board.post_webhook(WebhookStatus {
            name: name.to_owned(),
            format: "slack",
            host: "https://hooks.example.org".to_owned(),
            state,
            succeeded_at: (name == "ops").then_some(now),
            error: error.map(str::to_owned),
            taken: 0,
            failed: 0,
            given_up: 0,
        });
    }
    board
}

async fn told(console: &Console) -> String {
    let test = Outbox::Told(test_notification("ops", true, Timestamp::now()));
    console.write("msg_1", &test).await;
    let attempt = |number, status, says: &str| {
        let next_at = Some(Timestamp::now().plus(std::time::Duration::from_secs(300)).to_string());
        Outbox::Attempted(Attempt { number, took_ms: 1_234, status, says: says.to_owned(), next_at })
    };
    console.write("msg_1", &attempt(1, None, "it can't be reached at 10.0.0.1:443: refused")).await;
    console.write("msg_1", &attempt(2, Some(503), "<b>down</b> for maintenance")).await;
    "msg_1".to_owned()
}

fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body))
}

#[tokio::test]
async fn the_page_says_how_each_webhook_stands_and_what_came_of_each_attempt() {
    let console = Console::beside(empty(), board());
    let id = told(&console).await;
    let page = console.page("/alerts/deliveries").await;
    page.shows("ops slack · https://hooks.example.org healthy").shows("; last: it answered 503 let alone");
    page.shows("its receiver said 410: it is told nothing until it is configured otherwise disabled");
    page.shows("Test. Firing: test").shows("2 503 retrying");
    let detail = console.page(&format!("/alerts/deliveries?id={id}")).await;
    detail.shows("1.23 s no answer it can't be reached at 10.0.0.1:443: refused");
    detail.shows("503 <b>down</b> for maintenance").shows("The next attempt is due at").shows("Send again");
    console.page("/alerts/deliveries?state=delivered").await.shows("None that is asked for").hides("Test. Firing");
    console.page("/alerts/deliveries?webhook=other").await.hides("Test. Firing").shows("Not only other");
    console.page("/alerts/deliveries?id=msg_9").await.shows("isn't held any more");
    Console::over(empty()).page("/alerts/deliveries").await.shows("no webhook is configured").shows("[[webhook]]");
}

#[tokio::test]
async fn older_ones_are_a_page_further() {
    let console = Console::beside(empty(), board());
    for number in 0..60 {
        let test = test_notification("ops", number % 2 == 0, Timestamp::now());
        console.write(&format!("msg_{number}"), &Outbox::Told(test)).await;
    }
    console.write("msg_3", &Outbox::Ended(Ended::Delivered)).await;
    let first = json(&console.get("/api/v1/alerts/deliveries?limit=50").await);
    assert_eq!((first["deliveries"].as_array().unwrap().len(), &first["deliveries"][0]["id"]), (50, &"msg_59".into()));
    let next = format!("/api/v1/alerts/deliveries?limit=50&cursor={}", first["next"].as_str().unwrap());
    let second = json(&console.get(&next).await);
    assert_eq!((second["deliveries"].as_array().unwrap().len(), &second["next"]), (10, &Value::Null));
    let page = console.page("/alerts/deliveries").await;
    let (_, rest) = page
        .body
        .split_once("<a class=\"button\" href=\"")
        .and_then(|_| page.body.split_once("/alerts/deliveries?before="))
        .unwrap();
    let older = format!("/alerts/deliveries?before={}", rest.split_once('"').unwrap().0);
    assert_eq!(console.page(&older).await.body.matches("Test. ").count(), 10);
    let delivered = json(&console.get("/api/v1/alerts/deliveries?state=delivered").await);
    assert_eq!(
        (delivered["deliveries"].as_array().unwrap().len(), &delivered["deliveries"][0]["id"]),
        (1, &"msg_3".into())
    );
    assert_eq!(console.get("/api/v1/alerts/deliveries?cursor=nonsense").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_operator_sends_a_test_its_end_and_something_again() {
    let console = Console::beside(empty(), board());
    let id = told(&console).await;
    console.write(&id, &Outbox::Ended(Ended::GaveUp)).await;
    let token = console.page("/alerts/deliveries").await.token().to_owned();
    let again = console.post("/alerts/deliveries", &[("token", &token), ("again", &id)]).await;
    assert_eq!((again.status, again.header("location")), (StatusCode::SEE_OTHER, "/alerts/deliveries?id=msg_1"));
    let shown = console.page(again.header("location")).await;
    assert!(shown.body.contains("name=\"after\" value=\"2\""), "the form says what its reader has seen");
    console.page(again.header("location")).await.shows("Test. Firing: test waiting").shows("It wasn't tried yet");
    for (button, title) in [("test", "Test. Firing: test"), ("end", "Test. Resolved: test")] {
        let sent = console.post("/alerts/deliveries", &[("token", &token), (button, "ops")]).await;
        console.page(sent.header("location")).await.shows(title).shows("by operator");
    }
    let unknown = console.post("/alerts/deliveries", &[("token", &token), ("test", "nobody")]).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    unknown.shows("no [[webhook]] is called nobody : late , old , ops");
    assert_eq!(
        console.post("/alerts/deliveries", &[("token", &token), ("again", "x")]).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(console.post("/alerts/deliveries", &[("token", &token)]).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        console.post("/alerts/deliveries", &[("test", "ops")]).await.status,
        StatusCode::FORBIDDEN,
        "without our token"
    );
}

#[tokio::test]
async fn a_script_needs_the_role_operate_to_send_and_view_to_look() {
    let post = |who: &'static str, body: &'static str| async move {
        let console = Console::locked(empty()).sending("authorization", who);
        console.ask(Request::post("/api/v1/alerts/deliveries"), body.to_owned()).await
    };
    assert_eq!(post("bearer view secret", r#"{"test":"ops"}"#).await.status, StatusCode::FORBIDDEN);
    let unknown = post("bearer operate secret", r#"{"test":"ops"}"#).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(unknown.body.contains("there is none"), "{}", unknown.body);
    for wrong in ["{}", r#"{"test":"a","again":"b"}"#, r#"{"tests":"a"}"#, "no"] {
        assert_eq!(post("bearer operate secret", wrong).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let viewer = Console::locked(empty()).sending("authorization", "bearer view secret");
    assert_eq!(viewer.get("/api/v1/alerts/deliveries").await.status, StatusCode::OK);
}
