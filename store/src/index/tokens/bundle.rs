//! The terms of entries that stand together in a bundle, gathered for one segment.
//!
//! Entries repeat most of what they say: names of attributes, addresses, topics, versions. So every distinct short piece of text is split into
//! words once for the whole segment, and looked at once for each bundle.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::postings::Postings;
use super::{FIELDS, MORE, TERMS_MAX, field_id, field_term, id_beginning, is_id, word_id, word_term};
use crate::entry::Entry;
use crate::query::{TEXT_BYTES_MAX, text, words};
use crate::value::{Attributes, Value};

/// The terms of a segment's entries, bundle by bundle.
#[derive(Debug)]
pub struct Tokens {
    postings: Postings,
    /// The pieces of text that were split already, by hash; two that share one would lack each other's terms, which with 64 bits
    /// that nobody can foretell and [`PIECES_MAX`] of them doesn't happen.
    pieces: HashMap<u64, Piece, RandomState>,
    /// What the pieces have.
    piece_terms: Vec<u32>,
    piece_ids: Vec<u32>,
    hasher: RandomState,
    met: Met,
    /// The bundle that is being put together, counted from 1, how many plain terms it has, and its ids.
    bundle: u32,
    n_terms: usize,
    ids: Vec<u32>,
    /// Kept for its memory.
    term: Vec<u8>,
    lower: String,
}

/// A piece of text, by what its words are.
#[derive(Debug)]
struct Piece {
    terms: Range<u32>,
    ids: Range<u32>,
    /// The last bundle that has it.
    bundle: u32,
}

/// The words of long pieces that were met lately, by hash, each with the last bundle that has it: a list in a body names the same fields
/// for each of its items. Like [`Tokens::pieces`] it goes by hashes alone.
#[derive(Debug)]
struct Met(Box<[(u64, u32); MET]>);

/// How many words are remembered so, each at the place that its hash gives: few enough to stay in the processor's own memory.
const MET: usize = 1_024;

impl Default for Met {
    fn default() -> Met {
        Met(Box::new([(0, 0); MET]))
    }
}

impl Met {
    /// Whether a bundle may lack this word yet; from now on it doesn't.
    fn is_new(&mut self, hash: u64, bundle: u32) -> bool {
        let place = &mut self.0[hash as usize % MET];
        let is_new = *place != (hash, bundle);
        *place = (hash, bundle);
        is_new
    }
}

/// How many split pieces are remembered; with more, all are forgotten and split again. Ids are pieces too, and never met again.
const PIECES_MAX: usize = 1 << 18;

/// Longer pieces are bodies and stack traces: few are met again, and remembering them would take more memory than the terms.
const PIECE_BYTES_MAX: usize = 256;

