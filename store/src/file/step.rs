//! One change to what is on the disk, as those who look at them from outside are told.

use std::path::PathBuf;

/// One change below the folder.
#[cfg_attr(not(any(test, feature = "fixture")), expect(dead_code, reason = "only tests read them"))]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A new, empty file, or one that was emptied.
    Create(PathBuf),
    /// A folder, and those above it.
    MakeFolder(PathBuf),
    /// Bytes at the end of a file.
    Write(PathBuf, Vec<u8>),
    /// A file is shortened to so many bytes.
    Cut(PathBuf, u64),
    /// A file's content is durable from here on.
    Sync(PathBuf),
    /// The names in a folder are durable from here on.
    SyncFolder(PathBuf),
    /// Another name.
    Rename(PathBuf, PathBuf),
    /// A file, or a folder with all that is in it, is gone.
    Remove(PathBuf),
    /// Something that a test says of this moment.
    Mark(String),
}
