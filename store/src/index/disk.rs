//! How much of the disk is left free: below a reserve the oldest segments go, and below what sealing needs nothing more is taken.

use std::path::Path;

use crate::config::Size;
use crate::file;

/// With less free disk than this entries are refused, so that live sets can still become segments and the log files go.
const NEEDED_BYTES: u64 = 64 << 20;

/// On a small disk it is this share of it instead: one of a few MiB must be good for something, too.
const NEEDED_SHARE: u64 = 4;

/// The disk that holds a data folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disk {
    free: u64,
    all: u64,
}

impl Disk {
    /// As it is now; `None` where the system can't say.
    pub fn of(path: &Path) -> Option<Disk> {
        file::disk_bytes(path).map(|(free, all)| Disk { free, all })
    }

    /// Why nothing can be taken.
    pub fn refusal(self) -> Option<String> {
        let needed = self.needed();
        let is_full = self.free < needed;
        is_full.then(|| format!("the disk is full: {} are free, at least {} are needed", Size(self.free), Size(needed)))
    }

    /// How many bytes the oldest segments must give back. The reserve is half as much again as what is needed: so there is time to
    /// remove them before anything is refused.
    pub fn missing(self) -> u64 {
        (self.needed() + self.needed() / 2).saturating_sub(self.free)
    }

    fn needed(self) -> u64 {
        NEEDED_BYTES.min(self.all / NEEDED_SHARE)
    }
}
