//! Why a segment can't be read: because it is damaged, or because the system couldn't read it just now.

/// A segment that can't be read, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// Which segment.
    pub segment: u64,
    /// What is wrong with it.
    pub reason: String,
    /// True where nothing is known to be wrong with the segment: the system is out of open files, maps or memory, or the disk failed to
    /// read. It stays where it is, and may be read again.
    pub is_passing: bool,
}

impl Damage {
    /// A segment that is damaged.
    pub fn new(segment: u64, reason: String) -> Damage {
        Damage { segment, reason, is_passing: false }
    }

    /// A segment that the system couldn't read just now. A file that isn't there is damage all the same: a segment has all of its files.
    pub fn of_system(segment: u64, what: &str, error: &std::io::Error) -> Damage {
        let is_passing = error.kind() != std::io::ErrorKind::NotFound;
        Damage { segment, reason: format!("{what}: {error}"), is_passing }
    }
}
