//! The terms under which a segment's index keeps an entry, and which of them a question needs.
//!
//! Both sides stand here, because they must agree: whatever a query holds for must have the terms that the query asks for.
//! The other way round doesn't matter, because every hit is looked at.

mod bundle; // the terms of entries that stand together
mod postings; // terms, each with the bundles that have it

use super::hash::hash;
use crate::entry::Entry;
use crate::query::Field;

pub use bundle::Tokens;
pub use postings::Postings;

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

/// Something that a bundle has or lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Token {
    /// A term of tantivy's.
    Term(Vec<u8>),
    /// A hash.
    Id(u32),
}

/// The ids among an entry's fields: those of [`FIELDS`] with many values.
pub fn ids_of_fields(entry: &Entry, ids: &mut Vec<u32>) {
    for (number, field, _) in FIELDS.iter().filter(|(_, _, has_few_values)| !has_few_values) {
        ids.extend(field.values(entry).iter().map(|value| field_id(*number, value)));
    }
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
