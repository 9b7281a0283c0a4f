//! An event for PagerDuty's Events API v2, at `https://events.pagerduty.com/v2/enqueue`: it opens an incident, or closes the one that it opened.
//! (developer.pagerduty.com: "Send an alert event"; the webhook's `secret` is the integration key, `routing_key`.)

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::alert::{Alert, Severity};

use super::{Telling, cut};

/// PagerDuty's limits: of a summary in characters, and of a key in bytes.
const SUMMARY_CHARS_MAX: usize = 1_024;
const KEY_BYTES_MAX: usize = 255;

/// How many alerts the details name: an event holds 512 KB, and a person reads the first few.
const ALERTS_MAX: usize = 10;

/// An event: `trigger` or `resolve`.
pub fn body(telling: Telling<'_>, routing_key: &str) -> Value {
    let notification = telling.notification;
    let severity = notification.alerts.iter().map(|alert| alert.severity).max().unwrap_or_default();
    let first = notification.alerts.first();
    let label = |name: &str| first.and_then(|alert: &Alert| alert.labels.get(name)).map(String::as_str);
    let details: Vec<Value> =
        notification.alerts.iter().take(ALERTS_MAX).map(|alert| details(telling, alert)).collect();
    let hidden = notification.alerts.len().saturating_sub(ALERTS_MAX) + notification.left_out;
    let says = match first {
        Some(alert) => format!("{}: {}", telling.notification.title(), alert.summary),
        None => telling.notification.title(),
    };
    json!({
        "routing_key": routing_key,
        "event_action": if notification.firing { "trigger" } else { "resolve" },
        "dedup_key": dedup_key(&notification.group),
        "client": "Sillage",
        "client_url": telling.link_to_all(),
        "links": first.map(|alert| json!({ "href": telling.link(alert), "text": "Look" })).into_iter().collect::<Vec<_>>(),
        "payload": {
            "summary": cut(&says, SUMMARY_CHARS_MAX),
            "source": label("source").unwrap_or("sillage"),
            "severity": name(severity),
            "timestamp": notification.at,
            "component": label("group").or(label("topic")),
            "class": first.map(|alert| alert.kind.as_str()),
            "custom_details": { "alerts": details, "left_out": hidden },
        },
    })
}

fn name(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn details(telling: Telling<'_>, alert: &Alert) -> Value {
    json!({
        "name": alert.name,
        "state": alert.state,
        "severity": alert.severity,
        "summary": cut(&alert.summary, SUMMARY_CHARS_MAX),
        "value": alert.value,
        "labels": alert.labels,
        "since": alert.since,
        "link": telling.link(alert),
    })
}

/// What ties the events of one incident together. A group that is too long for it is known by its hash.
fn dedup_key(group: &str) -> String {
    if group.len() <= KEY_BYTES_MAX { group.to_owned() } else { hex::encode(Sha256::digest(group)) }
}

#[cfg(test)]
mod tests {
    use super::super::given::{firing, resolved, telling};
    use super::*;

    #[test]
    fn an_incident_opens_and_closes_by_one_key() {
        let (opens, closes) = (body(telling(&firing()), "R0UT1NG"), body(telling(&resolved()), "R0UT1NG"));
        assert_eq!((&opens["routing_key"], &opens["event_action"]), (&json!("R0UT1NG"), &json!("trigger")));
        assert_eq!((&closes["event_action"], &closes["dedup_key"]), (&json!("resolve"), &opens["dedup_key"]));
        let payload = &opens["payload"];
        assert_eq!(payload["summary"], "Firing: billing is late (5 alerts): billing is 41 s behind on orders");
        assert_eq!(
            (&payload["severity"], &payload["source"], &payload["component"]),
            (&json!("critical"), &json!("sillage"), &json!("billing"))
        );
        assert_eq!(payload["custom_details"]["left_out"], 3);
        assert_eq!(
            opens["links"][0]["href"],
            "https://sillage.example.org/tools/group/main/billing?from=2026-11-23T13:02:11Z"
        );
    }

    #[test]
    fn an_event_stays_within_pagerdutys_limits() {
        let mut notification = firing();
        notification.group = "g".repeat(300);
        notification.alerts[0].summary = "ü".repeat(5_000);
        let body = body(telling(&notification), "k");
        assert_eq!(body["dedup_key"].as_str().unwrap().len(), 64);
        assert_eq!(body["payload"]["summary"].as_str().unwrap().chars().count(), SUMMARY_CHARS_MAX);
    }
}
