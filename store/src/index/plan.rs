//! How a query narrows the bundles of a segment: which terms a bundle must have for some entry of it to match.
//!
//! A query holds for one entry, a bundle has the terms of many: so only what must be there narrows, a negation never does,
//! and every entry of a hit is looked at.

use super::segment::{Damage, Segment};
use super::tokens::{self, Token};
use crate::query::{Backlog, Field, Query, Test, words};

/// How many topics narrow a question for what waits: with more, they narrow little.
const TOPICS_MAX: usize = 100;

/// Which terms a bundle must have.
#[derive(Clone, PartialEq, Debug)]
pub enum Plan {
    /// No term is asked for: every bundle may match.
    Every,
    /// This token.
    Token(Token),
    /// A term that begins like this.
    Beginning(Vec<u8>),
    /// All of these.
    All(Vec<Plan>),
    /// One of these.
    Any(Vec<Plan>),
}

impl Plan {
    /// For a query.
    pub fn new(query: &Query) -> Plan {
        match query {
            Query::And(all) => Plan::all(all.iter().map(Plan::new).collect()),
            Query::Or(any) => Plan::any(any.iter().map(Plan::new).collect()),
            Query::Term { field, test } => of_term(field, test),
            Query::Text { words, prefix } => of_words(words, *prefix),
            Query::Waits(backlog) => of_topics(backlog),
            Query::All | Query::Not(_) | Query::Kind(_) | Query::Time { .. } | Query::Flow(_) | Query::Finding(_) => {
                Plan::Every
            }
        }
    }

    /// The bundles of a segment that may match, in order; `None` for all of them.
    pub fn bundles(&self, segment: &Segment) -> Result<Option<Vec<u32>>, Damage> {
        match self {
            Plan::Every => Ok(None),
            Plan::Token(token) => segment.with_token(token).map(Some),
            Plan::Beginning(beginning) => segment.with_beginning(beginning),
            Plan::All(all) => {
                let mut common: Option<Vec<u32>> = None;
                for plan in all {
                    let Some(bundles) = plan.bundles(segment)? else { continue };
                    common = Some(match common {
                        None => bundles,
                        Some(mut common) => {
                            common.retain(|bundle| bundles.binary_search(bundle).is_ok());
                            common
                        }
                    });
                    if common.as_ref().is_some_and(Vec::is_empty) {
                        break;
                    }
                }
                Ok(common)
            }
            Plan::Any(any) => {
                let mut together = Vec::new();
                for plan in any {
                    let Some(bundles) = plan.bundles(segment)? else { return Ok(None) };
                    together.extend(bundles);
                }
                together.sort_unstable();
                together.dedup();
                Ok(Some(together))
            }
        }
    }

    fn all(plans: Vec<Plan>) -> Plan {
        let mut plans: Vec<Plan> = plans.into_iter().filter(|plan| *plan != Plan::Every).collect();
        match plans.len() {
            0 => Plan::Every,
            1 => plans.remove(0),
            _ => Plan::All(plans),
        }
    }

    fn any(plans: Vec<Plan>) -> Plan {
        if plans.contains(&Plan::Every) { Plan::Every } else { Plan::Any(plans) }
    }

    /// Some bundles have more than their terms tell, and match whatever is asked.
    fn or_more(self) -> Plan {
        match self {
            Plan::Every => Plan::Every,
            plan => Plan::Any(vec![plan, Plan::Token(tokens::more())]),
        }
    }
}

fn of_term(field: &Field, test: &Test) -> Plan {
    let test = test.folded(field);
    match (&*test, field) {
        (Test::Is(value) | Test::Begins(value), Field::Body(_) | Field::Header(_) | Field::Attribute(_))
            if is_rewritten(field, value) =>
        {
            Plan::Every
        }
        // Where the value ends in no letter, its last word is whole all the same, but asking for its beginning is never wrong.
        (Test::Is(value), Field::Body(_) | Field::Header(_) | Field::Attribute(_)) => of_words(&split(value), false),
        (
            Test::Begins(value),
            Field::Body(_)
            | Field::Header(_)
            | Field::Attribute(_)
            // Whose values' words are all among the terms. What else has a beginning has a column, which decides without reading entries.
            | Field::Trace
            | Field::Event
            | Field::Key
            | Field::Span
            | Field::Producer
            | Field::Cause,
        ) => of_words(&split(before_uuid(value)), true),
        (Test::Is(value), _) => tokens::field(field, value).map_or(Plan::Every, |token| Plan::Token(token).or_more()),
        (Test::Begins(_) | Test::Between(..) | Test::Present, _) => Plan::Every,
    }
}

fn split(text: &str) -> Vec<String> {
    words(text).map(|word| word.into_owned()).collect()
}

/// A beginning up to where it may be within a UUID, which is one word only as a whole: up to its first eight digits.
fn before_uuid(beginning: &str) -> &str {
    for (dash, _) in beginning.match_indices('-') {
        let run = beginning[..dash]
            .rfind(|c: char| !c.is_alphanumeric())
            .map_or(0, |at| at + beginning[at..].chars().next().map_or(0, char::len_utf8));
        let digits = &beginning.as_bytes()[run..dash];
        if digits.len() == UUID_FIRST_DIGITS && digits.iter().all(u8::is_ascii_hexdigit) {
            return &beginning[..dash];
        }
    }
    beginning
}

/// How many digits stand before a UUID's first dash.
const UUID_FIRST_DIGITS: usize = 8;

/// The topics in which something waits. A lookup each: beyond [`TOPICS_MAX`] of them every bundle is looked at instead.
fn of_topics(backlog: &Backlog) -> Plan {
    let topics: Vec<Plan> = backlog
        .topics()
        .take(TOPICS_MAX + 1)
        .map(|topic| of_term(&Field::Topic, &Test::Is(topic.as_str().to_owned())))
        .collect();
    if topics.len() > TOPICS_MAX { Plan::Every } else { Plan::any(topics) }
}

fn of_words(words: &[String], is_prefix: bool) -> Plan {
    let Some((last, whole)) = words.split_last() else { return Plan::Every };
    let mut plans: Vec<Plan> = whole.iter().map(|word| Plan::Token(tokens::word(word))).collect();
    plans.push(if is_prefix {
        match tokens::beginning(last) {
            Some((beginning, id)) => Plan::Any(vec![Plan::Beginning(beginning), Plan::Token(id)]),
            None => Plan::Every,
        }
    } else {
        Plan::Token(tokens::word(last))
    });
    Plan::all(plans).or_more()
}

/// Whether a value may be written otherwise in the entry's text than as a field's value: numbers and nested values of JSON are written anew.
fn is_rewritten(field: &Field, value: &str) -> bool {
    let is_number = matches!(field, Field::Body(_)) && value.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    is_number || value.starts_with(['{', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_narrows_by_its_whole_words_but_not_within_a_uuid() {
        for (beginning, before) in [
            ("order-48", "order-48"),
            ("550e8400", "550e8400"),
            ("550e8400-e29b-41", "550e8400"),
            ("é550e840-x", "é550e840-x"),
            ("tenant/550e8400-e2", "tenant/550e8400"),
            ("a550e8400-e2", "a550e8400-e2"),
        ] {
            assert_eq!(before_uuid(beginning), before, "{beginning}");
        }
        for query in ["key:order-48*", "event:550e8400-e29b-41*", "span:pro*", "cause:saga-1*", "attr.id:550e8400-e2*"]
        {
            let plan = Plan::new(&Query::parse(query).unwrap());
            assert_ne!(plan, Plan::Every, "{query}");
        }
    }
}
