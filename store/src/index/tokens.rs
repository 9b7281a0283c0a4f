//! The terms under which a segment's index keeps an entry, and which of them a question needs.
//!
//! Both sides stand here, because they must agree: whatever a query holds for must have the terms that the query asks for.
//! The other way round doesn't matter, because every hit is looked at.

use std::collections::HashSet;

use foldhash::fast::FixedState;

use super::hash::hash;
use crate::entry::Entry;
use crate::query::{Field, TEXT_BYTES_MAX, text, words};
use crate::value::{Attributes, Value};

/// The terms of the entries of one bundle, without repetition.
#[derive(Debug, Default)]
pub struct Tokens {
    terms: HashSet<Vec<u8>, FixedState>,
    ids: HashSet<u32, FixedState>,
    /// Hashes of the texts that were split already: the entries of one trace repeat most of what they say.
    split: HashSet<u64, FixedState>,
    scratch: Vec<u8>,
}

/// The terms of one bundle.
#[derive(Debug, Default)]
pub struct BundleTerms {
    /// Words and values of fields with few values: for tantivy.
    pub terms: Vec<Vec<u8>>,
    /// Hashes of ids and values of fields with many values: for a table of [`pairs`](super::segment::pairs).
    pub ids: Vec<u32>,
}

/// What a term begins with: what kind of term it is.
const WORD: u8 = b'w';
const ID_BEGINNING: u8 = b'^';
const FIELD: u8 = b'f';
/// Stands for "some entry here says more than the terms tell": must be looked at whatever is asked.
const MORE: u8 = b'+';

/// How many terms one bundle may have; beyond that it must always be looked at. Most have under two hundred.
const TERMS_MAX: usize = 20_000;

/// A word with a digit and at least this long is an id: there are so many of them that their text would swell the index.
const ID_BYTES_MIN: usize = 4;

/// How much of an id's beginning is kept as text, so that `ord48*` narrows at all.
const ID_BEGINNING_BYTES: usize = 3;

/// What hashes of words begin with, so that they are others than those of fields.
const WORD_SEED: u64 = 0;

/// The fields with fixed names whose values are terms, each with a number that never changes, and whether it has few values.
/// `duration` and `age` are asked by ranges; partitions are too few to narrow.
const FIELDS: [(u8, Field, bool); 16] = [
    (1, Field::Trace, false),
    (2, Field::Event, false),
    (3, Field::Type, true),
    (4, Field::Key, false),
    (5, Field::Topic, true),
    (6, Field::Offset, false),
    (7, Field::Source, true),
    (8, Field::Group, true),
    (9, Field::Service, true),
    (10, Field::Span, true),
    (11, Field::Status, true),
    (12, Field::Role, true),
    (13, Field::Producer, true),
    (14, Field::Version, true),
    (15, Field::Cause, false),
    (16, Field::Kind, true),
];

impl Tokens {
    /// Adds an entry's terms.
    pub fn add(&mut self, entry: &Entry) {
        if self.is_full() {
            return;
        }
        for (number, field, has_few_values) in &FIELDS {
            for value in field.values(entry) {
                if *has_few_values {
                    self.term(|term| field_term(term, *number, &value));
                } else {
                    self.ids.insert(field_id(*number, &value));
                }
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

    /// The terms. The bundle must always be looked at where there were too many.
    pub fn finish(mut self) -> BundleTerms {
        if self.is_full() {
            self.terms.insert(vec![MORE]);
        }
        BundleTerms { terms: self.terms.into_iter().collect(), ids: self.ids.into_iter().collect() }
    }

    fn is_full(&self) -> bool {
        self.terms.len() + self.ids.len() > TERMS_MAX
    }

    fn words(&mut self, piece: &str) {
        if !self.split.insert(hash(WORD_SEED, piece.as_bytes())) {
            return;
        }
        for word in words(piece) {
            if self.is_full() {
                return;
            }
            if is_id(&word) {
                self.ids.insert(word_id(&word));
                self.term(|term| id_beginning(term, word.as_bytes()));
            } else {
                self.term(|term| word_term(term, &word));
            }
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

/// Something that a bundle has or lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Token {
    /// A term of tantivy's.
    Term(Vec<u8>),
    /// A hash.
    Id(u32),
}

/// What every bundle has that must be looked at whatever is asked.
pub fn more() -> Token {
    Token::Term(vec![MORE])
}

/// A whole word.
pub fn word(word: &str) -> Token {
    if is_id(word) {
        return Token::Id(word_id(word));
    }
    let mut term = Vec::new();
    word_term(&mut term, word);
    Token::Term(term)
}

/// What words have that begin like this: plain ones a term that begins like the first, ids the second; `None` where it is too short to narrow.
pub fn beginning(text: &str) -> Option<(Vec<u8>, Token)> {
    let first = text.as_bytes().get(..ID_BEGINNING_BYTES)?;
    let (mut plain, mut id) = (Vec::new(), Vec::new());
    word_term(&mut plain, text);
    id_beginning(&mut id, first);
    Some((plain, Token::Term(id)))
}

/// A field's value; `None` for fields whose values are no terms. The value must be folded ([`Field::fold`]).
pub fn field(field: &Field, value: &str) -> Option<Token> {
    let (number, _, has_few_values) = FIELDS.iter().find(|(_, known, _)| known == field)?;
    if !has_few_values {
        return Some(Token::Id(field_id(*number, value)));
    }
    let mut term = Vec::new();
    field_term(&mut term, *number, value);
    Some(Token::Term(term))
}

fn field_term(term: &mut Vec<u8>, number: u8, value: &str) {
    term.push(FIELD);
    term.push(number);
    term.extend_from_slice(&hash(number.into(), value.as_bytes()).to_be_bytes());
}

fn field_id(number: u8, value: &str) -> u32 {
    (hash(number.into(), value.as_bytes()) >> 32) as u32
}

fn word_id(word: &str) -> u32 {
    (hash(WORD_SEED, word.as_bytes()) >> 32) as u32
}

fn word_term(term: &mut Vec<u8>, word: &str) {
    term.push(WORD);
    term.extend_from_slice(word.as_bytes());
}

fn id_beginning(term: &mut Vec<u8>, word: &[u8]) {
    term.push(ID_BEGINNING);
    term.extend_from_slice(&word[..ID_BEGINNING_BYTES.min(word.len())]);
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
