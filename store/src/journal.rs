//! The journal: the small durable book of what people and Sillage decided. Here is what was decided, keep it; tell me what was since.
//!
//! Append-only and fsynced, outside segments and retention: intents and outcomes of redrives, silences, the webhooks' outbox, the audit.
//! Web and collector meet here and nowhere else: the one writes an intent, the other watches, acts, and writes the outcome.
//! Not for payloads: what must be forgotten later must not stand here.
//!
//! ```text
//! let mut lines = journal.watch();
//! loop { for line in journal.read_on(&mut bookmark)? { act(line); } lines.changed().await; }
//! ```

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::engine::StoreError;
use crate::file;
use crate::frame::Looked;
use crate::time::Timestamp;

/// What kind of decision a line holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineKind {
    /// Somebody wants something done.
    Intent,
    /// What came of an intent.
    Outcome,
    /// How alerts stand, as far as a restart must not forget it.
    Alert,
    /// An alert is not to be told of for a while.
    Silence,
    /// A webhook call that is to be made, or that was made.
    Outbox,
    /// That dead letters need no more attention, or do again.
    Dismissal,
    /// Who did what.
    Audit,
}

/// One line of the journal.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// Counts lines from 1; never given twice.
    pub number: u64,
    /// When it was written, by our clock.
    pub at: Timestamp,
    /// What kind of decision it is.
    pub kind: LineKind,
    /// What ties lines together, such as a redrive's id.
    pub about: String,
    /// Who decided: the name of an `[[access]]`, or `sillage`.
    pub by: String,
    /// What was decided, as its kind and [`Line::about`] have it.
    pub says: serde_json::Value,
}

/// A line as the file has it, behind its checksum.
#[derive(Serialize, Deserialize)]
struct Written {
    /// See [`FORMAT`].
    #[serde(default = "first_format")]
    format: u32,
    number: u64,
    at: String,
    kind: LineKind,
    about: String,
    by: String,
    says: serde_json::Value,
}

/// The format of lines that this program writes, and the newest that it reads. The first lines said none.
const FORMAT: u32 = 1;

fn first_format() -> u32 {
    1
}

/// What every version's lines say.
#[derive(Deserialize)]
struct Format {
    #[serde(default = "first_format")]
    format: u32,
}

/// The longest line, in bytes: a decision is a few hundred, and a redrive of a thousand messages names them in several.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// The longest journal, in bytes: about half a million decisions. Then it refuses, and says to put the file aside.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;

/// The journal of a data folder.
#[derive(Clone, Debug)]
pub struct Journal {
    book: Arc<Mutex<Book>>,
    latest: Arc<watch::Sender<u64>>,
}

/// How far somebody has read, for [`Journal::read_on`]; at the beginning by default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bookmark {
    bytes: u64,
}

#[derive(Debug)]
struct Book {
    path: PathBuf,
    /// `None` after a failed write: what that left nobody knows, so the next one cuts the file back to what is sure, and opens it anew.
    file: Option<File>,
    length: u64,
    next: u64,
}

impl Journal {
    /// Opens the journal of a data folder, or makes it. A torn last line is cut, with a word in the log.
    pub fn open(folder: &Path) -> Result<Journal, StoreError> {
        file::make_folder(folder)?;
        let path = folder.join("journal");
        let bytes = file::read(&path)?.unwrap_or_default();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole < bytes.len() {
            tracing::warn!(
                "cut {} bytes off the end of `{}`: a line that was never finished, or whose end was damaged since",
                bytes.len() - whole,
                path.display()
            );
        }
        refuse_newer(&path, &bytes[..whole])?;
        let last = lines(&path, &bytes[..whole]).map(|line| line.number).max().unwrap_or(0);
        let mut book = Book { path, file: None, length: whole as u64, next: last + 1 };
        book.reopen()?;
        file::sync_folder(folder)?;
        Ok(Journal { book: Arc::new(Mutex::new(book)), latest: Arc::new(watch::Sender::new(last)) })
    }

    /// The data folder that it is in.
    pub fn folder(&self) -> PathBuf {
        self.book.lock().path.parent().map_or_else(PathBuf::new, Path::to_owned)
    }

