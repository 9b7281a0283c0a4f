//! Disks that misbehave, for tests: full, failing, slow or read-only below a folder, for as long as a test holds its [`Fault`].
//!
//! Every write, sync, rename and new file of the store asks here first, and so does whoever opens a segment's file or wants to know how
//! much is free. Without the feature `fixture` nothing of this is built in.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

/// What is about to be done to a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    /// A file or folder is made.
    Create,
    /// Bytes are written to a file.
    Write,
    /// A file or folder is made durable.
    Sync,
    /// A file or folder gets another name.
    Rename,
    /// A file of a segment is opened to be read: only [`Fault::reading_below`] is asked.
    Read,
}

type Decide = dyn Fn(Operation, &Path) -> io::Result<()> + Send + Sync;

/// Free bytes, and all of them.
type Room = dyn Fn() -> (u64, u64) + Send + Sync;

static WRITING: RwLock<Vec<(PathBuf, Arc<Decide>)>> = RwLock::new(Vec::new());
static READING: RwLock<Vec<(PathBuf, Arc<Decide>)>> = RwLock::new(Vec::new());
static ROOMS: RwLock<Vec<(PathBuf, Arc<Room>)>> = RwLock::new(Vec::new());

/// A disk misbehaves until this is dropped. Of one folder there may be one of each kind.
#[derive(Debug)]
pub struct Fault {
    folder: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Writing,
    Reading,
    Room,
}

impl Fault {
    /// What happens below this folder is decided by `decide`: it may fail, or take its time. Of several folders the first one counts.
    pub fn below(folder: &Path, decide: impl Fn(Operation, &Path) -> io::Result<()> + Send + Sync + 'static) -> Fault {
        WRITING.write().push((folder.to_owned(), Arc::new(decide)));
        Fault { folder: folder.to_owned(), kind: Kind::Writing }
    }

    /// Whether a segment's file below this folder can be opened is decided by `decide`.
    pub fn reading_below(
        folder: &Path,
        decide: impl Fn(Operation, &Path) -> io::Result<()> + Send + Sync + 'static,
    ) -> Fault {
        READING.write().push((folder.to_owned(), Arc::new(decide)));
        Fault { folder: folder.to_owned(), kind: Kind::Reading }
    }

    /// The disk that holds this folder has so many free bytes, and so many in all.
    pub fn room_below(folder: &Path, room: impl Fn() -> (u64, u64) + Send + Sync + 'static) -> Fault {
        ROOMS.write().push((folder.to_owned(), Arc::new(room)));
        Fault { folder: folder.to_owned(), kind: Kind::Room }
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        match self.kind {
            Kind::Writing => WRITING.write().retain(|(folder, _)| *folder != self.folder),
            Kind::Reading => READING.write().retain(|(folder, _)| *folder != self.folder),
            Kind::Room => ROOMS.write().retain(|(folder, _)| *folder != self.folder),
        }
    }
}

/// Asks before something is done.
pub(super) fn check(operation: Operation, path: &Path) -> io::Result<()> {
    let faults = if operation == Operation::Read { &READING } else { &WRITING };
    let decide = faults.read().iter().find(|(folder, _)| path.starts_with(folder)).map(|(_, decide)| decide.clone());
    decide.map_or(Ok(()), |decide| decide(operation, path))
}

/// How much is free and how much there is, where a test says so.
pub(super) fn room(path: &Path) -> Option<(u64, u64)> {
    let room = ROOMS.read().iter().find(|(folder, _)| path.starts_with(folder)).map(|(_, room)| room.clone());
    room.map(|room| room())
}
