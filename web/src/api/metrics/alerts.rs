//! What fires, what can't be told, and whether webhooks arrive.

use store::Timestamp;
use store::alert::AlertState::{Firing, NoData, Pending};
use store::alert::{Alerts, Severity, Standing};

use super::exposition::Exposition;
use super::exposition::Kind::{Counter, Gauge};
use crate::state::AppState;

/// The names of how a current alert stands, and which alerts stand so; one that is silenced fires all the same, and nobody is told.
type State = (&'static str, fn(&Standing) -> bool);
const STATES: [State; 4] = [
    ("firing", |standing| standing.alert.state == Firing && standing.silence.is_none()),
    ("silenced", |standing| standing.alert.state == Firing && standing.silence.is_some()),
    ("pending", |standing| standing.alert.state == Pending),
    ("no_data", |standing| standing.alert.state == NoData),
];

/// Alerts, the rules in force, and webhooks.
pub fn tell(text: &mut Exposition, state: &AppState) {
    let alerts = state.board.alerts();
    text.family("sillage_alerts", Gauge, "Alerts by severity and state, of the thousand gravest.");
    for severity in [Severity::Info, Severity::Warning, Severity::Critical] {
        for (name, stands) in STATES {
            let of = |standing: &&Standing| standing.alert.severity == severity && stands(standing);
            let labels = [("severity", severity.as_str()), ("state", name)];
            text.sample("sillage_alerts", &labels, alerts.current.iter().filter(of).count() as f64);
        }
    }
    text.family("sillage_alerts_left_out", Gauge, "Alerts beyond the thousand gravest.");
    text.sample("sillage_alerts_left_out", &[], alerts.left_out as f64);
    text.family("sillage_silences", Gauge, "Silences that hold.");
    text.sample("sillage_silences", &[], alerts.silences.len() as f64);
    of_rules(text, &alerts);
    of_webhooks(text, state);
}

/// The rules in force: there are as many as somebody wrote.
fn of_rules(text: &mut Exposition, alerts: &Alerts) {
    text.family("sillage_alert_rules_refused", Gauge, "1 while the rules that were given last are not in force.");
    text.sample("sillage_alert_rules_refused", &[], f64::from(u8::from(alerts.refused.is_some())));
    text.family("sillage_alert_rule_alerts", Gauge, "Alerts of a rule, by state.");
    for status in &alerts.rules {
        for (name, stands) in STATES {
            let of = |standing: &&Standing| standing.alert.name == status.rule.name && stands(standing);
            let labels = [("rule", status.rule.name.as_str()), ("state", name)];
            text.sample("sillage_alert_rule_alerts", &labels, alerts.current.iter().filter(of).count() as f64);
        }
    }
    text.family("sillage_alert_rule_blind", Gauge, "1 while a rule can't tell, or not of everything.");
    for status in &alerts.rules {
        let labels = [("rule", status.rule.name.as_str())];
        text.sample("sillage_alert_rule_blind", &labels, f64::from(u8::from(status.problem.is_some())));
    }
    text.family("sillage_alert_rule_look_seconds", Gauge, "How long a rule's latest look took.");
    for status in &alerts.rules {
        let labels = [("rule", status.rule.name.as_str())];
        text.sample("sillage_alert_rule_look_seconds", &labels, status.took.as_secs_f64());
    }
}

/// The webhooks of the configuration. What waits for one that isn't there any more is told too.
fn of_webhooks(text: &mut Exposition, state: &AppState) {
    let webhooks = state.board.webhooks();
    text.family("sillage_webhook_state", Gauge, "1 for the state that a webhook is in.");
    for webhook in &webhooks {
        for name in ["healthy", "open", "disabled"] {
            let labels = [("webhook", webhook.name.as_str()), ("state", name)];
            text.sample("sillage_webhook_state", &labels, f64::from(u8::from(webhook.state.as_str() == name)));
        }
    }
    text.family("sillage_webhook_attempts", Counter, "Attempts at telling a webhook since the start, by outcome.");
    for webhook in &webhooks {
        for (outcome, many) in [("taken", webhook.taken), ("failed", webhook.failed)] {
            let labels = [("webhook", webhook.name.as_str()), ("outcome", outcome)];
            text.sample("sillage_webhook_attempts_total", &labels, many as f64);
        }
    }
    text.family("sillage_webhook_given_up", Counter, "Notifications since the start that a webhook was never told.");
    for webhook in &webhooks {
        let labels = [("webhook", webhook.name.as_str())];
        text.sample("sillage_webhook_given_up_total", &labels, webhook.given_up as f64);
    }
    let deliveries = state.board.deliveries();
    let mut waiting = deliveries.waiting_by_webhook();
    for webhook in &webhooks {
        waiting.entry(webhook.name.clone()).or_default();
    }
    text.family("sillage_webhook_waiting", Gauge, "Notifications that wait for a webhook.");
    for (webhook, many) in &waiting {
        text.sample("sillage_webhook_waiting", &[("webhook", webhook)], *many as f64);
    }
    let now = Timestamp::now();
    text.family("sillage_webhook_waiting_seconds", Gauge, "How long the first notification waits for a webhook.");
    for webhook in waiting.keys() {
        let asked_at = deliveries.waiting(webhook).first().map(|delivery| delivery.asked_at);
        let seconds = asked_at.map_or(0.0, |at| now.nanos_since(at).max(0) as f64 / 1e9);
        text.sample("sillage_webhook_waiting_seconds", &[("webhook", webhook)], seconds);
    }
}

#[cfg(test)]
mod tests {
    use store::alert::Outbox;
    use store::alert::deliveries::test_notification;
    use store::alert::webhook::{WebhookState, WebhookStatus};

    use super::*;
    use crate::given::{Console, empty};
    use crate::page::alerts::tests::board;

    #[tokio::test]
    async fn prometheus_is_told_what_fires_whether_rules_see_and_whether_webhooks_arrive() {
        let board = board();
        board.post_webhook(WebhookStatus {
            name: "ops".to_owned(),
            format: "slack",
            host: "https://hooks.example.org".to_owned(),
            state: WebhookState::Open(Timestamp::now()),
            succeeded_at: None,
            error: None,
            taken: 7,
            failed: 3,
            given_up: 1,
        });
        let console = Console::beside(empty(), board);
        console.write("msg_1", &Outbox::Told(test_notification("ops", true, Timestamp::now()))).await;
        console.write("msg_2", &Outbox::Told(test_notification("gone", true, Timestamp::now()))).await;
        console.page("/alerts/deliveries").await;
        let metrics = console.get("/metrics").await.body;
        let rule = "consumer group is stopped or stalled";
        for line in [
            "sillage_alerts{severity=\"critical\",state=\"firing\"} 1",
            "sillage_alerts{severity=\"critical\",state=\"silenced\"} 1",
            "sillage_alerts{severity=\"critical\",state=\"pending\"} 1",
            "sillage_alerts{severity=\"info\",state=\"no_data\"} 0",
            "sillage_silences 1",
            "sillage_alert_rules_refused 1",
            &format!("sillage_alert_rule_blind{{rule=\"{rule}\"}} 1"),
            &format!("sillage_alert_rule_alerts{{rule=\"{rule}\",state=\"firing\"}} 0"),
            "sillage_webhook_state{webhook=\"ops\",state=\"open\"} 1",
            "sillage_webhook_state{webhook=\"ops\",state=\"healthy\"} 0",
            "sillage_webhook_attempts_total{webhook=\"ops\",outcome=\"taken\"} 7",
            "sillage_webhook_attempts_total{webhook=\"ops\",outcome=\"failed\"} 3",
            "sillage_webhook_given_up_total{webhook=\"ops\"} 1",
            "sillage_webhook_waiting{webhook=\"ops\"} 1",
            "sillage_webhook_waiting{webhook=\"gone\"} 1",
        ] {
            assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
        }
        assert!(metrics.contains("sillage_webhook_waiting_seconds{webhook=\"ops\"} 0."));
    }
}
