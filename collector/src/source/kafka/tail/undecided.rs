//! What became of the records of one partition that a reader of everything sees, by what a reader of committed records got.
//!
//! Kafka tells no client which records were aborted: it leaves them out for those who ask for committed ones. So both are read, and
//! compared by offset:
//!
//! ```text
//! everything:      10 11 12 13    15 16
//! committed:       10       13             passed 15, so far
//!                      aborted      open: in a transaction, or behind one
//! ```
//!
//! Markers, which end transactions, take offsets too, but no reader gets them. Pure: it knows neither librdkafka nor the store.

use std::collections::VecDeque;
use std::ops::Range;

/// How many stretches of committed offsets are remembered of a partition while the reader of everything is behind; each ends at a marker or
/// an aborted record. Beyond, the two oldest become one: what was aborted between them isn't shown, rather than shown as what it isn't.
const STRETCHES_MAX: usize = 10_000;

/// What is known of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// Readers of committed records got it.
    Committed,
    /// They passed it by, and never will.
    Aborted,
    /// They are not there yet.
    Open,
}

/// Where both readers of a partition are, and the records that are not decided between them.
#[derive(Debug)]
pub(super) struct Undecided<R> {
    /// The offsets that the reader of committed records got, as far as they may be asked for, in order.
    stretches: VecDeque<Range<i64>>,
    /// The reader of committed records has all of them below this.
    passed: i64,
    /// The reader of everything has all of them below this.
    read: i64,
    /// Records that are open, in order.
    open: VecDeque<(i64, R)>,
}

impl<R> Undecided<R> {
    /// Both begin here.
    pub fn at(offset: i64) -> Undecided<R> {
        Undecided { stretches: VecDeque::new(), passed: offset, read: offset, open: VecDeque::new() }
    }

    /// The reader of committed records got this one.
    pub fn committed(&mut self, offset: i64) {
        match self.stretches.back_mut() {
            Some(last) if last.end == offset => last.end += 1,
            _ => self.stretches.push_back(offset..offset + 1),
        }
        if self.stretches.len() > STRETCHES_MAX
            && let Some(first) = self.stretches.pop_front()
            && let Some(second) = self.stretches.front_mut()
        {
            second.start = first.start;
        }
        self.passed(offset + 1);
    }

    /// The reader of committed records has all of them below this.
    pub fn passed(&mut self, offset: i64) {
        self.passed = self.passed.max(offset);
    }

    /// What became of the record at this offset, which the reader of everything gets now.
    pub fn read(&mut self, offset: i64) -> Fate {
        self.read = self.read.max(offset + 1);
        self.fate(offset)
    }

    /// Keeps an open record until it is decided.
    pub fn wait(&mut self, offset: i64, record: R) {
        self.open.push_back((offset, record));
    }

    /// Takes out the records that turned out to be aborted, and forgets those that turned out to be committed.
    pub fn aborted(&mut self) -> Vec<R> {
        let mut aborted = Vec::new();
        while let Some((offset, _)) = self.open.front()
            && let fate @ (Fate::Committed | Fate::Aborted) = self.fate(*offset)
        {
            let record = self.open.pop_front().map(|(_, record)| record);
            aborted.extend(record.filter(|_| fate == Fate::Aborted));
        }
        let decided = self.decided();
        while self.stretches.front().is_some_and(|first| first.end <= decided) {
            self.stretches.pop_front();
        }
        aborted
    }

    /// The reader of everything begins once more, where nothing is decided yet: here.
    pub fn again(&mut self) -> i64 {
        self.read = self.open.front().map_or(self.read, |(offset, _)| *offset);
        self.open.clear();
        self.read
    }

    /// The records that are open.
    pub fn open(&self) -> impl Iterator<Item = &R> {
        self.open.iter().map(|(_, record)| record)
    }

    /// How many they are.
    pub fn n_open(&self) -> usize {
        self.open.len()
    }

