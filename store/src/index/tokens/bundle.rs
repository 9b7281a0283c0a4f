//! The terms of entries that stand together in a bundle, gathered for one segment.
//!
//! Entries repeat most of what they say: names of attributes, addresses, topics, versions. So a short piece of text that was met lately isn't
//! split into words again, and is looked at once for each bundle.

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
    /// The words and the short pieces of text that were met lately, each at the place that its hash gives. They go by their hashes alone:
    /// two that share one would lack each other's terms, which with 64 bits that nobody can foretell doesn't happen.
    words: Box<[Word; WORDS]>,
    pieces: Box<[Piece; PIECES]>,
    /// What the pieces have.
    piece_terms: Vec<u32>,
    piece_ids: Vec<u32>,
    hasher: RandomState,
    /// What the last entry said of each of the fields, and its term.
    last_said: [Option<(String, u32)>; FIELDS.len()],
    /// The bundle that is being put together, counted from 1, how many plain terms it has, and its ids.
    bundle: u32,
    n_terms: usize,
    ids: Vec<u32>,
    /// Kept for its memory.
    term: Vec<u8>,
    lower: String,
}

/// A word, by what stands for it in this segment.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    hash: u64,
    /// The last bundle that has it; none at 0.
    bundle: u32,
    term: u32,
    id: Option<u32>,
}

/// A piece of text, by what its words are.
#[derive(Clone, Debug, Default)]
struct Piece {
    hash: u64,
    /// The last bundle that has it; none at 0.
    bundle: u32,
    terms: Range<u32>,
    ids: Range<u32>,
}

/// How many words and pieces are remembered: few enough to stay in the processor's own memory, and many times as many as are met again and
/// again. Most of the others are ids, which are met once.
const WORDS: usize = 2_048;
const PIECES: usize = 2_048;

/// How many words the remembered pieces may have, those that were met since included; with more, all are forgotten and split again.
const PIECE_WORDS_MAX: usize = 1 << 17;

/// Longer pieces are bodies and stack traces: few are met again.
const PIECE_BYTES_MAX: usize = 256;

impl Default for Tokens {
    fn default() -> Tokens {
        Tokens {
            postings: Postings::default(),
            words: Box::new([Word::default(); WORDS]),
            pieces: Box::new(std::array::from_fn(|_| Piece::default())),
            piece_terms: Vec::new(),
            piece_ids: Vec::new(),
            hasher: RandomState::default(),
            last_said: Default::default(),
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
        for (place, (number, field, has_few_values)) in FIELDS.iter().enumerate() {
            for value in field.values(entry) {
                if *has_few_values {
                    let term = self.term_of_field(place, *number, &value);
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
        if self.piece_terms.len() > PIECE_WORDS_MAX {
            self.pieces.fill(Piece::default());
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
            self.split(text, Tokens::take_word);
            return;
        }
        let hash = self.hasher.hash_one(text);
        let place = hash as usize % PIECES;
        if self.pieces[place].hash != hash {
            let (first_term, first_id) = (self.piece_terms.len() as u32, self.piece_ids.len() as u32);
            self.split(text, |tokens, word| {
                let Word { term, id, .. } = tokens.words[word];
                tokens.piece_terms.push(term);
                tokens.piece_ids.extend(id);
            });
            let (last_term, last_id) = (self.piece_terms.len() as u32, self.piece_ids.len() as u32);
            self.pieces[place] = Piece { hash, bundle: 0, terms: first_term..last_term, ids: first_id..last_id };
        }
        let piece = &mut self.pieces[place];
        if std::mem::replace(&mut piece.bundle, self.bundle) == self.bundle {
            return;
        }
        let (terms, ids) = (piece.terms.clone(), piece.ids.clone());
        for term in terms {
            self.take_term(self.piece_terms[term as usize]);
        }
        self.ids.extend_from_slice(&self.piece_ids[ids.start as usize..ids.end as usize]);
    }

    /// Each word of a text, by its place in [`Tokens::words`]; no more than a bundle may have.
    fn split(&mut self, text: &str, mut each: impl FnMut(&mut Tokens, usize)) {
        let mut lower = std::mem::take(&mut self.lower);
        lower.clear();
        lower.push_str(text);
        // Words are the same, and most are borrowed then.
        lower.make_ascii_lowercase();
        for word in words(&lower) {
            if self.is_full() {
                break;
            }
            let place = self.place_of(&word);
            each(self, place);
        }
        self.lower = lower;
    }

    /// Where a word stands in [`Tokens::words`]; it is put there where it isn't yet.
    fn place_of(&mut self, word: &str) -> usize {
        let hash = self.hasher.hash_one(word);
        let place = hash as usize % WORDS;
        if self.words[place].hash != hash {
            let id = is_id(word).then(|| word_id(word));
            let term = self.number_of(|term| match id {
                Some(_) => id_beginning(term, word.as_bytes()),
                None => word_term(term, word),
            });
            self.words[place] = Word { hash, bundle: 0, term, id };
        }
        place
    }

    /// The number of a field's term, which is that of the entry before for most.
    fn term_of_field(&mut self, place: usize, number: u8, value: &str) -> u32 {
        if let Some((last, term)) = &self.last_said[place]
            && last == value
        {
            return *term;
        }
        let term = self.number_of(|term| field_term(term, number, value));
        let (last, last_term) = self.last_said[place].get_or_insert_default();
        value.clone_into(last);
        *last_term = term;
        term
    }

    fn take_word(&mut self, place: usize) {
        let word = &mut self.words[place];
        if std::mem::replace(&mut word.bundle, self.bundle) == self.bundle {
            return;
        }
        let Word { term, id, .. } = *word;
        self.ids.extend(id);
        self.take_term(term);
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
