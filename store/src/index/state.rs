//! What the store must know that stands in no entry: written with every segment, replaced atomically.
//!
//! Most of it is in the segments' manifests, and tombstones in their own file, too, so that a lost state costs little.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use bytes::Bytes;
use prost::Message;

use super::batch::StoredRepeat;
use super::hash::IdentityKey;
use super::segment::manifest::Manifest;
use crate::checkpoint::Checkpoint;
use crate::codec::{decode_checkpoint, encode_checkpoint};
use crate::engine::StoreError;
use crate::file;
use crate::frame;
use crate::position::SourceName;

/// The format of data folders that this program writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// What the store must know that stands in no entry.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct State {
    /// The last group of the log that segments hold.
    pub group: u64,
    /// The latest sequence given out up to that group.
    pub sequence: u64,
    /// The number of the next segment.
    pub next_segment: u64,
    /// How far sources were kept up to that group.
    pub checkpoints: BTreeMap<SourceName, Checkpoint>,
    /// Further copies of entries that are in segments.
    pub repeats: HashMap<IdentityKey, u32>,
    /// What must not come back.
    pub forgotten: HashSet<IdentityKey>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredState {
    #[prost(uint32, tag = "1")]
    format: u32,
    #[prost(uint64, tag = "2")]
    group: u64,
    #[prost(uint64, tag = "3")]
    sequence: u64,
    #[prost(uint64, tag = "4")]
    next_segment: u64,
    #[prost(bytes = "bytes", repeated, tag = "5")]
    checkpoints: Vec<Bytes>,
    #[prost(message, repeated, tag = "6")]
    repeats: Vec<StoredRepeat>,
    #[prost(bytes = "bytes", repeated, tag = "7")]
    forgotten: Vec<Bytes>,
}

impl State {
    /// Takes over a checkpoint.
    pub fn advance(&mut self, checkpoint: &Checkpoint) {
        match self.checkpoints.get_mut(&checkpoint.source) {
            Some(held) => held.advance(checkpoint),
            None => {
                self.checkpoints.insert(checkpoint.source.clone(), checkpoint.clone());
            }
        }
    }

    /// Takes over what a segment says of the whole store.
    pub fn take_over(&mut self, manifest: &Manifest) {
        self.group = self.group.max(manifest.group);
        self.sequence = self.sequence.max(manifest.sequence_last);
        manifest.checkpoints.iter().for_each(|checkpoint| self.advance(checkpoint));
    }

    /// Puts it in place of what the file held.
    pub fn write(&self, path: &Path) -> Result<(), StoreError> {
        let stored = StoredState {
            format: FORMAT,
            group: self.group,
            sequence: self.sequence,
            next_segment: self.next_segment,
            checkpoints: self.checkpoints.values().map(|checkpoint| encode_checkpoint(checkpoint).into()).collect(),
            repeats: self.repeats.iter().map(|(key, times)| StoredRepeat::new(*key, *times)).collect(),
            forgotten: self.forgotten.iter().map(|key| key.to_bytes()).collect(),
        };
        file::replace(path, &frame::frame(&stored.encode_to_vec()))
    }

    /// Reads the file; `None` where there is none.
    pub fn read(path: &Path) -> Result<Option<State>, StoreError> {
        let Some(bytes) = file::read(path)? else { return Ok(None) };
        match State::from_bytes(&bytes) {
            Ok((format, _)) if format > FORMAT => Err(StoreError::Unusable(format!(
                "`{}` was written by a newer version of this program (format {format}, this one reads up to {FORMAT}): \
                 use that version, or another data folder",
                path.display()
            ))),
            Ok((_, state)) => Ok(Some(state)),
            Err(reason) => Err(StoreError::Damaged { path: path.display().to_string(), reason }),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<(u32, State), String> {
        let payload = frame::only(bytes)?;
        let stored = StoredState::decode(Bytes::copy_from_slice(payload)).map_err(|error| error.to_string())?;
        let repeats: Option<_> = stored.repeats.iter().map(StoredRepeat::read).collect();
        let forgotten: Option<_> = stored.forgotten.iter().map(|bytes| IdentityKey::from_bytes(bytes)).collect();
        let mut state = State {
            group: stored.group,
            sequence: stored.sequence,
            next_segment: stored.next_segment,
            checkpoints: BTreeMap::new(),
            repeats: repeats.ok_or("a key has the wrong length")?,
            forgotten: forgotten.ok_or("a key has the wrong length")?,
        };
        for bytes in &stored.checkpoints {
            state.advance(&decode_checkpoint(bytes).map_err(|error| error.to_string())?);
        }
        Ok((stored.format, state))
    }
}
