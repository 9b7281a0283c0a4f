//! Everything that the store does to files: whole files written atomically, folders synced, one process at a time.
//!
//! All file access of the store goes through here, so that a test can stand in for the disk.

#[cfg(any(test, feature = "fixture"))]
pub mod crash; // what a power cut may leave, for tests
#[cfg(any(test, feature = "fixture"))]
pub mod fault; // disks that misbehave, for tests
mod step; // one change to a folder

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use self::step::Step;
use crate::engine::StoreError;

/// An error of a file, with what was tried.
pub fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.display().to_string();
    move |source| StoreError::File { what, path, source }
}

/// Makes a folder and those above it, where they aren't there yet, and makes that durable.
pub fn make_folder(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    let made = before(Operation::Create, path).and_then(|()| fs::create_dir_all(path));
    made.map_err(failed("can't make the folder", path))?;
    did(path, Step::MakeFolder);
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => Ok(()),
    }
}

/// Makes durable which files are in a folder: without it, a new name can be lost in a power cut although its content was synced.
pub fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let folder = File::open(path).map_err(failed("can't open the folder", path))?;
    before(Operation::Sync, path).and_then(|()| folder.sync_all()).map_err(failed("can't sync the folder", path))?;
    did(path, Step::SyncFolder);
    Ok(())
}

/// Writes a new file and makes its content durable, but not its name.
pub fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = create(path)?;
    append(&mut file, path, bytes).map_err(failed("can't write", path))?;
    sync(&file, path).map_err(failed("can't sync", path))
}

/// Makes a new file, or empties the one that was there.
pub fn create(path: &Path) -> Result<File, StoreError> {
    let created = before(Operation::Create, path).and_then(|()| File::create(path));
    let created = created.map_err(failed("can't create", path))?;
    did(path, Step::Create);
    Ok(created)
}

/// Opens a file to write to its end, or makes it.
pub fn open_to_append(path: &Path) -> Result<File, StoreError> {
    let is_new = !path.exists();
    let opened = before(Operation::Create, path).and_then(|()| OpenOptions::new().create(true).append(true).open(path));
    let opened = opened.map_err(failed("can't open", path))?;
    if is_new {
        did(path, Step::Create);
    }
    Ok(opened)
}

/// Shortens a file to so many bytes.
pub fn cut(file: &File, path: &Path, length: u64) -> io::Result<()> {
    before(Operation::Write, path)?;
    file.set_len(length)?;
    did(path, |path| Step::Cut(path, length));
    Ok(())
}

/// Writes to the end of what was written.
pub fn append(file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    before(Operation::Write, path)?;
    file.write_all(bytes)?;
    did(path, |path| Step::Write(path, bytes.to_vec()));
    Ok(())
}

/// Makes a file durable, with its length and times.
pub fn sync(file: &File, path: &Path) -> io::Result<()> {
    before(Operation::Sync, path)?;
    file.sync_all()?;
    did(path, Step::Sync);
    Ok(())
}

/// Makes a file's content durable, which costs less than [`sync`].
pub fn sync_content(file: &File, path: &Path) -> io::Result<()> {
    before(Operation::Sync, path)?;
    file.sync_data()?;
    did(path, Step::Sync);
    Ok(())
}

/// Copies a file to a new one and makes its content durable; how many bytes it has, or `None` where it is gone.
pub fn copy(from: &Path, to: &Path) -> Result<Option<u64>, StoreError> {
    let copied =
        before(Operation::Create, to).and_then(|()| before(Operation::Write, to)).and_then(|()| fs::copy(from, to));
    let bytes = match copied {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("can't copy", from)(error)),
    };
    let file = File::open(to).map_err(failed("can't open", to))?;
    sync(&file, to).map_err(failed("can't sync", to))?;
    Ok(Some(bytes))
}

/// Puts a whole file in place of the one that was there: after a crash there is the old one or the new one, never half of one.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    write_synced(&new, bytes)?;
    rename(&new, path)
}

/// Renames a file or folder, and makes that durable.
pub fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    before(Operation::Rename, from).and_then(|()| fs::rename(from, to)).map_err(failed("can't rename", from))?;
    did_rename(from, to);
    sync_folder(to.parent().unwrap_or(Path::new(".")))
}

/// Reads a whole file; `None` where there is none.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("can't read", path)(error)),
    }
}

