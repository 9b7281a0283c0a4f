//! Dead letters: how many, and whether there is a cause that was not there before.

use std::collections::BTreeMap;
use std::time::Duration;

use store::dead_letters::{self, DeadLetter, DeadLetters, State, Wanted};
use store::{StoreError, Timestamp};

use super::{Around, Blind, Labels, Page, Reading, Readings, Watched, duration, labels, many as how_many};

/// For how long a cause counts as new, where a rule doesn't say.
const NEW_FOR_DEFAULT: Duration = Duration::from_secs(3_600);

/// How many dead letters are open on each topic; with `over`, how many of them died so lately.
pub async fn many(watched: &Watched, around: Around<'_>) -> Result<Readings, StoreError> {
    let found = list(around, State::Open).await?;
    let from = watched.rule.over.map(|over| around.now.minus(over.0));
    let mut by_topic: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for letter in found.letters.iter().filter(|letter| takes(watched, letter)) {
        let many = by_topic.entry((letter.position.source.as_str(), letter.position.channel.as_str())).or_default();
        *many += u64::from(from.is_none_or(|from| letter.died_at >= from));
    }
    let readings = by_topic.into_iter().map(|((source, topic), many)| {
        let text = how_many(many, "dead letter");
        let says = match watched.rule.over {
            Some(over) => format!("{text} on {topic} ({source}) in {}", duration(over.0.as_secs_f64() * 1e3)),
            None => format!("{text} on {topic} ({source})"),
        };
        let narrowed = vec![("source", source.to_owned()), ("topic", topic.to_owned())];
        let page = Page::DeadLetters { narrowed };
        Reading { labels: labels([("source", source), ("topic", topic)]), value: Some(many as f64), text, says, page }
    });
    Ok(seen_in_part(readings.collect(), &found))
}

/// What is known of one cause.
struct Cause<'a> {
    letter: &'a DeadLetter,
    first: Timestamp,
    open: u64,
    topics: Vec<&'a str>,
}

/// The causes of which somebody died lately, and nobody before that.
pub async fn new_causes(watched: &Watched, around: Around<'_>) -> Result<Readings, StoreError> {
    // Those that were dismissed say that a cause is old.
    let found = list(around, State::Any).await?;
    let new_for = watched.rule.over.map_or(NEW_FOR_DEFAULT, |over| over.0);
    let mut causes: BTreeMap<String, Cause<'_>> = BTreeMap::new();
    for letter in found.letters.iter().filter(|letter| takes(watched, letter)) {
        let first = letter.died_at;
        let known = causes.entry(letter.cause_id()).or_insert(Cause { letter, first, open: 0, topics: Vec::new() });
        known.first = known.first.min(first);
        known.open += u64::from(letter.dismissal.is_none());
        let topic = letter.position.channel.as_str();
        if !known.topics.contains(&topic) {
            known.topics.push(topic);
        }
    }
    let readings = causes.into_iter().map(|(id, cause)| {
        let is_new = cause.first >= around.now.minus(new_for);
        // Of a cause that goes on beyond what was looked at nobody can say that it is new.
        reading(&id, &cause, (found.cut.is_none() || !is_new).then_some(is_new))
    });
    Ok(seen_in_part(readings.collect(), &found))
}

fn reading(id: &str, cause: &Cause<'_>, is_new: Option<bool>) -> Reading {
    let consumer = cause.letter.consumer.as_deref().unwrap_or_default();
    let name = exception(cause.letter);
    let text = how_many(cause.open, "dead letter");
    let whose = if consumer.is_empty() { String::new() } else { format!(" in {consumer}") };
    Reading {
        labels: cause_labels(id, name, consumer, cause),
        value: is_new.map(|is_new| if is_new && cause.open > 0 { 1.0 } else { 0.0 }),
        says: format!(
            "new cause{whose}: {}, {text} on {}",
            name.unwrap_or("no exception told"),
            cause.topics.join(", ")
        ),
        text,
        page: Page::DeadLetters { narrowed: vec![("cause", id.to_owned())] },
    }
}

fn cause_labels(id: &str, name: Option<&str>, consumer: &str, cause: &Cause<'_>) -> Labels {
    let source = cause.letter.position.source.as_str();
    let mut labels = labels([("source", source), ("cause", id), ("consumer", consumer)]);
    if let Some(name) = name {
        labels.insert("exception".to_owned(), name.to_owned());
    }
    labels
}

/// The exception's type, where what a header says is nothing but the name of one: its words are somebody's payload, and stay with us.
fn exception(letter: &DeadLetter) -> Option<&str> {
    const LETTERS_MAX: usize = 120;
    let name = letter.cause.exception.as_deref()?;
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '$' | ':' | '/');
    (name.len() <= LETTERS_MAX && name.chars().all(is_name)).then_some(name)
}

async fn list(around: Around<'_>, state: State) -> Result<DeadLetters, StoreError> {
    let wanted = Wanted { state, ..Wanted::default() };
    dead_letters::list(around.store, around.decided, &wanted).await
}

fn takes(watched: &Watched, letter: &DeadLetter) -> bool {
    watched.source.takes(letter.position.source.as_str())
        && watched.topic.takes(letter.position.channel.as_str())
        && watched.consumer.takes(letter.consumer.as_deref().unwrap_or_default())
        && watched.event_type.takes(letter.event_type.as_deref().unwrap_or_default())
}

/// Where only the newest were looked at, what isn't among them may be there all the same.
fn seen_in_part(readings: Vec<Reading>, found: &DeadLetters) -> Readings {
    let blind = found.cut.as_ref().map_or(Blind::Nowhere, |cut| Blind::Everywhere(cut.clone()));
    Readings { found: readings, blind, left_out: 0 }
}
