//! Prometheus' Alertmanager, both ways: what it sends to its webhooks, so that whatever takes that takes ours, and what it takes itself.
//!
//! Sent: version 4 of its webhook (prometheus/alertmanager, docs/configuration.md, `<webhook_config>`; the types in template/template.go).
//! Taken: `postableAlerts` at `/api/v2/alerts` (api/v2/openapi.yaml). There an alert without an end is over after `resolve_timeout`, five minutes,
//! unless it is sent again; we send when something changes, so an alert gets an end that lies behind the next time it is told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use store::Timestamp;
use store::alert::Alert;

use super::{Telling, is_over};

/// How long an alert fires at an Alertmanager that hears no more of it: longer than any usual repeat interval, so that it doesn't end by
/// itself while it lasts; and not for ever, should we never come back to end it.
const FIRES_FOR: Duration = Duration::from_secs(24 * 3_600);

/// What Go writes for no time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Whether a path is Alertmanager's own API, and not one of its receivers.
pub fn is_push(path: &str) -> bool {
    path.trim_end_matches('/').ends_with("/api/v2/alerts")
}

/// What Alertmanager would post to a webhook.
pub fn body(telling: Telling<'_>) -> Value {
    let notification = telling.notification;
    let all: Vec<BTreeMap<String, String>> = notification.alerts.iter().map(labels).collect();
    let is_common = |(name, value): &(&String, &String)| all.iter().all(|labels| labels.get(*name) == Some(value));
    let common: BTreeMap<&String, &String> = all.first().into_iter().flatten().filter(is_common).collect();
    let alerts: Vec<Value> = notification.alerts.iter().map(|alert| sent(telling, alert)).collect();
    json!({
        "version": "4",
        "groupKey": notification.group,
        "truncatedAlerts": notification.left_out,
        "status": if notification.firing { "firing" } else { "resolved" },
        "receiver": notification.webhook,
        "groupLabels": { "alertname": common.get(&"alertname".to_owned()) },
        "commonLabels": common,
        "commonAnnotations": {},
        "externalURL": telling.base.trim_end_matches('/'),
        "alerts": alerts,
    })
}

/// What Alertmanager takes.
pub fn push(telling: Telling<'_>) -> Value {
    let alerts = telling.notification.alerts.iter().map(|alert| {
        let ends_at = match &alert.ended_at {
            Some(ended_at) if is_over(alert) => ended_at.clone(),
            _ => Timestamp::from_rfc3339(&telling.notification.at).unwrap_or_default().plus(FIRES_FOR).to_string(),
        };
        json!({
            "labels": labels(alert),
            "annotations": annotations(alert),
            "startsAt": alert.started_at.as_deref().unwrap_or(&alert.since),
            "endsAt": ends_at,
            "generatorURL": telling.link(alert),
        })
    });
    alerts.collect()
}

fn sent(telling: Telling<'_>, alert: &Alert) -> Value {
    let labels = labels(alert);
    json!({
        "status": if is_over(alert) { "resolved" } else { "firing" },
        "fingerprint": fingerprint(&labels),
        "labels": labels,
        "annotations": annotations(alert),
        "startsAt": alert.started_at.as_deref().unwrap_or(&alert.since),
        "endsAt": alert.ended_at.as_deref().filter(|_| is_over(alert)).unwrap_or(NEVER),
        "generatorURL": telling.link(alert),
    })
}

fn annotations(alert: &Alert) -> Value {
    json!({ "summary": alert.summary, "value": alert.value })
}

/// An alert's labels, under names that every Alertmanager takes: letters, digits and `_`.
fn labels(alert: &Alert) -> BTreeMap<String, String> {
    let taken = |name: &str| -> String {
        let plain = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' });
        let begins_with_digit = name.starts_with(|letter: char| letter.is_ascii_digit());
        begins_with_digit.then_some('_').into_iter().chain(plain).collect()
    };
    let own = alert.labels.iter().filter(|(_, value)| !value.is_empty());
    let mut labels: BTreeMap<String, String> = own.map(|(name, value)| (taken(name), value.clone())).collect();
    labels.insert("alertname".to_owned(), alert.name.clone());
    let severity = serde_json::to_value(alert.severity).ok();
    labels.insert("severity".to_owned(), severity.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned());
    labels
}