    /// Writes a line durably, and gives its number. Refused where what it says is longer than [`LINE_BYTES_MAX`], or the disk is full.
    pub async fn append<T: Serialize>(
        &self,
        kind: LineKind,
        about: &str,
        by: &str,
        says: &T,
    ) -> Result<u64, StoreError> {
        let says = serde_json::to_value(says).map_err(|error| StoreError::Internal(error.to_string()))?;
        let written = Written {
            format: FORMAT,
            number: 0,
            at: Timestamp::now().to_string(),
            kind,
            about: about.to_owned(),
            by: by.to_owned(),
            says,
        };
        let journal = self.clone();
        let appended = spawn_blocking(move || {
            let number = journal.book.lock().append(written)?;
            journal.latest.send_modify(|latest| *latest = number.max(*latest));
            Ok(number)
        });
        appended.await.map_err(|error| StoreError::Internal(error.to_string()))?
    }

    /// All lines after a number, in order; 0 for all. Reads the file: don't call it where others wait. Damaged lines are left out, and said in the log.
    pub fn replay(&self, after: u64) -> Result<Vec<Line>, StoreError> {
        let (path, length) = {
            let book = self.book.lock();
            (book.path.clone(), book.length)
        };
        let bytes = file::read(&path)?.unwrap_or_default();
        let whole = &bytes[..bytes.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
        Ok(lines(&path, whole).filter(|line| line.number > after).collect())
    }

    /// The lines that were written after a bookmark, in order, and moves it behind them. Reads no other part of the file, but does read it:
    /// don't call it where others wait.
    pub fn read_on(&self, bookmark: &mut Bookmark) -> Result<Vec<Line>, StoreError> {
        let (path, length) = {
            let book = self.book.lock();
            (book.path.clone(), book.length)
        };
        if bookmark.bytes >= length {
            return Ok(Vec::new());
        }
        let bytes = file::read_part(&path, bookmark.bytes, length - bookmark.bytes)?;
        let read = lines(&path, &bytes).collect();
        bookmark.bytes = length;
        Ok(read)
    }

    /// The number of the latest line; changes with each.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }
}

/// What is wrong with the journal of a data folder; nothing is changed.
pub fn look_through(folder: &Path) -> Result<Looked, StoreError> {
    let path = folder.join("journal");
    let bytes = file::read(&path)?.unwrap_or_default();
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    refuse_newer(&path, &bytes[..whole])?;
    let lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(Looked { damaged: lines.filter(|line| read_line(line).is_none()).count(), torn_bytes: bytes.len() - whole })
}

impl Line {
    /// What was decided, as a type; `None` where it says something else.
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        T::deserialize(&self.says).ok()
    }
}

impl Book {
    fn append(&mut self, written: Written) -> Result<u64, StoreError> {
        let number = self.next;
        let text = serde_json::to_string(&Written { number, ..written });
        let text = text.map_err(|error| StoreError::Internal(error.to_string()))?;
        if text.len() > LINE_BYTES_MAX {
            return Err(StoreError::Internal(format!("a journal line of {} bytes is too long", text.len())));
        }
        let line = format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes()));
        if self.length + line.len() as u64 > JOURNAL_BYTES_MAX {
            let reason = format!("the journal is full: stop, move `{}` aside, and start again", self.path.display());
            return Err(StoreError::Refused { reason, retry_after: std::time::Duration::from_secs(60) });
        }
        if self.file.is_none() {
            self.reopen()?;
        }
        let Some(file) = self.file.as_mut() else { return Err(StoreError::Closed) };
        let written = file::append(file, &self.path, line.as_bytes());
        match written.and_then(|()| file::sync_content(file, &self.path)) {
            Ok(()) => {
                self.length += line.len() as u64;
                self.next += 1;
                Ok(number)
            }
            Err(error) => {
                self.file = None;
                Err(file::failed("can't write", &self.path)(error))
            }
        }
    }

    /// Opens the file for appending, cut to what is sure.
    fn reopen(&mut self) -> Result<(), StoreError> {
        let file = file::open_to_append(&self.path)?;
        file::cut(&file, &self.path, self.length).map_err(file::failed("can't cut", &self.path))?;
        file::sync(&file, &self.path).map_err(file::failed("can't sync", &self.path))?;
        self.file = Some(file);
        Ok(())
    }
}

