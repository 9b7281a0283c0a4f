//! What fires, what fired, and which rules there are?

pub mod rule; // writes a rule to paste
pub mod silence; // that something is not told for a while

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use store::Timestamp;
use store::alert::standing::RuleStatus;
use store::alert::{Alert, AlertState, Severity, Silence, Standing};

use crate::href::Href;
use crate::page::flow::headline::Pill;
use crate::page::{Frame, render};
use crate::state::AppState;
use crate::wording;

/// How many alerts of one list are shown; the JSON has the others.
const ROWS_MAX: usize = 200;

#[derive(Template)]
#[template(path = "page/alerts.html")]
struct Alerts {
    frame: Frame,
    head: Pill,
    /// Why the configuration that was last given is not in force.
    refused: Option<(String, String)>,
    rows: Vec<Row>,
    left_out: usize,
    /// What nothing tells, and was nothing before either.
    untold: Vec<Row>,
    history: Vec<Past>,
    silences: Vec<SilenceRow>,
    rules: Vec<RuleRow>,
    are_default: bool,
    /// When the rules were looked at last; empty before they were.
    looked_at: String,
}

/// One alert that stands.
struct Row {
    pill: Pill,
    severity: &'static str,
    name: String,
    about: String,
    href: Href,
    value: String,
    says: String,
    when: String,
    lasts: String,
    told: String,
    silence: Option<String>,
    silence_href: Href,
}

/// One alert that fired.
struct Past {
    name: String,
    about: String,
    says: String,
    href: Href,
    from: String,
    to: String,
    lasted: String,
}

struct SilenceRow {
    id: String,
    rule: String,
    about: String,
    until: String,
    by: String,
    reason: String,
}

struct RuleRow {
    name: String,
    kind: &'static str,
    toml: String,
    severity: &'static str,
    subjects: String,
    told_to: String,
    problem: Option<String>,
    firing: usize,
}

/// `GET /alerts`.
pub async fn show(State(state): State<AppState>, frame: Frame) -> Response {
    let now = Timestamp::now();
    let alerts = state.board.alerts();
    let is_idle = |standing: &&Standing| standing.alert.state == AlertState::NoData;
    let is_listed = |standing: &&Standing| matches!(standing.alert.state, AlertState::Firing | AlertState::Pending);
    let rows: Vec<&Standing> = alerts.current.iter().filter(is_listed).collect();
    let pending = alerts.current.iter().filter(|standing| standing.alert.state == AlertState::Pending).count();
    let head = match (alerts.firing(), pending) {
        (0, 0) => Pill::new("ok", "nothing fires"),
        (0, pending) => Pill::new("warn", &format!("{} pending", wording::count(pending as u64))),
        (firing, _) => Pill::new("bad", &format!("{} firing", wording::count(firing as u64))),
    };
    render(&Alerts {
        head,
        refused: alerts.refused.clone().map(|(at, why)| (wording::clock_short(at, now), why)),
        left_out: alerts.left_out + rows.len().saturating_sub(ROWS_MAX),
        rows: rows.into_iter().take(ROWS_MAX).map(|standing| row(standing, &frame, now)).collect(),
        untold: alerts
            .current
            .iter()
            .filter(is_idle)
            .take(ROWS_MAX)
            .map(|standing| row(standing, &frame, now))
            .collect(),
        history: alerts.history.iter().map(|alert| past(alert, &frame, now)).collect(),
        silences: alerts.silences.iter().map(|silence| silence_row(silence, now)).collect(),
        are_default: alerts.rules.iter().any(|rule| rule.is_default),
        rules: alerts.rules.iter().map(|rule| rule_row(rule, &alerts.current)).collect(),
        looked_at: alerts.at.map_or_else(String::new, |at| wording::clock_short(at, now)),
        frame,
    })
}

