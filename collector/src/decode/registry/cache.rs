//! What is known of each schema's id: the schema, that there is none, or that it is being asked for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use store::record::SchemaId;

use crate::decode::contract::Contract;

/// How many schemas are at hand; a large company has some thousands, and no one Sillage reads all of them.
const SCHEMAS_MAX: usize = 2_000;

/// How long the texts of all schemas at hand may be together, in bytes. The one that was used longest ago goes first, and is asked for again.
const TEXT_BYTES_MAX: usize = 8 << 20;

/// About how many bytes of memory a compiled schema takes for each of its text's.
const BYTES_FOR_TEXT: usize = 8;

/// How many ids that came to nothing are remembered; with more, all are forgotten and asked for again.
const MISSING_MAX: usize = 4_096;

/// How long an id that the registry doesn't know is not asked for again: it may be registered by then.
const MISSING_FOR: Duration = Duration::from_secs(60);

/// How long a schema that can't be used is not asked for again: schemas don't change, only this program does.
const UNUSABLE_FOR: Duration = Duration::from_secs(600);

/// After so many unknown ids and no known one, a topic is taken for one whose bytes only look framed.
const DOUBTED_AFTER: u32 = 8;

/// How many topics are doubted at once; with more, all doubts are forgotten.
const DOUBTED_MAX: usize = 10_000;

/// What is known of schemas.
#[derive(Debug, Default)]
pub struct Cache {
    known: HashMap<SchemaId, Known>,
    missing: HashMap<SchemaId, Missing>,
    /// What is being asked for, and the channel that it was met on first.
    asked: HashMap<SchemaId, String>,
    doubts: HashMap<String, Doubt>,
    text_bytes: usize,
    /// Counts uses, to know which was longest ago.
    uses: u64,
    /// Why the registry can't be asked now.
    down: Option<String>,
}

#[derive(Debug)]
struct Known {
    contract: Arc<Contract>,
    used: u64,
}

#[derive(Debug)]
struct Missing {
    why: String,
    until: Instant,
}

/// How many unknown ids a channel had since its last known one, and until when that counts.
#[derive(Debug)]
struct Doubt {
    unknown: u32,
    until: Instant,
}

/// What is known of an id.
#[derive(Clone, Debug)]
pub enum Found {
    /// The schema.
    Known(Arc<Contract>),
    /// It can't be had; why, as the end of a sentence.
    Missing(String),
    /// It is being asked for; why that doesn't succeed, where it doesn't.
    Asked(Option<String>),
    /// Nothing: it is to be asked for.
    New,
}

/// What came of asking.
#[derive(Debug)]
pub enum Answer {
    /// The schema.
    Known(Contract),
    /// The registry has none; why, as the end of a sentence.
    Unknown(String),
    /// It has one that can't be used; why, as the end of a sentence.
    Unusable(String),
}

impl Cache {
    /// What is known of an id that was met on a channel.
    pub fn find(&mut self, id: &SchemaId, channel: &str, now: Instant) -> Found {
        if let Some(known) = self.known.get_mut(id) {
            self.uses += 1;
            known.used = self.uses;
            return Found::Known(known.contract.clone());
        }
        if self.asked.contains_key(id) {
            return Found::Asked(self.down.clone());
        }
        if let Some(missing) = self.missing.get(id).filter(|missing| missing.until > now) {
            return Found::Missing(missing.why.clone());
        }
        match self.doubts.get(channel) {
            Some(doubt) if doubt.unknown >= DOUBTED_AFTER && doubt.until > now => Found::Missing(format!(
                "is not asked for: the registry knows none of the {} ids before it on this topic, so that its bytes may only look framed",
                doubt.unknown
            )),
            _ => Found::New,
        }
    }

    /// It is being asked for.
    pub fn asked(&mut self, id: SchemaId, channel: &str) {
        self.asked.insert(id, channel.to_owned());
    }

    /// Whether it is being asked for.
    pub fn is_asked(&self, id: &SchemaId) -> bool {
        self.asked.contains_key(id)
    }

    /// Whether it is at hand.
    pub fn is_known(&self, id: &SchemaId) -> bool {
        self.known.contains_key(id)
    }

    /// Why the registry can't be asked now.
    pub fn down(&self) -> Option<&str> {
        self.down.as_deref()
    }

    /// The registry can't be asked now, or can again.
    pub fn set_down(&mut self, why: Option<String>) {
        self.down = why;
    }

    /// About how many bytes of memory all of it takes.
    pub fn memory_bytes(&self) -> u64 {
        (self.text_bytes * BYTES_FOR_TEXT) as u64
    }

