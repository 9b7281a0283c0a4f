//! A segment's manifest: what is in it, and by which checksums its files are told to be whole.

use bytes::Bytes;
use prost::Message;

use crate::checkpoint::Checkpoint;
use crate::codec::{decode_checkpoint, encode_checkpoint};
use crate::frame;

/// The format of segments that this program writes, and the newest that it reads. 6: bodies may be MessagePack or CBOR.
pub const FORMAT: u32 = 6;

/// The oldest format that this program reads. What is older than [`FORMAT`] is made anew when the folder is opened (`migrate.rs`):
/// segments of format 4 lacked words of some values, so that their beginnings couldn't be looked up, and had no filter behind the
/// identities. No release wrote an older one.
pub const FORMAT_OLDEST: u32 = 4;

/// What a segment says of itself.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Manifest {
    /// The format in which it was read; what is written has [`FORMAT`].
    pub format: u32,
    /// Its number; also the name of its folder.
    pub number: u64,
    /// How many records, spans and logs it holds.
    pub kinds: [u64; 3],
    /// The earliest and the latest of its entries' own times, in nanoseconds.
    pub times: (i64, i64),
    /// The hours since the epoch in which its entries' own times lie: one clock in 2099 must not make it a candidate for everything.
    pub hours: Vec<i64>,
    /// When its latest entry was received, in nanoseconds: retention goes by it.
    pub received_last: i64,
    /// The first and last of its entries in the order of arrival.
    pub sequences: (u64, u64),
    /// The last group of the log that this segment and those before it hold.
    pub group: u64,
    /// The latest sequence that was given out when it was made.
    pub sequence_last: u64,
    /// How far every source had been kept when it was made.
    pub checkpoints: Vec<Checkpoint>,
    /// Segments that this one stands in for.
    pub replaces: Vec<u64>,
    /// Its files.
    pub files: Vec<FileSum>,
}

/// One file of a segment.
#[derive(Clone, PartialEq, Message)]
pub struct FileSum {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its length in bytes.
    #[prost(uint64, tag = "2")]
    pub length: u64,
    /// The CRC-32 of its bytes.
    #[prost(uint32, tag = "3")]
    pub checksum: u32,
}

#[derive(Clone, PartialEq, Message)]
struct StoredManifest {
    #[prost(uint32, tag = "1")]
    format: u32,
    #[prost(uint64, tag = "2")]
    number: u64,
    #[prost(uint64, repeated, tag = "3")]
    kinds: Vec<u64>,
    #[prost(sfixed64, tag = "4")]
    time_first: i64,
    #[prost(sfixed64, tag = "5")]
    time_last: i64,
    #[prost(sint64, repeated, tag = "6")]
    hours: Vec<i64>,
    #[prost(sfixed64, tag = "7")]
    received_last: i64,
    #[prost(uint64, tag = "8")]
    sequence_first: u64,
    #[prost(uint64, tag = "9")]
    sequence_end: u64,
    #[prost(uint64, tag = "10")]
    group: u64,
    #[prost(uint64, tag = "11")]
    sequence_last: u64,
    #[prost(bytes = "bytes", repeated, tag = "12")]
    checkpoints: Vec<Bytes>,
    #[prost(uint64, repeated, tag = "13")]
    replaces: Vec<u64>,
    #[prost(message, repeated, tag = "14")]
    files: Vec<FileSum>,
}

/// Why a manifest can't be used.
#[derive(PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// A newer version of this program wrote it, in this format.
    Newer(u32),
    /// A version of this program from before the first release wrote it, in this format.
    Older(u32),
    /// It is damaged, and how.
    Damaged(String),
}

impl Manifest {
    /// How many entries there are.
    pub fn entries(&self) -> u64 {
        self.kinds.iter().sum()
    }

    /// How many bytes its files take.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.length).sum()
    }

    /// Whether it must be made anew before it can be opened.
    pub fn is_older(&self) -> bool {
        self.format < FORMAT
    }

    /// Whether an entry of this time may be in it.
    pub fn may_hold(&self, nanos: i64) -> bool {
        self.times.0 <= nanos && nanos <= self.times.1 && self.hours.binary_search(&hour(nanos)).is_ok()
    }

    /// The whole file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let stored = StoredManifest {
            format: FORMAT,
            number: self.number,
            kinds: self.kinds.to_vec(),
            time_first: self.times.0,
            time_last: self.times.1,
            hours: self.hours.clone(),
            received_last: self.received_last,
            sequence_first: self.sequences.0,
            sequence_end: self.sequences.1,
            group: self.group,
            sequence_last: self.sequence_last,
            checkpoints: self.checkpoints.iter().map(|checkpoint| encode_checkpoint(checkpoint).into()).collect(),
            replaces: self.replaces.clone(),
            files: self.files.clone(),
        };
        frame::frame(&stored.encode_to_vec())
    }

    /// From the whole file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Manifest, Unreadable> {
        let payload = frame::only(bytes).map_err(Unreadable::Damaged)?;
        let decoded = StoredManifest::decode(Bytes::copy_from_slice(payload));
        let stored = decoded.map_err(|error| Unreadable::Damaged(error.to_string()))?;
        if stored.format > FORMAT {
            return Err(Unreadable::Newer(stored.format));
        }
        if stored.format < FORMAT_OLDEST {
            return Err(Unreadable::Older(stored.format));
        }
        let damaged = |what: &str| Unreadable::Damaged(what.to_owned());
        let checkpoints: Result<_, _> = stored.checkpoints.iter().map(|bytes| decode_checkpoint(bytes)).collect();
        Ok(Manifest {
            format: stored.format,
            number: stored.number,
            kinds: stored.kinds.try_into().map_err(|_| damaged("it doesn't count three kinds"))?,
            times: (stored.time_first, stored.time_last),
            hours: stored.hours,
            received_last: stored.received_last,
            sequences: (stored.sequence_first, stored.sequence_end),
            group: stored.group,
            sequence_last: stored.sequence_last,
            checkpoints: checkpoints.map_err(|_| damaged("a checkpoint can't be read"))?,
            replaces: stored.replaces,
            files: stored.files,
        })
    }
}

/// The hour since the epoch in which a time lies.
pub fn hour(nanos: i64) -> i64 {
    nanos.div_euclid(3_600_000_000_000)
}
