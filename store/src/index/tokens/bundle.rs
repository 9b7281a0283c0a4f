//! The terms of entries that stand together in a bundle, gathered for one segment.
//!
//! Entries repeat most of what they say: names of attributes, addresses, topics, versions. So every distinct piece of text is split into
//! words once for the whole segment, and looked at once for each bundle.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::{
    FIELDS, ID_BEGINNING_BYTES, MORE, TERMS_MAX, field_id, field_term, id_beginning, is_id, word_id, word_term,
};
use crate::entry::Entry;
use crate::index::hash::hash;
use crate::query::{TEXT_BYTES_MAX, text, words};
use crate::value::{Attributes, Value};

/// The terms of a segment's entries, bundle by bundle.
#[derive(Debug, Default)]
pub struct Tokens {
    /// All plain terms of the segment, numbered as they were met.
    terms: Vec<Term>,
    numbers: HashMap<Vec<u8>, u32, RandomState>,
    /// The pieces of text that were split already, by hash; two that share one would lack each other's terms, which with 64 bits
    /// and [`PIECES_MAX`] of them doesn't happen.
    pieces: HashMap<u64, Piece, RandomState>,
    /// What the pieces have.
    piece_terms: Vec<u32>,
    piece_ids: Vec<u32>,
    bundle: Bundle,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Term {
    text: Vec<u8>,
    /// The last bundle that has it.
    bundle: u32,
}

/// A piece of text, by what its words are.
#[derive(Debug)]
struct Piece {
    terms: Range<u32>,
    ids: Range<u32>,
    /// The last bundle that has it.
    bundle: u32,
}

/// The bundle that is being put together.
#[derive(Debug)]
struct Bundle {
    /// Counts bundles from 1.
    number: u32,
    terms: Vec<u32>,
    ids: Vec<u32>,
}

/// How many split pieces are remembered; with more, all are forgotten and split again. Ids are pieces too, and never met again.
const PIECES_MAX: usize = 1 << 18;

/// What hashes of pieces begin with.
const PIECE_SEED: u64 = 0x5069_6563;

impl Default for Bundle {
    fn default() -> Bundle {
        Bundle { number: 1, terms: Vec::new(), ids: Vec::new() }
    }
}

impl Tokens {
    /// Adds an entry's terms to the bundle.
    pub fn add(&mut self, entry: &Entry) {
        if self.is_full() {
            return;
        }
        for (number, field, has_few_values) in &FIELDS {
            for value in field.values(entry) {
                if *has_few_values {
                    let term = self.number_of(|term| field_term(term, *number, &value));
                    self.take_term(term);
                } else {
                    self.bundle.ids.push(field_id(*number, &value));
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
            self.take_more();
        }
        self.values_beside_text(entry);
    }

    /// Ends the bundle: its plain terms, and the hashes of its ids, each once. The bundle must always be looked at where there were too many.
    pub fn finish_bundle(&mut self) -> (impl Iterator<Item = &[u8]>, Vec<u32>) {
        if self.is_full() {
            self.take_more();
        }
        let next = Bundle { number: self.bundle.number + 1, ..Bundle::default() };
        let mut bundle = std::mem::replace(&mut self.bundle, next);
        bundle.ids.sort_unstable();
        bundle.ids.dedup();
        if self.pieces.len() > PIECES_MAX {
            self.pieces.clear();
            self.piece_terms.clear();
            self.piece_ids.clear();
        }
        (bundle.terms.into_iter().map(|term| self.terms[term as usize].text.as_slice()), bundle.ids)
    }

    /// Values that fields have but the text lacks: those of scopes, bytes as hexadecimal digits, what a span says of a message.
    fn values_beside_text(&mut self, entry: &Entry) {
        match entry {
            Entry::Record(record) => {
                if let Some(trace_id) = &record.event.origin_trace {
                    self.words(&trace_id.to_string());
                }
                if let Some(key) = record.key.as_ref().filter(|_| record.key_text().is_none()) {
                    self.words(&hex::encode(key));
                }
                for value in record.headers.iter().filter_map(|header| header.value.as_ref()) {
                    if std::str::from_utf8(value).is_err() {
                        self.words(&hex::encode(value));
                    }
                }
            }
            Entry::Span(span) => {
                if let Some(messaging) = &span.messaging {
                    let ids = messaging.event_ids.iter().chain(&messaging.key).chain(&messaging.conversation_id);
                    ids.for_each(|id| self.words(id));
                }
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

    fn is_full(&self) -> bool {
        self.bundle.terms.len() + self.bundle.ids.len() > TERMS_MAX
    }

    fn words(&mut self, text: &str) {
        if self.is_full() {
            return;
        }
        let key = hash(PIECE_SEED, text.as_bytes());
        if !self.pieces.contains_key(&key) {
            let piece = self.split(text);
            self.pieces.insert(key, piece);
        }
        let Some(piece) = self.pieces.get_mut(&key) else { return };
        if piece.bundle == self.bundle.number {
            return;
        }
        piece.bundle = self.bundle.number;
        let (terms, ids) = (piece.terms.clone(), piece.ids.clone());
        for place in terms {
            self.take_term(self.piece_terms[place as usize]);
        }
        self.bundle.ids.extend_from_slice(&self.piece_ids[ids.start as usize..ids.end as usize]);
    }

    /// The words of a piece of text that is met for the first time.
    fn split(&mut self, text: &str) -> Piece {
        let (first_term, first_id) = (self.piece_terms.len() as u32, self.piece_ids.len() as u32);
        for word in words(text).take(TERMS_MAX + 1) {
            let term = if is_id(&word) {
                self.piece_ids.push(word_id(&word));
                self.number_of(|term| id_beginning(term, &word.as_bytes()[..ID_BEGINNING_BYTES.min(word.len())]))
            } else {
                self.number_of(|term| word_term(term, &word))
            };
            self.piece_terms.push(term);
        }
        Piece {
            terms: first_term..self.piece_terms.len() as u32,
            ids: first_id..self.piece_ids.len() as u32,
            bundle: 0,
        }
    }

    fn number_of(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> u32 {
        self.scratch.clear();
        write(&mut self.scratch);
        if let Some(number) = self.numbers.get(&self.scratch) {
            return *number;
        }
        let number = self.terms.len() as u32;
        self.terms.push(Term { text: self.scratch.clone(), bundle: 0 });
        self.numbers.insert(self.scratch.clone(), number);
        number
    }

    fn take_term(&mut self, number: u32) {
        let term = &mut self.terms[number as usize];
        if term.bundle != self.bundle.number {
            term.bundle = self.bundle.number;
            self.bundle.terms.push(number);
        }
    }

    fn take_more(&mut self) {
        let more = self.number_of(|term| term.push(MORE));
        self.take_term(more);
    }
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
