//! What a webhook is told, in the words that its receiver knows. One file a format, all from the same notification.

pub mod alertmanager; // Prometheus' Alertmanager: what it sends, and what it takes
pub mod pagerduty; // an incident that opens or closes
pub mod slack; // a message to a channel
pub mod standard; // our own, the default
pub mod teams; // a card in a channel
pub mod template; // what the configuration says

use bytes::Bytes;
use serde_json::Value;
use store::alert::{Alert, AlertState, Notification};

use super::config::Format;
use super::target::Target;

/// A notification, with what is needed to tell it.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// The notification's id.
    pub id: &'a str,
    /// What is told.
    pub notification: &'a Notification,
    /// The address under which people reach Sillage, with a slash at its end.
    pub base: &'a str,
}

/// What is posted to a webhook. The same at every attempt.
pub fn body(target: &Target, telling: Telling<'_>) -> Bytes {
    let path = target.uri.path();
    let json = match (target.format, &target.template) {
        (Format::Template, Some(template)) => return template.fill(telling).into(),
        (Format::Standard | Format::Template, _) => standard::body(telling),
        (Format::Alertmanager, _) if alertmanager::is_push(path) => alertmanager::push(telling),
        (Format::Alertmanager, _) => alertmanager::body(telling),
        (Format::Slack, _) => slack::body(telling),
        (Format::Teams, _) => teams::body(telling),
        (Format::Pagerduty, _) => pagerduty::body(telling, target.routing_key.as_deref().unwrap_or_default()),
    };
    json.to_string().into()
}

impl Telling<'_> {
    /// The page of an alert.
    fn link(&self, alert: &Alert) -> String {
        format!("{}{}", self.base, alert.page.trim_start_matches('/'))
    }

    /// The page of all alerts.
    fn link_to_all(&self) -> String {
        format!("{}alerts", self.base)
    }

    /// How many alerts aren't named: `and 3 more`; `None` where all are.
    fn left_out(&self) -> Option<String> {
        let many = self.notification.left_out;
        (many > 0).then(|| format!("and {many} more"))
    }
}

/// Whether an alert is over.
fn is_over(alert: &Alert) -> bool {
    alert.state == AlertState::Resolved
}

/// The beginning of a text, at most so many characters, with `…` where something is missing.
fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Labels as people read them: `group = billing, topic = orders`.
fn labels(alert: &Alert) -> String {
    alert.labels.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ")
}

/// A JSON value, or null.
fn or_null(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::from)
}

#[cfg(test)]
pub(super) mod given {
    //! Notifications for the formats' tests.

    use std::collections::BTreeMap;

    use store::alert::Severity;

    use super::*;

    pub const BASE: &str = "https://sillage.example.org/tools/";

    /// Billing is late on two topics; the second says what an attacker would.
    pub fn firing() -> Notification {
        let alert = |topic: &str, summary: &str| Alert {
            name: "billing is late".to_owned(),
            kind: "lag_time".to_owned(),
            severity: Severity::Critical,
            state: AlertState::Firing,
            labels: BTreeMap::from([
                ("group".to_owned(), "billing".to_owned()),
                ("topic".to_owned(), topic.to_owned()),
            ]),
            value: "41 s".to_owned(),
            summary: summary.to_owned(),
            page: "group/main/billing?from=2026-11-23T13:02:11Z".to_owned(),
            since: "2026-11-23T14:02:11.000000000Z".to_owned(),
            started_at: Some("2026-11-23T14:02:11.000000000Z".to_owned()),
            ended_at: None,
        };
        Notification {
            webhook: "ops".to_owned(),
            group: "billing is late/main".to_owned(),
            firing: true,
            is_test: false,
            alerts: vec![
                alert("orders", "billing is 41 s behind on orders"),
                alert("a\"}<!channel>\n[x](http://evil.example)", "late on \"a\"}<!channel>\n{{id}} *now*"),
            ],
            left_out: 3,
            at: "2026-11-23T14:02:21.000000000Z".to_owned(),
        }
    }

    /// The same, over.
    pub fn resolved() -> Notification {
        let mut notification = Notification { firing: false, left_out: 0, ..firing() };
        notification.alerts.truncate(1);
        notification.alerts[0].state = AlertState::Resolved;
        notification.alerts[0].ended_at = Some("2026-11-23T14:12:11.000000000Z".to_owned());
        notification
    }

    pub fn telling(notification: &Notification) -> Telling<'_> {
        Telling { id: "msg_1", notification, base: BASE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!((cut("äöü", 3).as_str(), cut("äöü", 2).as_str(), cut("", 2).as_str()), ("äöü", "ä…", ""));
    }
}