fn row(standing: &Standing, frame: &Frame, now: Timestamp) -> Row {
    let alert = &standing.alert;
    let since = time(&alert.since).unwrap_or(now);
    let lasts = lasted(since, now);
    Row {
        pill: pill(alert, standing),
        severity: alert.severity.as_str(),
        name: alert.name.clone(),
        about: about(&alert.labels),
        href: frame.links.of_alert(&alert.page),
        value: alert.value.clone(),
        says: match &standing.unknown {
            Some(why) => format!("not known now: {why}"),
            None => alert.summary.clone(),
        },
        when: format!("since {}", wording::clock_short(since, now)),
        lasts: match alert.state {
            AlertState::Pending => format!("{lasts} of {}", nanos(standing.waits.as_nanos())),
            _ => lasts,
        },
        told: standing
            .told
            .iter()
            .map(|(webhook, at)| format!("{} at {}", wording::cut(webhook, 40), wording::clock_short(*at, now)))
            .collect::<Vec<_>>()
            .join(", "),
        silence: standing.silence.as_ref().map(|silence| {
            format!("silenced by {} until {}", wording::cut(&silence.by, 40), wording::clock_short(silence.until, now))
        }),
        silence_href: silence::form(&frame.links, alert),
    }
}

fn pill(alert: &Alert, standing: &Standing) -> Pill {
    match (alert.state, alert.severity) {
        (AlertState::Firing, _) if standing.silence.is_some() => Pill::new("", "silenced"),
        (AlertState::Firing, Severity::Info) => Pill::new("sea", "firing"),
        (AlertState::Firing, _) => Pill::new("bad", "firing"),
        (AlertState::Pending, _) => Pill::new("warn", "pending"),
        (AlertState::Resolved, _) => Pill::new("ok", "resolved"),
        (AlertState::NoData, _) => Pill::new("", "no data"),
    }
}

fn past(alert: &Alert, frame: &Frame, now: Timestamp) -> Past {
    let from = alert.started_at.as_deref().and_then(time).unwrap_or(now);
    let to = alert.ended_at.as_deref().and_then(time).unwrap_or(now);
    Past {
        name: alert.name.clone(),
        about: about(&alert.labels),
        says: alert.summary.clone(),
        href: frame.links.of_alert(&alert.page),
        from: wording::clock_short(from, now),
        to: wording::clock_short(to, now),
        lasted: lasted(from, to),
    }
}

fn silence_row(silence: &Silence, now: Timestamp) -> SilenceRow {
    SilenceRow {
        id: silence.id.clone(),
        rule: silence.rule.clone(),
        about: about(&silence.labels),
        until: wording::clock_short(silence.until, now),
        by: silence.by.clone(),
        reason: silence.reason.clone(),
    }
}

fn rule_row(status: &RuleStatus, current: &[Standing]) -> RuleRow {
    let rule = &status.rule;
    let fires = |standing: &&Standing| standing.alert.name == rule.name && standing.alert.state == AlertState::Firing;
    RuleRow {
        name: rule.name.clone(),
        kind: rule.kind.as_str(),
        toml: rule.to_toml(),
        severity: rule.severity.as_str(),
        subjects: match (status.looked_at, status.left_out) {
            (None, _) => "not looked at yet".to_owned(),
            (Some(_), 0) => wording::count(status.subjects as u64),
            (Some(_), left_out) => {
                format!("{}, {} left out", wording::count(status.subjects as u64), wording::count(left_out as u64))
            }
        },
        told_to: match &rule.webhooks {
            None => "every webhook".to_owned(),
            Some(webhooks) if webhooks.is_empty() => "nobody".to_owned(),
            Some(webhooks) => wording::names(webhooks),
        },
        problem: status.problem.clone(),
        firing: current.iter().filter(fires).count(),
    }
}

/// What an alert is about: the values of its labels, those that say where last.
pub fn about(labels: &std::collections::BTreeMap<String, String>) -> String {
    let all: Vec<String> = labels.iter().map(|(name, value)| format!("{name} {}", wording::cut(value, 120))).collect();
    all.join(" · ")
}

fn time(text: &str) -> Option<Timestamp> {
    Timestamp::from_rfc3339(text)
}

/// In whole seconds: it is shown again every two.
fn lasted(from: Timestamp, to: Timestamp) -> String {
    let seconds = u64::try_from(to.nanos_since(from)).unwrap_or(0) / 1_000_000_000;
    if seconds == 0 { "under 1 s".to_owned() } else { wording::duration(seconds * 1_000_000_000) }
}

fn nanos(nanos: u128) -> String {
    wording::duration(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
pub mod tests;
