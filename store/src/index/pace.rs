//! How fast entries are kept and how long the disk takes, over the last minute: one cell a second, in a ring.

use std::time::{Duration, Instant};

/// How many seconds are looked back on.
const SECONDS: u64 = 60;

/// The last minute, second by second.
#[derive(Clone, PartialEq, Debug)]
pub struct Pace {
    began: Instant,
    cells: Vec<Cell>,
}

#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Cell {
    second: u64,
    entries: u64,
    slowest: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { began: Instant::now(), cells: vec![Cell::default(); SECONDS as usize] }
    }
}

impl Pace {
    /// Counts entries that were kept just now, and how long making them durable took.
    pub fn kept(&mut self, entries: u64, took: Duration) {
        self.kept_at(self.began.elapsed().as_secs(), entries, took);
    }

    /// Entries a second, and the slowest sync, of the last minute, or of as long as there is something to tell of.
    pub fn last_minute(&self) -> (f64, Duration) {
        self.last_minute_at(self.began.elapsed().as_secs())
    }

    fn kept_at(&mut self, second: u64, entries: u64, took: Duration) {
        let cell = &mut self.cells[(second % SECONDS) as usize];
        if cell.second != second {
            *cell = Cell { second, ..Cell::default() };
        }
        cell.entries += entries;
        cell.slowest = cell.slowest.max(took);
    }

    fn last_minute_at(&self, now: u64) -> (f64, Duration) {
        let recent = || self.cells.iter().filter(|cell| cell.second + SECONDS > now);
        let entries: u64 = recent().map(|cell| cell.entries).sum();
        let slowest = recent().map(|cell| cell.slowest).max().unwrap_or_default();
        (entries as f64 / (now + 1).min(SECONDS) as f64, slowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_that_of_the_last_minute_only() {
        let mut pace = Pace::default();
        let milliseconds = Duration::from_millis;
        pace.kept_at(0, 30, milliseconds(9));
        pace.kept_at(1, 30, milliseconds(2));
        assert_eq!(pace.last_minute_at(1), (30.0, milliseconds(9)));
        assert_eq!(pace.last_minute_at(59), (1.0, milliseconds(9)));
        assert_eq!(pace.last_minute_at(60), (0.5, milliseconds(2)));
        pace.kept_at(60, 600, milliseconds(1));
        assert_eq!(pace.last_minute_at(60), (10.5, milliseconds(2)));
        assert_eq!(pace.last_minute_at(500), (0.0, Duration::ZERO));
    }
}
