//! Our own format, the default: `{type, timestamp, data}`, as Standard Webhooks 1.0 recommends it
//! (standard-webhooks/standard-webhooks, spec/standard-webhooks.md, "Payload structure"). `webhook-*` headers carry id and signature.

use serde_json::{Value, json};
use store::alert::Alert;

use super::{Telling, or_null};

/// The longest payload, in bytes: what the specification recommends. What doesn't fit is counted in `leftOut`.
const PAYLOAD_BYTES_MAX: usize = 20_000;

/// `alert.firing`, `alert.resolved` or `alert.test`, with the alerts.
pub fn body(telling: Telling<'_>) -> Value {
    let notification = telling.notification;
    let kind = match (notification.is_test, notification.firing) {
        (true, _) => "alert.test",
        (false, true) => "alert.firing",
        (false, false) => "alert.resolved",
    };
    let mut alerts: Vec<Value> = notification.alerts.iter().map(|one| alert(telling, one)).collect();
    let mut bytes: usize = alerts.iter().map(|alert| alert.to_string().len()).sum();
    let mut left_out = notification.left_out;
    while bytes > PAYLOAD_BYTES_MAX - 2_000 && alerts.len() > 1 {
        bytes -= alerts.pop().map_or(0, |alert| alert.to_string().len());
        left_out += 1;
    }
    json!({
        "type": kind,
        "timestamp": notification.at,
        "data": {
            "webhook": notification.webhook,
            "group": notification.group,
            "status": if notification.firing { "firing" } else { "resolved" },
            "isTest": notification.is_test,
            "title": telling.notification.title(),
            "link": telling.link_to_all(),
            "alerts": alerts,
            "leftOut": left_out,
        },
    })
}

fn alert(telling: Telling<'_>, alert: &Alert) -> Value {
    json!({
        "name": alert.name,
        "kind": alert.kind,
        "severity": alert.severity,
        "state": alert.state,
        "labels": alert.labels,
        "value": alert.value,
        "summary": alert.summary,
        "link": telling.link(alert),
        "since": alert.since,
        "startedAt": or_null(alert.started_at.as_deref()),
        "endedAt": or_null(alert.ended_at.as_deref()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::given::{firing, resolved, telling};
    use super::*;

    #[test]
    fn a_payload_has_type_timestamp_and_data() {
        let body = body(telling(&firing()));
        assert_eq!(
            (&body["type"], &body["timestamp"]),
            (&json!("alert.firing"), &json!("2026-11-23T14:02:21.000000000Z"))
        );
        assert_eq!(body.as_object().unwrap().len(), 3);
        let first = &body["data"]["alerts"][0];
        assert_eq!(
            (&first["severity"], &first["state"], &first["value"]),
            (&json!("critical"), &json!("firing"), &json!("41 s"))
        );
        assert_eq!(first["link"], "https://sillage.example.org/tools/group/main/billing?from=2026-11-23T13:02:11Z");
        assert_eq!((&body["data"]["leftOut"], &first["endedAt"]), (&json!(3), &Value::Null));
        let over = super::body(telling(&resolved()));
        assert_eq!(
            (&over["type"], &over["data"]["alerts"][0]["state"]),
            (&json!("alert.resolved"), &json!("resolved"))
        );
    }

    #[test]
    fn a_payload_stays_below_what_the_standard_recommends() {
        let mut notification = firing();
        notification.alerts =
            vec![store::alert::Alert { summary: "x".repeat(1_000), ..notification.alerts[0].clone() }; 30];
        let body = body(telling(&notification));
        let told = body["data"]["alerts"].as_array().unwrap().len();
        assert!(body.to_string().len() < PAYLOAD_BYTES_MAX && told > 5);
        assert_eq!(body["data"]["leftOut"], 3 + 30 - told);
    }
}
