//! The ids of entries in the live set: here is a key, an event id or an attribute's value, give me the entries that may have it.
//!
//! A segment has an index of all its words; the live set grows by the microsecond and has this much of one, for what is looked up most.

use crate::entry::Entry;
use crate::index::hash::hash;
use crate::index::tokens::{self, Token};
use crate::query::{Field, Query};
use crate::value::{Attributes, Value};

/// What hashes of attributes' values begin with, so that they are others than those of fields and words.
const VALUE_SEED: u64 = 0x5661_6C75;

/// What stands for "some attribute here is no plain text or number": such an entry may have whatever is asked for.
const ODD: u32 = 0x4F64_6421;

/// The shortest value of an attribute that counts as an id, in bytes; it must also have a digit. Others are had by too many entries to help.
const VALUE_BYTES_MIN: usize = 4;

/// The hashes of an entry's ids, each once.
pub fn of(entry: &Entry) -> Vec<u32> {
    let mut ids = Vec::with_capacity(16);
    tokens::ids_of_fields(entry, &mut ids);
    match entry {
        Entry::Record(_) => {}
        Entry::Span(span) => {
            let events = span.events.iter().map(|event| &event.attributes);
            [&span.attributes, &span.scope.attributes, &span.resource.attributes]
                .into_iter()
                .chain(events)
                .for_each(|attributes| add(&mut ids, attributes));
        }
        Entry::Log(log) => [&log.attributes, &log.scope.attributes, &log.resource.attributes]
            .into_iter()
            .for_each(|attributes| add(&mut ids, attributes)),
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The ids of which an entry must have one for a query to hold; `None` where any entry may match.
pub fn asked(query: &Query) -> Option<Vec<u32>> {
    match query {
        Query::And(all) => all.iter().filter_map(asked).min_by_key(Vec::len),
        Query::Or(any) => any.iter().map(asked).collect::<Option<Vec<_>>>().map(|asked| asked.concat()),
        Query::Term { field, test } => {
            let crate::query::Test::Is(value) = &*test.folded(field) else { return None };
            match field {
                Field::Attribute(_) => is_id(value).then(|| vec![of_value(value), ODD]),
                _ => match tokens::field(field, value)? {
                    Token::Id(id) => Some(vec![id]),
                    Token::Term(_) => None,
                },
            }
        }
        _ => None,
    }
}

fn add(ids: &mut Vec<u32>, attributes: &Attributes) {
    for (_, value) in attributes {
        match value {
            Value::Text(text) if is_id(text) => ids.push(of_value(text)),
            Value::Text(_) | Value::Bool(_) | Value::Empty => {}
            Value::Int(number) => {
                let text = number.to_string();
                if is_id(&text) {
                    ids.push(of_value(&text));
                }
            }
            Value::Double(_) | Value::Bytes(_) | Value::List(_) | Value::Map(_) => ids.push(ODD),
        }
    }
}

fn is_id(value: &str) -> bool {
    value.len() >= VALUE_BYTES_MIN && value.bytes().any(|byte| byte.is_ascii_digit())
}

fn of_value(value: &str) -> u32 {
    (hash(VALUE_SEED, value.as_bytes()) >> 32) as u32
}
