//! Takes out what nobody may read, before anything is kept: `[[redact]]`, and what is always taken out.
//!
//! ```text
//! broker -> Raw  -> open -> redact -> decode, correlate -> Store::append
//! OTLP   -> Span -> redact --------> correlate -> Store::append
//! ```
//!
//! A body in Avro, Protobuf or gzip is opened first, because the names of its fields, and its texts, can't be seen from outside.
//!
//! It comes before everything that reads an entry, so that nothing derived from a value (an event id, a knot, an identity, a word of the
//! index) can hold it. Entries in which nothing is to be taken out are looked at in place, and nothing of them is copied.
//! Copies that `[otlp] forward` sends on are not redacted: they go where the sender would have sent them.

pub mod config; // `[[redact]]`

mod card; // numbers of payment cards
mod entry; // what is looked at in records, spans and logs
mod json; // JSON, whole or broken, in place
mod names; // names whose values are taken out
mod text; // what stands in the middle of a text

use sha2::{Digest, Sha256};
use store::redacted::{HASH_DIGITS, HASH_PREFIX, MASK};

use crate::error::CollectorError;
pub use config::{Action, Config};
use names::Names;
use text::Pattern;

/// What takes values out. Made once, shared by everything that collects.
#[derive(Debug)]
pub struct Redactor {
    names: Names,
    patterns: Vec<Pattern>,
}

impl Redactor {
    /// With these rules before the ones that always hold; of several that fit, the first counts.
    pub fn new(rules: &[Config]) -> Result<Redactor, CollectorError> {
        let mut names = Names::default();
        let mut patterns = Vec::new();
        for rule in rules {
            match rule.read()? {
                config::Rule::Named(name) => names.add(name),
                config::Rule::Pattern(pattern) => patterns.push(pattern),
            }
        }
        names.add_defaults();
        Ok(Redactor { names, patterns })
    }

    /// Whether something would be taken out of a record's value.
    pub fn takes_out_of(&self, value: &[u8]) -> bool {
        self.bytes(value).is_some()
    }
}

impl Default for Redactor {
    /// With the rules that always hold.
    fn default() -> Redactor {
        Redactor::new(&[]).expect("no rule can't be a wrong one")
    }
}

/// What stands in place of a value; nothing for one that is dropped.
fn stand_in(action: Action, value: &[u8]) -> String {
    match action {
        Action::Mask | Action::Keep => MASK.to_owned(),
        Action::Hash => format!("{HASH_PREFIX}{}", hex::encode(&Sha256::digest(value)[..HASH_DIGITS / 2])),
        Action::Drop => String::new(),
    }
}

#[cfg(test)]
mod tests;
