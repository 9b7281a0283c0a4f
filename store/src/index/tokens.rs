//! The terms under which a segment's index keeps an entry, and which of them a question needs.
//!
//! Both sides stand here, because they must agree: whatever a query holds for must have the terms that the query asks for.
//! The other way round doesn't matter, because every hit is looked at.

use std::collections::HashSet;

use super::hash::hash;
use crate::entry::Entry;
use crate::query::{Field, TEXT_BYTES_MAX, text, words};
use crate::value::{Attributes, Value};

/// The terms of the entries of one bundle, without repetition.
#[derive(Debug, Default)]
pub struct Tokens {
    terms: HashSet<Vec<u8>>,
    scratch: Vec<u8>,
}

/// What a term begins with: what kind of term it is.
const WORD: u8 = b'w';
const ID: u8 = b'#';
const ID_BEGINNING: u8 = b'^';
const FIELD: u8 = b'f';
/// Stands for "some entry here says more than the terms tell": must be looked at whatever is asked.
const MORE: u8 = b'+';

/// How many terms one bundle may have; beyond that it must always be looked at. Most have under two hundred.
const TERMS_MAX: usize = 20_000;

/// A word with a digit and at least this long is an id: there are so many of them that their text would swell the index.
const ID_BYTES_MIN: usize = 6;

/// How much of an id's beginning is kept as text, so that `ord48*` narrows at all.
const ID_BEGINNING_BYTES: usize = 3;

/// The fields with fixed names whose values are terms. `duration` and `age` are asked by ranges; partitions are too few to narrow.
const FIELDS: [(u8, Field); 16] = [
    (1, Field::Trace),
    (2, Field::Event),
    (3, Field::Type),
    (4, Field::Key),
    (5, Field::Topic),
    (6, Field::Offset),
    (7, Field::Source),
    (8, Field::Group),
    (9, Field::Service),
    (10, Field::Span),
    (11, Field::Status),
    (12, Field::Role),
    (13, Field::Producer),
    (14, Field::Version),
    (15, Field::Cause),
    (16, Field::Kind),
];

impl Tokens {
    /// Adds an entry's terms.
    pub fn add(&mut self, entry: &Entry) {
        if self.terms.len() > TERMS_MAX {
            return;
        }
        for (number, field) in &FIELDS {
            for value in field.values(entry) {
                self.term(|term| field_term(term, *number, &value));
            }
        }
        let pieces = text(entry);
        let mut text_bytes = 0;
        for piece in &pieces {
            text_bytes += piece.len();
            self.words(piece);
        }
        if text_bytes >= TEXT_BYTES_MAX || hides_words(entry) {
            self.term(|term| term.push(MORE));
        }
        self.values_beside_text(entry);
    }

    /// Values that fields have but the text lacks: those of scopes, and bytes as hexadecimal digits.
    fn values_beside_text(&mut self, entry: &Entry) {
        match entry {
            Entry::Record(record) => {
                for value in record.headers.iter().filter_map(|header| header.value.as_ref()) {
                    if std::str::from_utf8(value).is_err() {
                        self.words(&hex::encode(value));
                    }
                }
            }
            Entry::Span(span) => {
                self.bytes(&span.attributes);
                span.events.iter().for_each(|event| self.bytes(&event.attributes));
                self.bytes(&span.resource.attributes);
                self.all(&span.scope.attributes);
            }
            Entry::Log(log) => {
                self.bytes(&log.attributes);
                self.bytes(&log.resource.attributes);
                self.all(&log.scope.attributes);
            }
        }
    }

    fn bytes(&mut self, attributes: &Attributes) {
        for (_, value) in attributes {
            match value {
                Value::Bytes(bytes) => self.words(&hex::encode(bytes)),
                Value::List(items) => {
                    for item in items.iter().filter(|item| matches!(item, Value::Bytes(_))) {
                        self.words(&item.to_string());
                    }
                }
                _ => {}
            }
        }
    }

    fn all(&mut self, attributes: &Attributes) {
        for (_, value) in attributes {
            match value {
                Value::List(items) => items.iter().for_each(|item| self.words(&item.to_string())),
                other => self.words(&other.to_string()),
            }
        }
    }

    /// The terms, sorted. The bundle must always be looked at where there were too many.
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        if self.terms.len() > TERMS_MAX {
            self.terms.insert(vec![MORE]);
        }
        let mut terms: Vec<Vec<u8>> = self.terms.into_iter().collect();
        terms.sort_unstable();
        terms
    }

    fn words(&mut self, piece: &str) {
        for word in words(piece) {
            if self.terms.len() > TERMS_MAX {
                return;
            }
            if is_id(&word) {
                self.term(|term| {
                    term.push(ID_BEGINNING);
                    term.extend_from_slice(&word.as_bytes()[..ID_BEGINNING_BYTES]);
                });
            }
            self.term(|term| word_term(term, &word));
        }
    }

    fn term(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.scratch.clear();
        write(&mut self.scratch);
        if !self.terms.contains(self.scratch.as_slice()) {
            self.terms.insert(self.scratch.clone());
        }
    }
}

/// What every bundle has that must be looked at whatever is asked.
pub fn more() -> Vec<u8> {
    vec![MORE]
}

/// The term of a whole word.
pub fn word(word: &str) -> Vec<u8> {
    let mut term = Vec::new();
    word_term(&mut term, word);
    term
}

/// Terms of words that begin like this: beginnings to look for, and one exact term; `None` where it is too short to narrow.
pub fn beginning(text: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let first = text.as_bytes().get(..ID_BEGINNING_BYTES)?;
    let plain = [&[WORD], text.as_bytes()].concat();
    Some((plain, [&[ID_BEGINNING], first].concat()))
}

/// The term of a field's value; `None` for fields whose values are no terms. The value must be folded ([`Field::fold`]).
pub fn field(field: &Field, value: &str) -> Option<Vec<u8>> {
    let (number, _) = FIELDS.iter().find(|(_, known)| known == field)?;
    let mut term = Vec::new();
    field_term(&mut term, *number, value);
    Some(term)
}

fn field_term(term: &mut Vec<u8>, number: u8, value: &str) {
    term.push(FIELD);
    term.push(number);
    term.extend_from_slice(&hash(u64::from(number), value.as_bytes()).to_be_bytes());
}

fn word_term(term: &mut Vec<u8>, word: &str) {
    if is_id(word) {
        term.push(ID);
        term.extend_from_slice(&hash(0, word.as_bytes()).to_be_bytes());
    } else {
        term.push(WORD);
        term.extend_from_slice(word.as_bytes());
    }
}

fn is_id(word: &str) -> bool {
    word.len() >= ID_BYTES_MIN && word.bytes().any(|byte| byte.is_ascii_digit())
}

/// Whether fields of the body have values whose words are not among those of the text: JSON in a log's text keeps its escapes.
fn hides_words(entry: &Entry) -> bool {
    match entry {
        Entry::Log(log) => {
            matches!(&log.body, Value::Text(text) if text.trim_start().starts_with('{') && text.contains('\\'))
        }
        Entry::Record(_) | Entry::Span(_) => false,
    }
}
