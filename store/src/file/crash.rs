//! What a power cut may leave of a folder: every change that the store makes there is written down, and for any moment and any seed
//! a folder is made of it as a disk may hold it then.
//!
//! Only what was synced is sure. Of a file's later writes a part may be there, torn anywhere, with zeros or rubbish where its length
//! grew before its content came; new names, renames and removals of a folder that was not synced may be there or not, each for itself
//! (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014, tells what real file systems do).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub use super::step::Step;

type Steps = Arc<Mutex<Vec<Step>>>;

static RECORDERS: RwLock<Vec<(PathBuf, Steps)>> = RwLock::new(Vec::new());

/// Writes down what is done below a folder, until it is dropped. The folder must be there, and empty.
#[derive(Debug)]
pub struct Recorder {
    folder: PathBuf,
    steps: Steps,
}

impl Recorder {
    /// Of this folder.
    pub fn below(folder: &Path) -> Recorder {
        let steps = Steps::default();
        RECORDERS.write().push((folder.to_owned(), steps.clone()));
        Recorder { folder: folder.to_owned(), steps }
    }

    /// Says something of this moment.
    pub fn mark(&self, what: impl Into<String>) {
        self.steps.lock().push(Step::Mark(what.into()));
    }

    /// All that was done until now, with paths within the folder.
    pub fn steps(&self) -> Vec<Step> {
        self.steps.lock().clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        RECORDERS.write().retain(|(folder, _)| *folder != self.folder);
    }
}

/// Writes down what was done to a path.
pub(super) fn did(path: &Path, step: impl FnOnce(PathBuf) -> Step) {
    let recorders = RECORDERS.read();
    if let Some((folder, steps)) = recorders.iter().find(|(folder, _)| path.starts_with(folder)) {
        steps.lock().push(step(within(folder, path)));
    }
}

/// Writes down that a path got another name.
pub(super) fn did_rename(from: &Path, to: &Path) {
    let recorders = RECORDERS.read();
    if let Some((folder, steps)) = recorders.iter().find(|(folder, _)| from.starts_with(folder)) {
        steps.lock().push(Step::Rename(within(folder, from), within(folder, to)));
    }
}

fn within(folder: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(folder).unwrap_or(path).to_owned()
}

/// Makes in `into`, which must not be there yet, what a power cut after these steps may have left; which of it, the seed says.
pub fn leave(steps: &[Step], seed: u64, into: &Path) -> std::io::Result<()> {
    let mut disk = Disk { files: Vec::new(), folders: vec![Folder::default()] };
    for step in steps {
        disk.take(step);
    }
    disk.write(0, into, &mut StdRng::seed_from_u64(seed))
}

#[derive(Clone, Copy)]
enum Node {
    File(usize),
    Folder(usize),
}

#[derive(Default)]
struct Folder {
    now: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    /// What changed since it was synced; the names of one change come together.
    pending: Vec<Vec<(String, Option<Node>)>>,
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

enum Change {
    Append(Vec<u8>),
    Cut(usize),
}

struct Disk {
    files: Vec<File>,
    folders: Vec<Folder>,
}

impl Disk {
    fn take(&mut self, step: &Step) {
        match step {
            Step::MakeFolder(path) => drop(self.make(path)),
            Step::Create(path) => match self.file(path) {
                Some(file) => self.files[file].pending.push(Change::Cut(0)),
                None => {
                    self.files.push(File::default());
                    let node = Node::File(self.files.len() - 1);
                    self.change(path, Some(node));
                }
            },
            Step::Write(path, bytes) => self.alter(path, Change::Append(bytes.clone())),
            Step::Cut(path, length) => self.alter(path, Change::Cut(usize::try_from(*length).unwrap_or(usize::MAX))),
            Step::Sync(path) => {
                if let Some(file) = self.file(path) {
                    let file = &mut self.files[file];
                    file.durable = file.whole();
                    file.pending.clear();
                }
            }
            Step::SyncFolder(path) => {
                if let Some(Node::Folder(folder)) = self.node(path) {
                    let folder = &mut self.folders[folder];
                    folder.durable = folder.now.clone();
                    folder.pending.clear();
                }
            }
            Step::Rename(from, to) => {
                let node = self.node(from);
                if from.parent() == to.parent() {
                    let names = [(from, None), (to, node)].map(|(path, node)| (name(path), node));
                    self.change_together(from, names.into());
                } else {
                    self.change(to, node);
                    self.change(from, None);
                }
            }
            Step::Remove(path) => {
                if let Some(Node::Folder(folder)) = self.node(path) {
                    for inner in self.folders[folder].now.keys().cloned().collect::<Vec<_>>() {
                        self.take(&Step::Remove(path.join(inner)));
                    }
                }
                self.change(path, None);
            }
            Step::Mark(_) => {}
        }
    }

    fn make(&mut self, path: &Path) -> usize {
        let mut here = 0;
        for part in path.iter() {
            let part = part.to_string_lossy().into_owned();
            here = match self.folders[here].now.get(&part) {
                Some(Node::Folder(folder)) => *folder,
                _ => {
                    self.folders.push(Folder::default());
                    let made = self.folders.len() - 1;
                    let names = vec![(part, Some(Node::Folder(made)))];
                    self.folders[here].change(names);
                    made
                }
            };
        }
        here
    }

