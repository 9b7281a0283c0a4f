//! How alerts stand: `alerts`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use store::alert::standing::RuleStatus;
use store::alert::{Alert, Standing};

use super::silences::SilenceView;
use super::view::Time;
use crate::state::AppState;

/// All alerts. `next` is always null: at most a thousand are told, the gravest first, and `leftOut` says how many more there are.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertsView {
    alerts: Vec<AlertView>,
    history: Vec<AlertView>,
    silences: Vec<SilenceView>,
    rules: Vec<RuleView>,
    /// Why the configuration that was last given is not in force.
    refused: Option<RefusedView>,
    looked_at: Option<Time>,
    left_out: usize,
    next: Option<String>,
}

/// One alert. What isn't known is null.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertView {
    name: String,
    kind: String,
    severity: &'static str,
    state: &'static str,
    since: String,
    started_at: Option<String>,
    ended_at: Option<String>,
    labels: BTreeMap<String, String>,
    value: String,
    summary: String,
    /// The page that shows it, below the public address.
    page: String,
    for_ms: Option<f64>,
    unknown: Option<String>,
    silence: Option<String>,
    told: Vec<ToldView>,
}

#[derive(Serialize)]
struct ToldView {
    webhook: String,
    at: Time,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleView {
    name: String,
    kind: &'static str,
    is_default: bool,
    toml: String,
    subjects: usize,
    left_out: usize,
    problem: Option<String>,
    looked_at: Option<Time>,
    took_ms: f64,
}

#[derive(Serialize)]
struct RefusedView {
    at: Time,
    reason: String,
}

/// `alerts`.
pub async fn list(State(state): State<AppState>) -> Json<AlertsView> {
    let alerts = state.board.alerts();
    Json(AlertsView {
        alerts: alerts.current.iter().cloned().map(AlertView::from).collect(),
        history: alerts.history.iter().cloned().map(AlertView::of).collect(),
        silences: alerts.silences.iter().cloned().map(SilenceView::from).collect(),
        rules: alerts.rules.iter().cloned().map(RuleView::from).collect(),
        refused: alerts.refused.clone().map(|(at, reason)| RefusedView { at: Time(at), reason }),
        looked_at: alerts.at.map(Time),
        left_out: alerts.left_out,
        next: None,
    })
}

impl AlertView {
    fn of(alert: Alert) -> AlertView {
        AlertView {
            name: alert.name,
            kind: alert.kind,
            severity: alert.severity.as_str(),
            state: alert.state.as_str(),
            since: alert.since,
            started_at: alert.started_at,
            ended_at: alert.ended_at,
            labels: alert.labels,
            value: alert.value,
            summary: alert.summary,
            page: alert.page,
            for_ms: None,
            unknown: None,
            silence: None,
            told: Vec::new(),
        }
    }
}

impl From<Standing> for AlertView {
    fn from(standing: Standing) -> AlertView {
        AlertView {
            for_ms: Some(standing.waits.as_secs_f64() * 1e3),
            unknown: standing.unknown,
            silence: standing.silence.map(|silence| silence.id),
            told: standing.told.into_iter().map(|(webhook, at)| ToldView { webhook, at: Time(at) }).collect(),
            ..AlertView::of(standing.alert)
        }
    }
}

impl From<RuleStatus> for RuleView {
    fn from(status: RuleStatus) -> RuleView {
        RuleView {
            toml: status.rule.to_toml(),
            kind: status.rule.kind.as_str(),
            name: status.rule.name,
            is_default: status.is_default,
            subjects: status.subjects,
            left_out: status.left_out,
            problem: status.problem,
            looked_at: status.looked_at.map(Time),
            took_ms: status.took.as_secs_f64() * 1e3,
        }
    }
}