fn lines<'a>(path: &'a Path, bytes: &'a [u8]) -> impl Iterator<Item = Line> + 'a {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).filter_map(move |line| {
        let read = read_line(line);
        if read.is_none() {
            tracing::error!("a line of `{}` is damaged and left out", path.display());
        }
        read
    })
}

/// A newer version's lines must neither be left out nor be written after.
fn refuse_newer(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let texts = bytes.split(|byte| *byte == b'\n').filter_map(whole_text);
    let formats = texts.filter_map(|text| serde_json::from_slice::<Format>(text).ok());
    match formats.map(|said| said.format).find(|format| *format > FORMAT) {
        None => Ok(()),
        Some(format) => Err(StoreError::Unusable(format!(
            "`{}` was written by a newer version of this program (format {format}, this one reads up to {FORMAT}): use that version",
            path.display()
        ))),
    }
}

/// What a line says, where its checksum is right.
fn whole_text(line: &[u8]) -> Option<&[u8]> {
    let (checksum, text) = (line.get(..8)?, line.get(9..)?);
    let expected = u32::from_str_radix(std::str::from_utf8(checksum).ok()?, 16).ok()?;
    (line[8] == b' ' && crc32fast::hash(text) == expected).then_some(text)
}

fn read_line(line: &[u8]) -> Option<Line> {
    let text = whole_text(line)?;
    let written: Written = serde_json::from_slice(text).ok()?;
    Some(Line {
        number: written.number,
        at: Timestamp::from_rfc3339(&written.at)?,
        kind: written.kind,
        about: written.about,
        by: written.by,
        says: written.says,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Redrive {
        topic: String,
        dry_run: bool,
    }

    #[tokio::test]
    async fn what_was_decided_is_there_after_a_restart_and_tells_who_waits() {
        let folder = tempfile::tempdir().unwrap();
        let says = Redrive { topic: "orders.DLT".into(), dry_run: true };
        let journal = Journal::open(folder.path()).unwrap();
        let mut watch = journal.watch();
        assert_eq!(journal.append(LineKind::Intent, "r1", "ops", &says).await.unwrap(), 1);
        assert!(watch.has_changed().unwrap());
        assert_eq!(*watch.borrow_and_update(), 1);
        assert_eq!(journal.append(LineKind::Outcome, "r1", "sillage", &"done\nwith it").await.unwrap(), 2);
        drop(journal);
        let journal = Journal::open(folder.path()).unwrap();
        let lines = journal.replay(0).unwrap();
        assert_eq!(
            lines.iter().map(|line| (line.number, line.kind)).collect::<Vec<_>>(),
            [(1, LineKind::Intent), (2, LineKind::Outcome)]
        );
        assert_eq!(lines[0].read::<Redrive>(), Some(says));
        assert_eq!(lines[0].read::<String>(), None);
        assert_eq!(lines[1].read::<String>().as_deref(), Some("done\nwith it"));
        assert_eq!(journal.replay(1).unwrap(), lines[1..]);
        let mut bookmark = Bookmark::default();
        assert_eq!(journal.read_on(&mut bookmark).unwrap(), lines);
        assert_eq!(journal.append(LineKind::Audit, "", "ops", &()).await.unwrap(), 3);
        let news: Vec<u64> = journal.read_on(&mut bookmark).unwrap().iter().map(|line| line.number).collect();
        assert_eq!((news, journal.read_on(&mut bookmark).unwrap().len()), (vec![3], 0));
    }

    #[tokio::test]
    async fn a_torn_line_is_cut_and_a_damaged_one_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        for number in 1..4 {
            journal.append(LineKind::Silence, "a", "ops", &number).await.unwrap();
        }
        drop(journal);
        let path = folder.path().join("journal");
        let mut bytes = std::fs::read(&path).unwrap();
        let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 30;
        bytes[second] ^= 1;
        bytes.truncate(bytes.len() - 5);
        std::fs::write(&path, bytes).unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        assert_eq!(journal.replay(0).unwrap().iter().map(|line| line.number).collect::<Vec<_>>(), [1]);
        journal.append(LineKind::Silence, "a", "ops", &9).await.unwrap();
        assert_eq!(journal.replay(0).unwrap().len(), 2);
    }
}