    fn node(&self, path: &Path) -> Option<Node> {
        let mut here = Node::Folder(0);
        for part in path.iter() {
            let Node::Folder(folder) = here else { return None };
            here = *self.folders[folder].now.get(&*part.to_string_lossy())?;
        }
        Some(here)
    }

    fn file(&self, path: &Path) -> Option<usize> {
        match self.node(path)? {
            Node::File(file) => Some(file),
            Node::Folder(_) => None,
        }
    }

    fn alter(&mut self, path: &Path, change: Change) {
        if let Some(file) = self.file(path) {
            self.files[file].pending.push(change);
        }
    }

    fn change(&mut self, path: &Path, node: Option<Node>) {
        self.change_together(path, vec![(name(path), node)]);
    }

    fn change_together(&mut self, path: &Path, names: Vec<(String, Option<Node>)>) {
        if let Some(Node::Folder(folder)) = self.node(path.parent().unwrap_or(Path::new(""))) {
            self.folders[folder].change(names);
        }
    }

    fn write(&self, folder: usize, into: &Path, chance: &mut StdRng) -> std::io::Result<()> {
        fs::create_dir_all(into)?;
        for (name, node) in self.folders[folder].left(chance) {
            match node {
                Node::File(file) => fs::write(into.join(name), self.files[file].left(chance))?,
                Node::Folder(inner) => self.write(inner, &into.join(name), chance)?,
            }
        }
        Ok(())
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl Folder {
    fn change(&mut self, names: Vec<(String, Option<Node>)>) {
        apply(&mut self.now, &names);
        self.pending.push(names);
    }

    /// The names that are left: all that was synced, and of the rest as it happens.
    fn left(&self, chance: &mut StdRng) -> BTreeMap<String, Node> {
        let mut names = self.durable.clone();
        // Most file systems keep the order; none promises it.
        let first_lost = chance.random_range(0..=self.pending.len());
        let in_order = chance.random_bool(0.5);
        for (place, change) in self.pending.iter().enumerate() {
            if if in_order { place < first_lost } else { chance.random_bool(0.5) } {
                apply(&mut names, change);
            }
        }
        names
    }
}

fn apply(names: &mut BTreeMap<String, Node>, change: &[(String, Option<Node>)]) {
    for (name, node) in change {
        match node {
            Some(node) => drop(names.insert(name.clone(), *node)),
            None => drop(names.remove(name)),
        }
    }
}

impl File {
    fn whole(&self) -> Vec<u8> {
        self.pending.iter().fold(self.durable.clone(), |bytes, change| change.apply(bytes))
    }

    /// What is left of it: what was synced, a part of what was written since, and maybe a length that grew before its content came.
    fn left(&self, chance: &mut StdRng) -> Vec<u8> {
        let whole = chance.random_range(0..=self.pending.len());
        let mut bytes = self.pending[..whole].iter().fold(self.durable.clone(), |bytes, change| change.apply(bytes));
        if let Some(Change::Append(torn)) = self.pending.get(whole) {
            let here = chance.random_range(0..=torn.len());
            bytes.extend_from_slice(&torn[..here]);
            let missing = torn.len() - here;
            match chance.random_range(0..3) {
                0 => {}
                1 => bytes.resize(bytes.len() + missing, 0),
                _ => bytes.extend((0..missing.min(512)).map(|_| chance.random::<u8>())),
            }
        }
        bytes
    }
}

impl Change {
    fn apply(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Change::Append(more) => bytes.extend_from_slice(more),
            Change::Cut(length) => bytes.truncate(*length),
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;

    #[test]
    fn what_was_synced_is_always_left_and_the_rest_sometimes() {
        let folder = tempfile::tempdir().unwrap();
        let live = folder.path().join("live");
        fs::create_dir(&live).unwrap();
        let recorder = Recorder::below(&live);
        file::replace(&live.join("state"), b"first").unwrap();
        file::write_synced(&live.join("log"), b"sure").unwrap();
        file::sync_folder(&live).unwrap();
        let mut log = file::open_to_append(&live.join("log")).unwrap();
        file::append(&mut log, &live.join("log"), b" and not sure").unwrap();
        file::write_synced(&live.join("nameless"), b"synced, but its name is not").unwrap();
        let steps = recorder.steps();
        let mut lefts = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let into = folder.path().join(seed.to_string());
            leave(&steps, seed, &into).unwrap();
            assert_eq!(fs::read(into.join("state")).unwrap(), b"first");
            let log = fs::read(into.join("log")).unwrap();
            assert!(log.starts_with(b"sure"));
            let named = into.join("nameless").exists();
            lefts.insert((log, named));
            fs::remove_dir_all(&into).unwrap();
        }
        assert!(lefts.len() > 50 && lefts.contains(&(b"sure and not sure".to_vec(), true)), "{}", lefts.len());
        assert!(lefts.iter().any(|(_, named)| !named));
    }
}
