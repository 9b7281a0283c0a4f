//! One file of the log: where entries are durable before they are acknowledged.
//!
//! A file begins with a frame that says which one it is, and where the file before it ends: after a failed write or sync nothing behind
//! that place was acknowledged. Then come the groups, one frame each.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;

use super::batch::{self, Batch};
use crate::config::Durability;
use crate::engine::StoreError;
use crate::file;
use crate::frame::{self, Piece};

/// The format of log files that this program writes. 2: bodies may be MessagePack or CBOR.
const FORMAT: u32 = 2;

#[derive(Clone, PartialEq, Message)]
struct Head {
    #[prost(uint32, tag = "1")]
    format: u32,
    #[prost(uint64, tag = "2")]
    number: u64,
    /// The file before this one, where its end was cut.
    #[prost(uint64, optional, tag = "3")]
    cut_number: Option<u64>,
    /// The length at which it was cut.
    #[prost(uint64, tag = "4")]
    cut_length: u64,
}

/// A log file that is being written.
#[derive(Debug)]
pub struct LogFile {
    file: File,
    path: PathBuf,
    number: u64,
    /// Everything before this place is durable.
    length: u64,
    durability: Durability,
}

/// Where an earlier log file ends, whatever stands behind that place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// Which file.
    pub number: u64,
    /// Its length.
    pub length: u64,
}

/// A log file's path.
pub fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016}"))
}

impl LogFile {
    /// Makes a new one, durably.
    pub fn create(folder: &Path, number: u64, cut: Option<Cut>, durability: Durability) -> Result<LogFile, StoreError> {
        let path = path(folder, number);
        let head = Head {
            format: FORMAT,
            number,
            cut_number: cut.map(|cut| cut.number),
            cut_length: cut.map_or(0, |cut| cut.length),
        };
        let bytes = frame::frame(&head.encode_to_vec());
        let mut file = file::create(&path)?;
        file::append(&mut file, &path, &bytes).map_err(file::failed("can't write", &path))?;
        file::sync(&file, &path).map_err(file::failed("can't sync", &path))?;
        file::sync_folder(folder)?;
        Ok(LogFile { file, path, number, length: bytes.len() as u64, durability })
    }

    /// Appends a group and makes it durable. After an error this file must not be written any more: see [`LogFile::abandon`].
    pub fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        file::append(&mut self.file, &self.path, &frame::head(payload))?;
        file::append(&mut self.file, &self.path, payload)?;
        if self.durability == Durability::Fsync {
            file::sync_content(&self.file, &self.path)?;
        }
        self.length += (frame::HEAD_BYTES + payload.len()) as u64;
        Ok(())
    }

    /// Gives it up after a failed write or sync. What a failed sync leaves behind nobody knows, so the file is never synced again:
    /// the next one says where this one ends.
    pub fn abandon(self) -> Cut {
        // Frees the space of what was refused, where that works; the cut in the next file's head is what counts.
        if let Err(error) = file::cut(&self.file, &self.path, self.length) {
            tracing::warn!(%error, "can't cut the log file `{}`; its refused end is left out by the next file", self.path.display());
        }
        Cut { number: self.number, length: self.length }
    }

    /// How long it is.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Which one it is.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// What stood in a log file beside its groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Contents {
    /// Where the file before it ends, where that was cut.
    pub cut: Option<Cut>,
    /// How many bytes in the middle are damaged: acknowledged entries may be lost with them.
    pub damaged_bytes: usize,
    /// How many bytes at the end are of a write that was cut short: they were never acknowledged, where no later file was begun.
    pub torn_bytes: usize,
    /// How many bytes at the end can't be read although no write was cut short, see [`Piece::Doubtful`]: acknowledged entries may be lost with them.
    pub doubtful_bytes: usize,
    /// How long it is without such an end.
    pub length: u64,
}

impl Contents {
    /// What is wrong with the file, in words: `None` where all that was acknowledged could be read. After the end of one that is not
    /// the last, nothing was being written any more.
    pub fn damage(&self, is_last: bool) -> Option<String> {
        let lost = self.damaged_bytes + if is_last { 0 } else { self.end_bytes() };
        if lost > 0 {
            return Some(format!("{lost} bytes can't be read, and what was acknowledged in them is lost"));
        }
        let doubtful = self.doubtful_bytes;
        (doubtful > 0).then(|| {
            format!(
                "the last {doubtful} bytes can't be read: a power cut left them so while they were written, and nothing acknowledged \
                 is lost, or they were damaged later, and what was acknowledged in them is lost"
            )
        })
    }

    /// How many bytes at the end are no group.
    pub fn end_bytes(&self) -> usize {
        self.torn_bytes + self.doubtful_bytes
    }
}

/// Reads a log file up to `end`, where a later file says that it ends there, and gives its groups one after the other.
pub fn read(path: &Path, end: Option<u64>, mut each: impl FnMut(Batch)) -> Result<Contents, StoreError> {
    let bytes = file::read(path)?.unwrap_or_default();
    let end = end.and_then(|end| usize::try_from(end).ok()).unwrap_or(usize::MAX);
    let mut contents = Contents::default();
    for (begin, piece) in frame::pieces(&bytes[..bytes.len().min(end)]) {
        let length = match piece {
            Piece::Payload(payload) if begin == 0 => {
                contents.cut = head(path, payload)?;
                frame::HEAD_BYTES + payload.len()
            }
            Piece::Payload(payload) => {
                let length = frame::HEAD_BYTES + payload.len();
                match batch::unpack(payload) {
                    Ok(batch) => each(batch),
                    Err(_) => contents.damaged_bytes += length,
                }
                length
            }
            Piece::Damaged(length) => {
                contents.damaged_bytes += length;
                length
            }
            Piece::Torn(length) => {
                contents.torn_bytes = length;
                0
            }
            Piece::Doubtful(length) => {
                contents.doubtful_bytes = length;
                0
            }
        };
        contents.length += length as u64;
    }
    Ok(contents)
}

/// Where the file before this one ends, as this one's first frame says.
pub fn read_cut(path: &Path) -> Result<Option<Cut>, StoreError> {
    let mut beginning = [0; 256];
    let read = match File::open(path).and_then(|mut file| read_up_to(&mut file, &mut beginning)) {
        Ok(read) => read,
        Err(error) => return Err(file::failed("can't read", path)(error)),
    };
    match frame::pieces(&beginning[..read]).next() {
        Some((0, Piece::Payload(payload))) => head(path, payload),
        _ => Ok(None),
    }
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    loop {
        match file.read(&mut buffer[length..])? {
            0 => return Ok(length),
            more => length += more,
        }
    }
}

fn head(path: &Path, payload: &[u8]) -> Result<Option<Cut>, StoreError> {
    let damaged = |reason: String| StoreError::Damaged { path: path.display().to_string(), reason };
    let head = Head::decode(Bytes::copy_from_slice(payload)).map_err(|error| damaged(error.to_string()))?;
    if head.format > FORMAT {
        return Err(StoreError::Unusable(format!(
            "`{}` was written by a newer version of this program (format {}, this one reads up to {FORMAT}): use that version",
            path.display(),
            head.format
        )));
    }
    Ok(head.cut_number.map(|number| Cut { number, length: head.cut_length }))
}
