//! A segment's files: each mapped when it is first asked for, and checked then.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tantivy::Directory;
use tantivy::directory::error::{OpenDirectoryError, OpenReadError};
use tantivy::directory::{MmapDirectory, OwnedBytes};

use super::build::{BLOCKS, BODIES, BUNDLES, COLUMNS, DICTIONARY, IDENTITIES, IDS, KNOTS, MINUTES, TERMS};
use super::damage::Damage;
use super::manifest::{FileSum, Manifest};
use crate::file;

/// All of them but the manifest.
const NAMES: [&str; 10] = [MINUTES, BODIES, BLOCKS, DICTIONARY, BUNDLES, IDENTITIES, KNOTS, COLUMNS, TERMS, IDS];

/// How many bytes are read at once where a file is read through.
const PIECE_BYTES: usize = 256 * 1024;

/// The files of one segment.
pub struct Files {
    segment: u64,
    path: PathBuf,
    directory: MmapDirectory,
    held: HashMap<&'static str, (FileSum, OnceLock<OwnedBytes>)>,
}

impl Files {
    /// Looks whether all of them are there and as long as they were written; nothing of their content is read yet.
    pub fn open(path: &Path, manifest: &Manifest) -> Result<Files, Damage> {
        let segment = manifest.number;
        let damage = |reason: String| Damage::new(segment, reason);
        let directory = MmapDirectory::open(path).map_err(|error| match error {
            OpenDirectoryError::IoError { io_error, .. } => Damage::of_system(segment, "its folder", &io_error),
            other => damage(other.to_string()),
        })?;
        let mut held = HashMap::new();
        for name in NAMES {
            let sum = manifest.files.iter().find(|file| file.name == name);
            let sum = sum.ok_or_else(|| damage(format!("the manifest lacks `{name}`")))?.clone();
            let metadata = file::before_reading(&path.join(name)).and_then(|()| std::fs::metadata(path.join(name)));
            let length = metadata.map_err(|error| Damage::of_system(segment, &format!("`{name}`"), &error))?.len();
            if length != sum.length {
                return Err(damage(format!("`{name}` has {length} bytes, not {}", sum.length)));
            }
            held.insert(name, (sum, OnceLock::new()));
        }
        Ok(Files { segment, path: path.to_owned(), directory, held })
    }

    /// Their folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file, checked when it is first used.
    pub fn get(&self, name: &'static str) -> Result<OwnedBytes, Damage> {
        self.mapped(name, true)
    }

    /// A file that has checksums of its own within.
    pub fn map(&self, name: &'static str) -> Result<OwnedBytes, Damage> {
        self.mapped(name, false)
    }

    /// Opens all of them, so that questions which are under way can still read them when their names are gone.
    /// What is damaged stays closed: whoever asks for it is told.
    pub fn hold_open(&self) {
        for name in NAMES {
            let _told_when_asked = self.mapped(name, name != BODIES);
        }
    }

    /// Reads every file through and compares its checksum. Not by a map: what the disk can't read is then an error, and no signal.
    pub fn scrub(&self) -> Result<(), Damage> {
        let mut piece = vec![0; PIECE_BYTES];
        for (name, (sum, _)) in &self.held {
            let path = self.path.join(name);
            let opened = file::before_reading(&path).and_then(|()| std::fs::File::open(&path));
            let mut file = opened.map_err(|error| self.unread(name, &error))?;
            let mut hasher = crc32fast::Hasher::new();
            loop {
                match file.read(&mut piece).map_err(|error| self.unread(name, &error))? {
                    0 => break,
                    read => hasher.update(&piece[..read]),
                }
            }
            if hasher.finalize() != sum.checksum {
                return Err(self.damage(format!("the checksum of `{name}` is wrong")));
            }
        }
        Ok(())
    }

    /// That the system couldn't read a file just now.
    pub fn unread(&self, name: &str, error: &io::Error) -> Damage {
        Damage::of_system(self.segment, &format!("`{name}`"), error)
    }

    fn damage(&self, reason: String) -> Damage {
        Damage::new(self.segment, reason)
    }

    fn mapped(&self, name: &'static str, is_checked: bool) -> Result<OwnedBytes, Damage> {
        let held = self.held.get(name);
        let (sum, cell) = held.ok_or_else(|| self.damage(format!("there is no file `{name}`")))?;
        if let Some(bytes) = cell.get() {
            return Ok(bytes.clone());
        }
        let bytes = match self.open_file(name) {
            Ok(bytes) => bytes,
            // It was removed meanwhile; then it was held open first.
            Err(damage) => return cell.get().cloned().ok_or(damage),
        };
        if is_checked && crc32fast::hash(&bytes) != sum.checksum {
            return Err(self.damage(format!("the checksum of `{name}` is wrong")));
        }
        Ok(cell.get_or_init(|| bytes).clone())
    }

    fn open_file(&self, name: &'static str) -> Result<OwnedBytes, Damage> {
        file::before_reading(&self.path.join(name)).map_err(|error| self.unread(name, &error))?;
        let opened = self.directory.open_read(Path::new(name)).map_err(|error| match error {
            OpenReadError::IoError { io_error, .. } => self.unread(name, &io_error),
            other => self.damage(format!("`{name}`: {other}")),
        });
        opened?.read_bytes().map_err(|error| self.unread(name, &error))
    }
}
