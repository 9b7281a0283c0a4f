use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use store::alert::standing::RuleStatus;
use store::alert::{Alert, AlertState, Alerts, Rule, Severity, Silence, Standing};
use store::{Board, Timestamp};

use crate::given::{Console, empty};

fn ago(seconds: u64) -> Timestamp {
    Timestamp::now().minus(Duration::from_secs(seconds))
}

fn alert(name: &str, state: AlertState, since_s: u64) -> Alert {
    Alert {
        name: name.to_owned(),
        kind: "group_state".to_owned(),
        severity: Severity::Critical,
        state,
        labels: [("group", "<b>billing</b>"), ("source", "main")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        value: "stalled".to_owned(),
        summary: "billing on main is stalled".to_owned(),
        page: "group/main/billing?window=1h".to_owned(),
        since: ago(since_s).to_string(),
        started_at: (state != AlertState::Pending).then(|| ago(since_s).to_string()),
        ended_at: (state == AlertState::Resolved).then(|| ago(60).to_string()),
    }
}

fn standing(alert: Alert) -> Standing {
    Standing { alert, silence: None, told: Vec::new(), waits: Duration::from_secs(120), unknown: None }
}

fn silence() -> Silence {
    Silence {
        id: "sil_1".to_owned(),
        rule: "quiet".to_owned(),
        labels: Default::default(),
        until: Timestamp::now().plus(Duration::from_secs(600)),
        reason: "we move the broker".to_owned(),
        by: "ann".to_owned(),
        since: ago(5),
    }
}

/// A board with two alerts that fire, one of them silenced, and one that is pending.
pub fn board() -> Arc<Board> {
    let board = Board::default();
    let rule = Rule::defaults().remove(0);
    let status = RuleStatus {
        rule,
        is_default: true,
        subjects: 12,
        left_out: 0,
        problem: Some("source main can't be seen".to_owned()),
        looked_at: Some(ago(3)),
        took: Duration::ZERO,
    };
    let told = vec![("ops".to_owned(), ago(140))];
    board.post_alerts(Alerts {
        at: Some(ago(3)),
        current: vec![
            Standing { told, ..standing(alert("billing is stalled", AlertState::Firing, 150)) },
            Standing { silence: Some(silence()), ..standing(alert("quiet", AlertState::Firing, 150)) },
            standing(alert("about to", AlertState::Pending, 40)),
        ],
        left_out: 0,
        history: vec![alert("it was late", AlertState::Resolved, 360)],
        rules: vec![status],
        silences: vec![silence()],
        refused: Some((ago(10), "error: unknown key `abov`\n --> sillage.toml:3:1\n".to_owned())),
    });
    Arc::new(board)
}

#[tokio::test]
async fn the_page_says_what_fires_since_when_what_fired_for_how_long_and_what_is_silent() {
    let console = Console::beside(empty(), board());
    let page = console.page("/alerts").await;
    page.shows("Alerts 1 firing").shows("firing critical billing is stalled billing on main is stalled");
    page.shows("2 min 30 s ops at").shows("pending critical about to").shows("40 s of 2 min");
    page.shows("silenced by ann until").shows("we move the broker");
    page.shows("it was late").shows("5 min");
    page.shows("unknown key `abov` --> sillage.toml:3:1").shows("the rules before it stay in force");
    page.shows("source main can't be seen").shows("every webhook").shows("the usual ones");
    assert!(page.body.contains("href=\"/group/main/billing?window=1h\""), "with the time range");
    assert!(page.body.contains("kind = &#34;group_state&#34;"), "the rule is shown as the file has it");
    assert!(!page.body.contains("<b>billing</b>"), "names are escaped");
}

#[tokio::test]
async fn the_title_and_the_icon_of_every_page_say_that_something_fires_but_not_to_who_is_outside() {
    let console = Console::beside(empty(), board());
    for path in ["/alerts", "/", "/groups"] {
        let page = console.page(path).await;
        assert!(page.body.contains("<title>(1) "), "{path}");
        assert!(page.body.contains("icon-firing.svg"), "{path}");
    }
    console.page("/status").await;
    let quiet = Console::over(empty()).page("/alerts").await;
    assert!(quiet.body.contains("<title>Alerts") && !quiet.body.contains("icon-firing"));
    quiet.shows("nothing fires").shows("The rules were not looked at yet");
}

#[tokio::test]
async fn an_operator_silences_with_a_reason_and_an_end_and_lifts_it_again() {
    let console = Console::beside(empty(), board());
    let page = console.page("/alerts").await;
    let (_, rest) = page.body.split_once("href=\"/alerts/silence?").unwrap();
    let form = format!("/alerts/silence?{}", rest.split_once('"').unwrap().0.replace("&#38;", "&"));
    let page = console.page(&form).await;
    page.shows("The alert billing is stalled of group <b>billing</b> · source main is not told of for a while");
    let token = page.token().to_owned();
    let fields = |lasts: &'static str, reason: &'static str| {
        vec![
            ("token", token.as_str()),
            ("rule", "billing is stalled"),
            ("l", "group=billing"),
            ("lasts", lasts),
            ("reason", reason),
        ]
    };
    for (lasts, reason) in [("2h", " "), ("for ever", "why"), ("", "why")] {
        assert_eq!(console.post("/alerts/silence", &fields(lasts, reason)).await.status, 400, "{lasts} {reason}");
    }
    assert!(!console.journal().contains("silence"), "nothing was changed");
    let done = console.post("/alerts/silence", &fields("2h", "we move the broker")).await;
    assert_eq!((done.status.as_u16(), done.header("location")), (303, "/alerts"));
    assert!(console.journal().contains("we move the broker"));
    let lifted = console.post("/alerts/silence", &[("token", token.as_str()), ("lift", "sil_9")]).await;
    assert_eq!(lifted.status, 303);
    assert!(console.journal().contains("\"silence\":\"lifted\""));
    assert_eq!(console.get("/alerts/silence").await.status, 404);
}

#[tokio::test]
async fn who_may_only_look_silences_nothing() {
    let console = Console::locked(empty()).sending("authorization", "Bearer view secret");
    let fields = [("rule", "a"), ("lasts", "2h"), ("reason", "why")];
    assert_eq!(console.post("/alerts/silence", &fields).await.status, 403);
    assert!(!console.journal().contains("silence"));
}

#[tokio::test]
async fn the_form_writes_a_rule_to_paste_or_says_what_is_wrong_with_it() {
    let console = Console::over(empty());
    console.page("/alerts/rule").await.shows("Nothing yet").shows("above needed");
    let page = console
        .page("/alerts/rule?kind=lag_records&name=late&above=1000&group=billing*,!billing-test&labels=team=payments&webhooks=ops")
        .await;
    for line in ["above = 1000", "labels = { team ="] {
        page.shows(line);
    }
    page.shows("group = [\"billing*\", \"!billing-test\"]").shows("webhooks = [\"ops\"]");
    console.page("/alerts/rule?kind=lag_time&name=late&above=soon").await.shows("`soon` is no length of time");
    console.page("/alerts/rule?kind=lag_time&name=late").await.shows("`kind` lag_time needs the key above");
    console.page("/alerts/rule?kind=error_rate&name=&above=5%25").await.shows("`name` must have");
    let page = console.page("/alerts/rule?kind=finding&name=a&finding=duplicate,%20order&for=1m").await;
    page.shows("finding = [\"duplicate\", \"order\"]").shows("for = \"1m\"");
}

#[tokio::test]
async fn scripts_get_the_same() {
    let console = Console::beside(empty(), board());
    let all: Value = serde_json::from_str(&console.get("/api/v1/alerts").await.body).unwrap();
    let alerts = &all["alerts"];
    assert_eq!((&alerts[0]["name"], &alerts[0]["state"]), (&"billing is stalled".into(), &"firing".into()));
    assert_eq!((&alerts[0]["told"][0]["webhook"], &alerts[0]["forMs"]), (&"ops".into(), &120_000.0.into()));
    assert_eq!((&alerts[1]["silence"], &alerts[2]["state"]), (&"sil_1".into(), &"pending".into()));
    assert_eq!(alerts[2]["startedAt"], Value::Null);
    assert_eq!((&all["history"][0]["state"], &all["next"]), (&"resolved".into(), &Value::Null));
    assert!(all["refused"]["reason"].as_str().unwrap().contains("unknown key"));
    assert_eq!(all["rules"][0]["isDefault"], true);
    let nothing: Value = serde_json::from_str(&Console::over(empty()).get("/api/v1/alerts").await.body).unwrap();
    assert_eq!((&nothing["alerts"], &nothing["lookedAt"]), (&serde_json::json!([]), &Value::Null));
}