    /// Everything below this is decided, and was read by both.
    pub fn decided(&self) -> i64 {
        self.open.front().map_or(self.read.min(self.passed), |(offset, _)| *offset)
    }

    /// Everything below this was passed by the reader of committed records.
    pub fn passed_by(&self) -> i64 {
        self.passed
    }

    fn fate(&self, offset: i64) -> Fate {
        let after = self.stretches.partition_point(|stretch| stretch.end <= offset);
        match self.stretches.get(after) {
            Some(stretch) if stretch.contains(&offset) => Fate::Committed,
            _ if offset < self.passed => Fate::Aborted,
            _ => Fate::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(undecided: &mut Undecided<i64>, offsets: &[i64]) -> Vec<Fate> {
        let mut fates = Vec::new();
        for offset in offsets {
            let fate = undecided.read(*offset);
            if fate == Fate::Open {
                undecided.wait(*offset, *offset);
            }
            fates.push(fate);
        }
        fates
    }

    #[test]
    fn what_committed_readers_passed_by_was_aborted() {
        let mut undecided = Undecided::at(10);
        undecided.committed(10);
        undecided.committed(13);
        undecided.passed(15);
        let fates = read(&mut undecided, &[10, 11, 12, 13, 15, 16]);
        use Fate::{Aborted, Committed, Open};
        assert_eq!(fates, [Committed, Aborted, Aborted, Committed, Open, Open]);
        assert_eq!((undecided.decided(), undecided.n_open()), (15, 2));
    }

    #[test]
    fn an_open_record_is_decided_when_committed_readers_come_by() {
        let mut undecided = Undecided::at(0);
        assert_eq!(read(&mut undecided, &[0, 1, 2, 3]), [Fate::Open; 4]);
        assert_eq!(undecided.decided(), 0, "nothing may be forgotten yet");
        undecided.committed(2);
        assert_eq!(undecided.aborted(), [0, 1], "2 was committed, 3 is open");
        assert_eq!(undecided.open().collect::<Vec<_>>(), [&3]);
        undecided.passed(5); // the marker behind 3
        assert_eq!(undecided.aborted(), [3]);
        assert_eq!(undecided.decided(), 4);
    }

    #[test]
    fn a_reader_that_begins_once_more_misses_nothing() {
        let mut undecided = Undecided::at(0);
        read(&mut undecided, &[0, 1]);
        undecided.committed(4);
        assert_eq!(undecided.again(), 0);
        assert_eq!(read(&mut undecided, &[0, 1, 2, 4]), [Fate::Aborted, Fate::Aborted, Fate::Aborted, Fate::Committed]);
        assert_eq!((undecided.again(), undecided.decided()), (5, 5));
    }

    #[test]
    fn a_reader_of_everything_that_is_behind_still_knows_what_was_committed() {
        let mut undecided = Undecided::at(0);
        for offset in (0..100).filter(|offset| offset % 3 != 2) {
            undecided.committed(offset);
        }
        assert_eq!(undecided.decided(), 0);
        let fates = read(&mut undecided, &(0..99).collect::<Vec<_>>());
        assert_eq!(fates.iter().filter(|fate| **fate == Fate::Aborted).count(), 33);
        assert_eq!(undecided.aborted(), Vec::<i64>::new());
        assert_eq!(undecided.stretches.len(), 1, "what nobody asks for any more is forgotten");
    }

    #[test]
    fn too_many_stretches_hide_what_was_aborted_rather_than_lie() {
        let mut undecided: Undecided<i64> = Undecided::at(0);
        for number in 0..STRETCHES_MAX as i64 + 5 {
            undecided.committed(number * 2);
        }
        assert_eq!(undecided.stretches.len(), STRETCHES_MAX);
        assert_eq!(undecided.read(1), Fate::Committed);
        assert_eq!(undecided.read(999), Fate::Aborted);
    }
}
