//! How consumer groups stand: read from the board, where each source's own rounds put it.

use std::collections::BTreeSet;

use store::alert::Kind;
use store::board::SourceState;
use store::groups::{GroupStatus, LagState};

use super::{Around, Blind, Page, Reading, Readings, Watched, duration, labels, many};

/// In which states a group needs somebody, where a rule names none.
const STATES_DEFAULT: [LagState; 2] = [LagState::Stopped, LagState::Stalled];

/// The readings of a rule on groups.
pub fn read(watched: &Watched, around: Around<'_>) -> Readings {
    let rounds = around.board.rounds();
    let mut unseen = BTreeSet::new();
    let mut found = Vec::new();
    for source in around.board.sources() {
        let name = source.name.as_str();
        if !watched.source.takes(name) || matches!(source.kind.as_str(), "otlp" | "registry") {
            continue;
        }
        if source.state != SourceState::Up || !rounds.contains_key(&source.name) {
            if source.state != SourceState::Absent {
                unseen.insert(name.to_owned());
            }
            continue;
        }
        for status in around.board.groups_of(&source.name).iter().filter(|status| watched.group.takes(&status.group)) {
            if watched.rule.topic.is_empty() {
                found.push(reading(watched, status, None, around));
                continue;
            }
            for topic in status.topics().into_iter().filter(|topic| watched.topic.takes(topic)) {
                found.push(reading(watched, status, Some(topic), around));
            }
        }
    }
    let blind = if unseen.is_empty() { Blind::Nowhere } else { Blind::At(unseen) };
    Readings { found, blind, left_out: 0 }
}

fn reading(watched: &Watched, status: &GroupStatus, topic: Option<&str>, around: Around<'_>) -> Reading {
    let (source, group) = (status.source.as_str(), status.group.as_str());
    let whose = match topic {
        Some(topic) => format!("{group} on {topic} ({source})"),
        None => format!("{group} on {source}"),
    };
    let (lag, lag_ms) = match topic {
        Some(topic) => status.of_topic(topic),
        None => (status.lag(), status.lag_ms()),
    };
    let untold = || status.unseen.clone().unwrap_or_else(|| "not known".to_owned());
    let (value, text, says) = match watched.rule.kind {
        Kind::LagRecords => {
            let text = lag.map_or_else(untold, |lag| many(lag, "record"));
            (lag.map(|lag| lag as f64), text.clone(), format!("{whose} is {text} behind"))
        }
        Kind::LagTime => {
            let text = lag_ms.map_or_else(untold, |ms| duration(ms as f64));
            (lag_ms.map(|ms| ms as f64), text.clone(), format!("{whose} is {text} behind"))
        }
        Kind::NoMembers => {
            let members = status.members.as_ref().map(Vec::len);
            let has_read = !status.partitions.is_empty();
            let text = members.map_or_else(untold, |members| many(members as u64, "member"));
            (members.map(|members| truth(members == 0 && has_read)), text, format!("{whose} has no members"))
        }
        _ => {
            let states = watched.rule.state.as_deref().unwrap_or(&STATES_DEFAULT);
            let text = words(status.state);
            let is_told = status.state != LagState::Unseen || states.contains(&LagState::Unseen);
            (is_told.then(|| truth(states.contains(&status.state))), text.clone(), format!("{whose} is {text}"))
        }
    };
    let labels = labels([("source", source), ("group", group), ("topic", topic.unwrap_or_default())]);
    let page = Page::Group { source: source.to_owned(), group: group.to_owned() };
    if status.is_current(around.now) {
        Reading { labels, value, text, says, page }
    } else {
        Reading { labels, value: None, text: "not looked at lately".to_owned(), says, page }
    }
}

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

/// A state in words: `falling behind` of `fallingBehind`.
fn words(state: LagState) -> String {
    let mut words = String::new();
    for letter in state.as_str().chars() {
        if letter.is_uppercase() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
