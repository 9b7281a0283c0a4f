//! What people decided of dead letters: that one needs no more attention, and why. The dead letter itself stays where it is.
//!
//! Kept in the journal, a line for some dead letters together; here in memory so that a page needs no file. Only this process writes them.

use std::collections::HashMap;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::engine::StoreError;
use crate::journal::{Journal, Line, LineKind};
use crate::position::{Incarnation, Place, Position};
use crate::time::Timestamp;

/// How many dead letters one line names: a line of the journal holds 64 KiB, and a position takes up to 600 bytes, with the longest
/// topic's name.
pub(crate) const POSITIONS_PER_LINE: usize = 80;

/// The longest note, in bytes.
pub const NOTE_BYTES_MAX: usize = 2_000;

/// How many dismissals are held: about 50 MiB. Beyond that, dead letters dismissed later read as new after a restart, with a word in the log.
const DISMISSALS_MAX: usize = 200_000;

/// That a dead letter needs no more attention.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dismissal {
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub note: String,
}

/// The dead letters that were dismissed.
#[derive(Debug, Default)]
pub struct Dismissals {
    by_position: RwLock<HashMap<Position, Dismissal>>,
}

/// What a line of the journal says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    /// False where they are open again.
    dismissed: bool,
    note: String,
    positions: Vec<SaidPosition>,
}

/// A position as lines of the journal have it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct SaidPosition {
    source: String,
    channel: String,
    incarnation: u32,
    place: String,
}

impl Dismissals {
    /// As the journal has them. Reads the file: don't call it where others wait.
    pub fn read(journal: &Journal) -> Result<Dismissals, StoreError> {
        let dismissals = Dismissals::default();
        for line in journal.replay(0)?.iter().filter(|line| line.kind == LineKind::Dismissal) {
            dismissals.take(line);
        }
        Ok(dismissals)
    }

    /// What was decided of a dead letter; `None` while it is open.
    pub fn of(&self, position: &Position) -> Option<Dismissal> {
        self.by_position.read().get(position).cloned()
    }

    /// Dismisses dead letters, with a note, or opens them again (`None`). Durable when it returns.
    pub async fn decide(
        &self,
        journal: &Journal,
        positions: &[Position],
        note: Option<&str>,
        by: &str,
    ) -> Result<(), StoreError> {
        for some in positions.chunks(POSITIONS_PER_LINE) {
            let said = Said {
                dismissed: note.is_some(),
                note: note.unwrap_or_default().to_owned(),
                positions: some.iter().map(SaidPosition::of).collect(),
            };
            journal.append(LineKind::Dismissal, "dead letters", by, &said).await?;
            self.apply(said, by, Timestamp::now());
        }
        Ok(())
    }

    /// Takes what a line of the journal says of dead letters.
    pub fn take(&self, line: &Line) {
        if let Some(said) = line.read::<Said>() {
            self.apply(said, &line.by, line.at);
        }
    }

    fn apply(&self, said: Said, by: &str, at: Timestamp) {
        let mut by_position = self.by_position.write();
        for position in said.positions.iter().filter_map(SaidPosition::position) {
            if !said.dismissed {
                by_position.remove(&position);
            } else if by_position.len() < DISMISSALS_MAX {
                by_position.insert(position, Dismissal { by: by.to_owned(), at, note: said.note.clone() });
            } else {
                tracing::warn!("more than {DISMISSALS_MAX} dead letters were dismissed: {position} reads as new");
            }
        }
    }
}

impl SaidPosition {
    /// Of a position.
    pub fn of(position: &Position) -> SaidPosition {
        SaidPosition {
            source: position.source.to_string(),
            channel: position.channel.to_string(),
            incarnation: position.incarnation.0,
            place: position.place.to_string(),
        }
    }

    /// The position; `None` where it is none.
    pub fn position(&self) -> Option<Position> {
        Some(Position {
            source: self.source.as_str().into(),
            channel: self.channel.as_str().into(),
            incarnation: Incarnation(self.incarnation),
            place: Place::parse(&self.place)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::record;

    fn position(offset: i64) -> Position {
        record("orders.DLT", 0, offset).record().position
    }

    #[tokio::test]
    async fn what_was_dismissed_stays_so_after_a_restart_until_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let dismissals = Dismissals::read(&journal).unwrap();
        let many: Vec<Position> = (0..200).map(position).collect();
        dismissals.decide(&journal, &many, Some("known, \"fixed\"\nin 2.1"), "ops").await.unwrap();
        dismissals.decide(&journal, &many[7..8], None, "ops").await.unwrap();
        drop(journal);
        let again = Dismissals::read(&Journal::open(folder.path()).unwrap()).unwrap();
        for held in [&dismissals, &again] {
            assert_eq!(held.of(&position(7)), None);
            let dismissal = held.of(&position(199)).unwrap();
            assert_eq!((dismissal.by.as_str(), dismissal.note.as_str()), ("ops", "known, \"fixed\"\nin 2.1"));
        }
        let elsewhere = Position { incarnation: Incarnation(1), ..position(3) };
        assert_eq!(again.of(&elsewhere), None, "a topic that was made again has other dead letters");
    }

    #[tokio::test]
    async fn the_longest_names_fit_into_the_journals_lines() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let long = Position { channel: "t".repeat(249).into(), source: "s".repeat(249).into(), ..position(i64::MAX) };
        let many = vec![long; POSITIONS_PER_LINE + 1];
        let note = "\"".repeat(NOTE_BYTES_MAX);
        Dismissals::default().decide(&journal, &many, Some(&note), "ops").await.unwrap();
    }
}
