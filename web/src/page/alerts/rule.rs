//! Writes an `[[alert]]` to paste into the configuration, and says what is wrong with it: the file stays in its owner's hands.

use askama::Template;
use axum::extract::RawQuery;
use axum::response::Response;
use serde_json::{Map, Value, json};
use store::alert::Rule;
use store::alert::kind::{KINDS, Row};

use crate::page::dead_letters::asked::pairs;
use crate::page::{Frame, render};

#[derive(Template)]
#[template(path = "page/alert_rule.html")]
struct RuleForm {
    frame: Frame,
    kinds: Vec<(&'static str, &'static str, bool)>,
    kind: &'static Row,
    fields: Vec<Field>,
    /// What is wrong with what was filled in.
    wrong: Vec<String>,
    /// The rule to paste, where all is right.
    toml: Option<String>,
}

/// One field of the form.
struct Field {
    key: &'static str,
    value: String,
    hint: &'static str,
    is_needed: bool,
}

/// What each key is for. Those that every kind has come last.
const HINTS: [(&str, &str); 21] = [
    ("source", "sources, such as main; empty for all"),
    ("group", "groups, such as billing*; several with commas, ! excludes"),
    ("topic", "topics, such as order.*"),
    ("type", "event types, such as OrderPlaced"),
    ("consumer", "consumers: groups or services"),
    ("event", "the event that something must follow"),
    ("one_of", "what must follow it; several with commas"),
    ("within", "in which time, such as 60s"),
    ("state", "stopped, stalled, fallingBehind, rewound, belowStart, …; empty for stopped, stalled"),
    ("finding", "duplicate, reaction, partitions, order, undecodable, clock; empty for all"),
    ("percentile", "1 to 99; empty for 99"),
    ("above", "a number, a time such as 30s, or a share such as 5%"),
    ("below", "where it stops; empty for the same"),
    ("over", "in which time what happened counts, such as 10m"),
    ("at_least", "with fewer it tells nothing; empty for 10"),
    ("name", "what it is called"),
    ("for", "how long it must hold, such as 2m; empty for at once"),
    ("keep_firing", "how long it must be over, such as 1m"),
    ("severity", "info, warning or critical; empty for warning"),
    ("labels", "such as team=payments; several with commas"),
    ("webhooks", "who is told; empty for every webhook"),
];

/// Of `disk_low` above and below change places.
const DISK_HINTS: [(&str, &str); 2] =
    [("below", "a size, such as 2GiB"), ("above", "where it stops; empty for the same")];

/// `GET /alerts/rule`.
pub async fn show(frame: Frame, RawQuery(query): RawQuery) -> Response {
    let given: Vec<(String, String)> = pairs(&query.unwrap_or_default()).collect();
    let value = |key: &str| {
        let given = given.iter().find(|(name, _)| name == key);
        given.map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let kind = KINDS.iter().find(|row| row.name == value("kind")).unwrap_or(&KINDS[0]);
    let is_of_kind = |key: &str| kind.needs.contains(&key) || kind.takes.contains(&key);
    let is_common = |key: &str| matches!(key, "name" | "for" | "keep_firing" | "severity" | "labels" | "webhooks");
    let fields: Vec<Field> = HINTS
        .iter()
        .filter(|(key, _)| is_of_kind(key) || is_common(key))
        .map(|&(key, hint)| Field {
            key,
            value: value(key),
            hint: match kind.name {
                "disk_low" => DISK_HINTS.iter().find(|(own, _)| *own == key).map_or(hint, |(_, hint)| *hint),
                _ => hint,
            },
            is_needed: kind.needs.contains(&key) || key == "name",
        })
        .collect();
    let (toml, wrong) = match given.iter().any(|(name, _)| name == "name") {
        true => written(kind, &fields),
        false => (None, Vec::new()),
    };
    let kinds = KINDS.iter().map(|row| (row.name, row.tells, row.name == kind.name)).collect();
    render(&RuleForm { frame, kinds, kind, fields, wrong, toml })
}

/// The rule as TOML, or what is wrong with it.
fn written(kind: &Row, fields: &[Field]) -> (Option<String>, Vec<String>) {
    let mut keys = Map::from_iter([("kind".to_owned(), json!(kind.name))]);
    for field in fields.iter().filter(|field| !field.value.is_empty()) {
        keys.insert(field.key.to_owned(), typed(field));
    }
    keys.entry("name").or_insert_with(|| json!(""));
    match serde_json::from_value::<Rule>(Value::Object(keys)) {
        Ok(rule) => match rule.check() {
            wrong if wrong.is_empty() => (Some(rule.to_toml()), wrong),
            wrong => (None, wrong),
        },
        Err(error) => (None, vec![error.to_string()]),
    }
}

/// A field's text as the type that its key has.
fn typed(field: &Field) -> Value {
    let text = field.value.as_str();
    let several = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
    match field.key {
        "state" | "finding" | "webhooks" => several().collect(),
        "source" | "group" | "topic" | "type" | "consumer" | "event" | "one_of" if text.contains(',') => {
            several().collect()
        }
        "labels" => several()
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(name, value)| (name.trim(), value.trim()))
            .collect(),
        "percentile" | "at_least" => text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number)),
        "above" | "below" => text.parse::<f64>().map_or_else(|_| json!(text), |number| json!(number)),
        _ => json!(text),
    }
}