/// FNV-1a over names and values, each with a byte behind it that no text has (prometheus/common, model/signature.go).
fn fingerprint(labels: &BTreeMap<String, String>) -> String {
    let bytes = labels.iter().flat_map(|(name, value)| [name.as_bytes(), &[0xff], value.as_bytes(), &[0xff]]).flatten();
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::super::given::{firing, resolved, telling};
    use super::*;

    #[test]
    fn a_receiver_of_alertmanagers_webhooks_gets_version_4() {
        let body = body(telling(&firing()));
        let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
        let mut documented = [
            "version",
            "groupKey",
            "truncatedAlerts",
            "status",
            "receiver",
            "groupLabels",
            "commonLabels",
            "commonAnnotations",
            "externalURL",
            "alerts",
        ];
        documented.sort_unstable();
        let mut keys: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(keys, documented);
        assert_eq!(
            (&body["version"], &body["status"], &body["truncatedAlerts"]),
            (&json!("4"), &json!("firing"), &json!(3))
        );
        assert_eq!(
            body["commonLabels"],
            json!({ "alertname": "billing is late", "group": "billing", "severity": "critical" })
        );
        assert_eq!(body["groupLabels"], json!({ "alertname": "billing is late" }));
        let first = &body["alerts"][0];
        assert_eq!((&first["labels"]["topic"], &first["endsAt"]), (&json!("orders"), &json!(NEVER)));
        assert_eq!(first["fingerprint"].as_str().unwrap().len(), 16);
        assert_ne!(first["fingerprint"], body["alerts"][1]["fingerprint"]);
        let over = super::body(telling(&resolved()));
        assert_eq!(
            (&over["alerts"][0]["status"], &over["alerts"][0]["endsAt"]),
            (&json!("resolved"), &json!("2026-11-23T14:12:11.000000000Z"))
        );
    }

    #[test]
    fn alertmanager_itself_gets_a_list_whose_alerts_last_until_they_are_over() {
        assert!(is_push("/api/v2/alerts") && is_push("/am/api/v2/alerts/") && !is_push("/hook"));
        let list = push(telling(&firing()));
        assert_eq!(list.as_array().unwrap().len(), 2);
        assert_eq!(
            (&list[0]["startsAt"], &list[0]["endsAt"]),
            (&json!("2026-11-23T14:02:11.000000000Z"), &json!("2026-11-24T14:02:21.000000000Z"))
        );
        assert_eq!(push(telling(&resolved()))[0]["endsAt"], "2026-11-23T14:12:11.000000000Z");
    }

    #[test]
    fn names_of_labels_are_such_as_prometheus_takes() {
        let mut notification = resolved();
        notification.alerts[0].labels = BTreeMap::from([
            ("team.name".to_owned(), "ä".to_owned()),
            ("2nd".to_owned(), "b".to_owned()),
            ("empty".to_owned(), String::new()),
        ]);
        let labels = labels(&notification.alerts[0]);
        assert_eq!(labels.keys().collect::<Vec<_>>(), ["_2nd", "alertname", "severity", "team_name"]);
    }

    #[test]
    fn a_fingerprint_is_the_one_that_prometheus_computes() {
        // prometheus/common, model/signature_test.go: no labels, and two of them.
        assert_eq!(fingerprint(&BTreeMap::new()), format!("{:016x}", 14_695_981_039_346_656_037_u64));
        let two = BTreeMap::from([
            ("first-label".to_owned(), "first-label-value".to_owned()),
            ("name".to_owned(), "garland, briggs".to_owned()),
        ]);
        assert_eq!(
            fingerprint(&BTreeMap::from([
                ("fear".to_owned(), "love is not enough".to_owned()),
                ("name".to_owned(), "garland, briggs".to_owned())
            ])),
            format!("{:016x}", 5_799_056_148_416_392_346_u64)
        );
        assert_eq!(fingerprint(&two).len(), 16);
    }
}
