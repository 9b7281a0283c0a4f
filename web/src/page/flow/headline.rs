//! What a flow is called, and what came of it, in a few words.

use store::Record;
use store::flow::{DeliveryState, Flow, Outcome};

use crate::wording;

/// What a flow is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Headline {
    /// What began it: an event's type, else the topic of a record without one, else a span's name.
    pub what: String,
    /// Whose it is: the key, else nothing.
    pub key: String,
}

impl Headline {
    /// Of a flow: told by its first record that is no copy.
    pub fn of(flow: &Flow) -> Headline {
        let record = flow.each_record().find(|record| record.failure.is_none()).or(flow.each_record().next());
        if let Some(record) = record {
            let what = record.event.event_type.clone().unwrap_or_else(|| untyped(record));
            let key = record.key_text().or(record.event.id.as_deref()).unwrap_or_default();
            return Headline { what: wording::cut(&what, 120), key: wording::cut(&wording::visible(key), 120) };
        }
        let what = match (flow.each_span().next(), flow.logs.first().and_then(|joined| joined.held.entry.as_log())) {
            (Some(span), _) => format!("{} {}", span.service(), span.name),
            (None, Some(log)) => format!("{} {}", log.service(), log.severity_name()),
            (None, None) => "Nothing".to_owned(),
        };
        Headline { what: wording::cut(&what, 120), key: String::new() }
    }
}

/// What a record is called whose event type can't be told.
pub fn untyped(record: &Record) -> String {
    format!("record on {}", record.position.channel)
}

/// A word or a few on a coloured ground, with a sign: never colour alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pill {
    /// `ok`, `warn`, `bad`, `sea`, or empty.
    pub tone: &'static str,
    /// What it says.
    pub text: String,
}

impl Pill {
    /// With a tone and words.
    pub fn new(tone: &'static str, text: &str) -> Pill {
        Pill { tone, text: text.to_owned() }
    }

    /// What came of a flow.
    pub fn of(flow: &Flow) -> Pill {
        match flow.outcome {
            Outcome::DeadLettered => Pill::new("bad", &told("dead-lettered", &consumers(flow, is_dead))),
            Outcome::Failed => {
                let by_delivery = consumers(flow, |state| state == DeliveryState::Failed);
                let services =
                    || flow.each_span().filter(|span| span.failed()).map(|span| span.service().to_owned()).collect();
                let whom = if by_delivery.is_empty() { distinct(services()) } else { by_delivery };
                Pill::new("bad", &told("failed", &whom))
            }
            Outcome::Waiting => {
                let retrying = consumers(flow, |state| state == DeliveryState::Retrying);
                let waiting = consumers(flow, |state| matches!(state, DeliveryState::Waiting(_)));
                match (retrying.is_empty(), waiting.is_empty()) {
                    (false, _) => Pill::new("warn", &told("to be tried again", &retrying)),
                    (true, false) => Pill::new("warn", &format!("{}{}", told("waiting", &waiting), ahead(flow))),
                    (true, true) => Pill::new("warn", "under way"),
                }
            }
            Outcome::Retried => Pill::new(
                "warn",
                &match flow.retries {
                    0 => "ok after a retry".to_owned(),
                    1 => "ok after 1 retry".to_owned(),
                    many => format!("ok after {} retries", wording::count(u64::from(many))),
                },
            ),
            Outcome::Ok => Pill::new("ok", "ok"),
        }
    }
}

fn is_dead(state: DeliveryState) -> bool {
    state == DeliveryState::DeadLettered
}

fn told(word: &str, whom: &[String]) -> String {
    match whom {
        [] => word.to_owned(),
        [one] => format!("{word} in {}", wording::cut(one, 40)),
        more => format!("{word} in {} consumers", more.len()),
    }
}

/// How many offsets are ahead of what waits, where one delivery alone does: `: 12 ahead`.
fn ahead(flow: &Flow) -> String {
    let mut waiting = flow.deliveries.iter().filter_map(|delivery| match delivery.state {
        DeliveryState::Waiting(ahead) => Some(ahead),
        _ => None,
    });
    match (waiting.next(), waiting.next()) {
        (Some(Some(0)), None) => ": next in line".to_owned(),
        (Some(Some(ahead)), None) => format!(": {} ahead", wording::count(ahead)),
        _ => String::new(),
    }
}

fn consumers(flow: &Flow, stands: impl Fn(DeliveryState) -> bool) -> Vec<String> {
    distinct(
        flow.deliveries
            .iter()
            .filter(|delivery| stands(delivery.state))
            .map(|delivery| delivery.consumer.clone())
            .collect(),
    )
}

fn distinct(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}
