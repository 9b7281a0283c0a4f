//! Disks that misbehave, for tests: full, failing, slow or read-only below a folder, for as long as a test holds its [`Fault`].
//!
//! Every write, sync, rename and new file of the store asks here first. Without the feature `fixture` nothing of this is built in.

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
}

type Decide = dyn Fn(Operation, &Path) -> io::Result<()> + Send + Sync;

static FAULTS: RwLock<Vec<(PathBuf, Arc<Decide>)>> = RwLock::new(Vec::new());

/// A disk misbehaves until this is dropped.
#[derive(Debug)]
pub struct Fault {
    folder: PathBuf,
}

impl Fault {
    /// What happens below this folder is decided by `decide`: it may fail, or take its time. Of several folders the first one counts.
    pub fn below(folder: &Path, decide: impl Fn(Operation, &Path) -> io::Result<()> + Send + Sync + 'static) -> Fault {
        FAULTS.write().push((folder.to_owned(), Arc::new(decide)));
        Fault { folder: folder.to_owned() }
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        FAULTS.write().retain(|(folder, _)| *folder != self.folder);
    }
}

/// Asks before something is done.
pub(super) fn check(operation: Operation, path: &Path) -> io::Result<()> {
    let decide = FAULTS.read().iter().find(|(folder, _)| path.starts_with(folder)).map(|(_, decide)| decide.clone());
    decide.map_or(Ok(()), |decide| decide(operation, path))
}