/// Reads so many bytes of a file from a place on; fewer where it ends before.
pub fn read_part(path: &Path, from: u64, bytes_max: u64) -> Result<Vec<u8>, StoreError> {
    let read = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    before(Operation::Read, path).and_then(|()| read()).map_err(failed("can't read", path))
}

/// Removes a file; well if it is gone already.
pub fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Ok(()) => {
            did(path, Step::Remove);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("can't remove", path)(error)),
    }
}

/// Removes a folder with all that is in it; well if it is gone already.
pub fn remove_folder(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Ok(()) => {
            did(path, Step::Remove);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("can't remove the folder", path)(error)),
    }
}

/// What is in a folder, by name; nothing where the folder isn't there.
pub fn names(path: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("can't list the folder", path)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("can't list the folder", path))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// How many bytes the files of a folder take, folders in it included.
pub fn folder_bytes(path: &Path) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for name in names(path)? {
        let inner = path.join(name);
        match fs::symlink_metadata(&inner) {
            Ok(metadata) if metadata.is_dir() => bytes += folder_bytes(&inner)?,
            Ok(metadata) => bytes += metadata.len(),
            // Removed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("can't look at", &inner)(error)),
        }
    }
    Ok(bytes)
}

/// How many bytes are free on the disk that holds a path; `None` where that can't be said.
pub fn free_bytes(path: &Path) -> Option<u64> {
    disk_bytes(path).map(|(free, _)| free)
}

/// Asked before a segment's file is opened, which others do for us.
pub fn before_reading(path: &Path) -> io::Result<()> {
    before(Operation::Read, path)
}

/// How many bytes are free on the disk that holds a path, and how many it has; `None` where that can't be said.
pub fn disk_bytes(path: &Path) -> Option<(u64, u64)> {
    if let Some(told) = room(path) {
        return Some(told);
    }
    let disk = rustix::fs::statvfs(path).ok()?;
    Some((disk.f_bavail.checked_mul(disk.f_frsize)?, disk.f_blocks.checked_mul(disk.f_frsize)?))
}

/// Whether files can be made in a folder, as far as the operating system tells without trying.
pub fn writable(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)?)
}

/// How many bytes of memory this process has in use, as the operating system counts them (proc(5): /proc/PID/statm, the second field, in
/// pages); `None` where that can't be said.
pub fn resident_bytes() -> Option<u64> {
    let told = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = told.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(rustix::param::page_size() as u64)
}

/// Holds a folder for this process alone, until it is dropped. The operating system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the folder, or says that another process has it.
    pub fn take(folder: &Path) -> Result<FolderLock, StoreError> {
        let path = lock_path(folder);
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = opened.map_err(failed("can't open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Unusable(format!(
                "the data folder `{}` is in use by another process: stop it, or give this one another folder",
                folder.display()
            ))),
            Err(TryLockError::Error(error)) => Err(failed("can't lock", &path)(error)),
        }
    }
}

#[cfg(any(test, feature = "fixture"))]
use crash::{did, did_rename};
#[cfg(any(test, feature = "fixture"))]
use fault::{Operation, check as before, room};

/// What is about to be done to a file; of interest to tests only.
#[cfg(not(any(test, feature = "fixture")))]
enum Operation {
    Create,
    Write,
    Sync,
    Rename,
    Read,
}

#[cfg(not(any(test, feature = "fixture")))]
fn room(_: &Path) -> Option<(u64, u64)> {
    None
}

#[cfg(not(any(test, feature = "fixture")))]
fn before(_: Operation, _: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(not(any(test, feature = "fixture")))]
fn did(_: &Path, _: impl FnOnce(PathBuf) -> Step) {}

#[cfg(not(any(test, feature = "fixture")))]
fn did_rename(_: &Path, _: &Path) {}

fn lock_path(folder: &Path) -> PathBuf {
    folder.join("lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"two");
        assert_eq!(names(folder.path()).unwrap(), ["state"]);
        assert_eq!(folder_bytes(folder.path()).unwrap(), 3);
    }

    #[test]
    fn a_folder_can_be_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        assert!(matches!(FolderLock::take(folder.path()), Err(StoreError::Unusable(_))));
        drop(lock);
        FolderLock::take(folder.path()).unwrap();
    }
}