impl Default for Tokens {
    fn default() -> Tokens {
        Tokens {
            postings: Postings::default(),
            pieces: HashMap::default(),
            piece_terms: Vec::new(),
            piece_ids: Vec::new(),
            hasher: RandomState::default(),
            met: Met::default(),
            bundle: 1,
            n_terms: 0,
            ids: Vec::new(),
            term: Vec::new(),
            lower: String::new(),
        }
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
                    self.ids.push(field_id(*number, &value));
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

    /// Ends the bundle, and gives the hashes of its ids, each once. The bundle must always be looked at where it had too many terms.
    pub fn finish_bundle(&mut self) -> Vec<u32> {
        if self.is_full() {
            self.take_more();
        }
        self.bundle += 1;
        self.n_terms = 0;
        if self.pieces.len() > PIECES_MAX {
            self.pieces.clear();
            self.piece_terms.clear();
            self.piece_ids.clear();
        }
        let mut ids = std::mem::take(&mut self.ids);
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// All plain terms of the segment, and how many bundles it has.
    pub fn finish(self) -> (Postings, u32) {
        (self.postings, self.bundle - 1)
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
        self.n_terms + self.ids.len() > TERMS_MAX
    }

    fn words(&mut self, text: &str) {
        if self.is_full() {
            return;
        }
        if text.len() > PIECE_BYTES_MAX {
            self.split(text, |tokens, word| {
                if tokens.met.is_new(tokens.hasher.hash_one(word), tokens.bundle) {
                    let (term, id) = tokens.number_of_word(word);
                    tokens.take_term(term);
                    tokens.ids.extend(id);
                }
            });
            return;
        }
        let key = self.hasher.hash_one(text);
        if !self.pieces.contains_key(&key) {
            let (first_term, first_id) = (self.piece_terms.len() as u32, self.piece_ids.len() as u32);
            self.split(text, |tokens, word| {
                let (term, id) = tokens.number_of_word(word);
                tokens.piece_terms.push(term);
                tokens.piece_ids.extend(id);
            });
            let terms = first_term..self.piece_terms.len() as u32;
            self.pieces.insert(key, Piece { terms, ids: first_id..self.piece_ids.len() as u32, bundle: 0 });
        }
        let Some(piece) = self.pieces.get_mut(&key) else { return };
        if piece.bundle == self.bundle {
            return;
        }
        piece.bundle = self.bundle;
        let (terms, ids) = (piece.terms.clone(), piece.ids.clone());
        for place in terms {
            self.take_term(self.piece_terms[place as usize]);
        }
        self.ids.extend_from_slice(&self.piece_ids[ids.start as usize..ids.end as usize]);
    }

    /// Each word of a text; no more than a bundle may have.
    fn split(&mut self, text: &str, mut each: impl FnMut(&mut Tokens, &str)) {
        let mut lower = std::mem::take(&mut self.lower);
        lower.clear();
        lower.push_str(text);
        // Words are the same, and most are borrowed then.
        lower.make_ascii_lowercase();
        for word in words(&lower) {
            if self.is_full() {
                break;
            }
            each(self, &word);
        }
        self.lower = lower;
    }

    /// The number of a word's term, and the hash of an id.
    fn number_of_word(&mut self, word: &str) -> (u32, Option<u32>) {
        let id = is_id(word).then(|| word_id(word));
        let term = self.number_of(|term| match id {
            Some(_) => id_beginning(term, word.as_bytes()),
            None => word_term(term, word),
        });
        (term, id)
    }

    fn number_of(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> u32 {
        self.term.clear();
        write(&mut self.term);
        self.postings.number_of(&self.term)
    }

    fn take_term(&mut self, number: u32) {
        self.n_terms += usize::from(self.postings.add(number, self.bundle));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::record;

    /// The terms of a bundle of records with these bodies.
    fn terms_of(bodies: &[String]) -> Vec<Vec<u8>> {
        let mut tokens = Tokens::default();
        for (offset, body) in bodies.iter().enumerate() {
            tokens.add(&record("orders", 0, offset as i64).body(body.clone()).entry());
        }
        tokens.finish_bundle();
        tokens.finish().0.sorted().map(|(term, ..)| term.to_owned()).collect()
    }

    fn has(terms: &[Vec<u8>], write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut term = Vec::new();
        write(&mut term);
        terms.contains(&term)
    }

    #[test]
    fn a_word_behind_more_equal_ones_than_a_bundle_may_have_terms_is_found_and_one_behind_as_many_others_is_looked_for()
    {
        let equal = terms_of(&[format!("{}needle", "a ".repeat(TERMS_MAX + 1))]);
        assert!(has(&equal, |term| word_term(term, "needle")) && !has(&equal, |term| term.push(MORE)));
        let others: Vec<String> = (0..=TERMS_MAX).map(|number| format!("{:x}", 0x10_0000 + number)).collect();
        let mut bodies: Vec<String> = others.chunks(TERMS_MAX / 4).map(|words| words.join(" ")).collect();
        bodies.push("needle".to_owned());
        let full = terms_of(&bodies);
        assert!(!has(&full, |term| word_term(term, "needle")) && has(&full, |term| term.push(MORE)));
    }
}