    /// Takes over what came of asking.
    pub fn settle(&mut self, id: SchemaId, answer: Answer, now: Instant) {
        let channel = self.asked.remove(&id);
        match answer {
            Answer::Known(contract) => {
                if let Some(channel) = channel {
                    self.doubts.remove(&channel);
                }
                self.keep(id, contract);
            }
            Answer::Unknown(why) => {
                if let Some(channel) = channel {
                    self.doubt(channel, now);
                }
                self.miss(id, why, now + MISSING_FOR);
            }
            Answer::Unusable(why) => self.miss(id, why, now + UNUSABLE_FOR),
        }
    }

    fn keep(&mut self, id: SchemaId, contract: Contract) {
        self.missing.remove(&id);
        self.text_bytes += contract.text_bytes;
        self.uses += 1;
        let known = Known { contract: Arc::new(contract), used: self.uses };
        if let Some(before) = self.known.insert(id, known) {
            self.text_bytes -= before.contract.text_bytes;
        }
        while self.known.len() > SCHEMAS_MAX || (self.text_bytes > TEXT_BYTES_MAX && self.known.len() > 1) {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.used).map(|(id, _)| id.clone());
            let Some(gone) = oldest.and_then(|oldest| self.known.remove(&oldest)) else { return };
            self.text_bytes -= gone.contract.text_bytes;
        }
    }

    fn miss(&mut self, id: SchemaId, why: String, until: Instant) {
        if self.missing.len() >= MISSING_MAX {
            self.missing.clear();
        }
        self.missing.insert(id, Missing { why, until });
    }

    fn doubt(&mut self, channel: String, now: Instant) {
        if self.doubts.len() >= DOUBTED_MAX {
            self.doubts.clear();
        }
        let doubt = self.doubts.entry(channel).or_insert(Doubt { unknown: 0, until: now });
        doubt.unknown += 1;
        doubt.until = now + MISSING_FOR;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::contract::Format;

    fn contract(text_bytes: usize) -> Answer {
        Answer::Known(Contract { format: Format::Json, names: Vec::new(), text_bytes })
    }

    fn id(number: u32) -> SchemaId {
        SchemaId::Number(number)
    }

    #[test]
    fn an_id_is_asked_for_once_and_again_a_minute_after_it_was_unknown() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        assert!(matches!(cache.find(&id(1), "a", now), Found::New));
        cache.asked(id(1), "a");
        assert!(matches!(cache.find(&id(1), "a", now), Found::Asked(None)));
        cache.set_down(Some("it is down".to_owned()));
        assert!(matches!(cache.find(&id(1), "a", now), Found::Asked(Some(why)) if why == "it is down"));
        cache.settle(id(1), Answer::Unknown("isn't known".to_owned()), now);
        assert!(matches!(cache.find(&id(1), "a", now), Found::Missing(why) if why == "isn't known"));
        assert!(matches!(cache.find(&id(1), "a", now + MISSING_FOR), Found::New));
        cache.asked(id(1), "a");
        cache.settle(id(1), contract(1), now);
        assert!(matches!(cache.find(&id(1), "a", now), Found::Known(_)));
    }

    #[test]
    fn a_topic_that_names_only_unknown_ids_is_left_alone_for_a_while() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for number in 0..DOUBTED_AFTER {
            cache.asked(id(number), "noise");
            cache.settle(id(number), Answer::Unknown("isn't known".to_owned()), now);
        }
        assert!(matches!(cache.find(&id(100), "noise", now), Found::Missing(why) if why.contains("only look framed")));
        assert!(matches!(cache.find(&id(100), "orders", now), Found::New));
        assert!(matches!(cache.find(&id(100), "noise", now + MISSING_FOR), Found::New));
        cache.asked(id(100), "noise");
        cache.settle(id(100), contract(1), now);
        assert!(matches!(cache.find(&id(101), "noise", now), Found::New), "one known id clears it");
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for number in 0..3 {
            cache.settle(id(number), contract(TEXT_BYTES_MAX / 3), now);
        }
        assert!(matches!(cache.find(&id(0), "a", now), Found::Known(_)));
        cache.settle(id(3), contract(TEXT_BYTES_MAX / 3), now);
        assert!(cache.is_known(&id(0)) && !cache.is_known(&id(1)) && cache.is_known(&id(3)));
        for number in 0..2 * SCHEMAS_MAX as u32 {
            cache.settle(id(number), contract(0), now);
        }
        assert_eq!(cache.known.len(), SCHEMAS_MAX);
        for number in 0..2 * MISSING_MAX as u32 {
            cache.settle(id(number), Answer::Unusable("is broken".to_owned()), now);
        }
        assert!(cache.missing.len() <= MISSING_MAX);
    }
}
