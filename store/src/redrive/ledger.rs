//! The redrives that the journal knows, held in memory: what was asked for, and what became of each message.
//!
//! Web and collector each hold such a book of their own, and read on in the journal before they look into it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::task::spawn_blocking;

use super::edit::{Edit, Edits};
use super::said::{self, Asked, Letters, Said, Sent};
use crate::dead_letters::dismissal::{POSITIONS_PER_LINE, SaidPosition};
use crate::engine::StoreError;
use crate::journal::{Bookmark, Journal, Line};
use crate::position::Position;
use crate::time::Timestamp;

/// How many dead letters one redrive is about at most: what can be sent within a working day at a careful rate.
pub const MESSAGES_MAX: usize = 5_000;

/// How many messages are held of all redrives: about 100 MiB. Beyond that a further redrive is refused, with a word on what to do.
const HELD_MAX: usize = 200_000;

/// How many groups may be named that get messages again: with the longest names they fit into a line of the journal.
pub const AGAIN_MAX: usize = 100;

/// All redrives. Cheap to clone; clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct Redrives {
    bookmark: Arc<Mutex<Bookmark>>,
    book: Arc<RwLock<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    /// By id, which is by age.
    by_id: BTreeMap<String, Arc<Redrive>>,
    /// In which redrives a dead letter is, oldest first, and as which message.
    by_letter: HashMap<Position, Vec<(String, usize)>>,
    held: usize,
}

/// One redrive.
#[derive(Clone, PartialEq, Debug)]
pub struct Redrive {
    /// What stands for it in addresses and headers.
    pub id: String,
    /// Who wants it.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
    /// What was asked for.
    pub asked: Asked,
    /// Its messages, in the order in which they are sent.
    pub messages: Vec<Message>,
    /// Whether it goes on.
    pub course: Course,
    /// How often it was resumed.
    pub resumed: u32,
    /// Whether the line for the audit was written: nothing more comes.
    pub is_closed: bool,
    /// When the last line of it was written.
    pub changed_at: Timestamp,
}

/// One message of a redrive.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// The dead letter.
    pub letter: Position,
    /// How far it is.
    pub step: Step,
}

/// How far a message is.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// Its turn has not come.
    Waiting,
    /// It was to be sent there, and nothing has told since whether it was.
    Sending(Target),
    /// It was sent.
    There {
        /// Where to.
        target: Target,
        /// Its offset there.
        offset: i64,
        /// When that was known.
        at: Timestamp,
    },
    /// It was not sent, and why.
    Refused(String),
    /// It may have been sent there, and why nothing can tell.
    Unknown(Target, String),
}

/// Where a message is sent to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Where the partition ended before.
    pub end: i64,
    /// The consumer group that is to process it now.
    pub group: Option<String>,
}

/// Whether a redrive goes on.
#[derive(Clone, PartialEq, Debug)]
pub enum Course {
    /// Not all that it is about was written down: it was never answered for, and never begins.
    Incomplete,
    /// It goes on, or waits for those before it.
    Going,
    /// It stands still.
    Paused {
        /// Who wanted that; `sillage` for itself.
        by: String,
        /// Why; empty where somebody just wanted it.
        why: String,
    },
    /// Nothing more is sent.
    Cancelled {
        /// Who wanted that.
        by: String,
    },
    /// All that could be sent was.
    Finished,
}

impl Course {
    /// Its name in the JSON API and on pages.
    pub fn as_str(&self) -> &'static str {
        match self {
            Course::Incomplete => "incomplete",
            Course::Going => "running",
            Course::Paused { .. } => "paused",
            Course::Cancelled { .. } => "cancelled",
            Course::Finished => "finished",
        }
    }

    /// Whether more may be sent.
    pub fn is_open(&self) -> bool {
        matches!(self, Course::Going | Course::Paused { .. })
    }
}

/// How many messages are how far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Their turn has not come, or it isn't known yet whether they were sent.
    pub waiting: usize,
    /// Sent.
    pub sent: usize,
    /// Not sent, for a reason.
    pub refused: usize,
    /// Nobody can tell whether they were sent.
    pub unknown: usize,
}

impl fmt::Display for Progress {
    /// As people read it: `9 sent, 1 refused`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sent", self.sent)?;
        let named =
            [(self.waiting, "waiting"), (self.refused, "not sent"), (self.unknown, "sent or not, which can't be told")];
        for (many, name) in named.into_iter().filter(|(many, _)| *many > 0) {
            write!(f, ", {many} {name}")?;
        }
        Ok(())
    }
}

impl Redrive {
    /// How many of its messages are how far.
    pub fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        for message in &self.messages {
            match message.step {
                Step::Waiting | Step::Sending(_) => progress.waiting += 1,
                Step::There { .. } => progress.sent += 1,
                Step::Refused(_) => progress.refused += 1,
                Step::Unknown(..) => progress.unknown += 1,
            }
        }
        progress
    }
}

impl Redrives {
    /// As the journal has them. Reads the file: don't call it where others wait.
    pub fn read(journal: &Journal) -> Result<Redrives, StoreError> {
        let redrives = Redrives::default();
        redrives.read_on(journal)?;
        Ok(redrives)
    }

    /// Reads on in the journal, off the runtime's threads.
    pub async fn catch_up(&self, journal: &Journal) -> Result<(), StoreError> {
        let (redrives, journal) = (self.clone(), journal.clone());
        let read = spawn_blocking(move || redrives.read_on(&journal));
        read.await.map_err(|error| StoreError::Internal(error.to_string()))?
    }

    fn read_on(&self, journal: &Journal) -> Result<(), StoreError> {
        // Held over both, so that two who read on at once don't take lines twice or in another order.
        let mut bookmark = self.bookmark.lock();
        let lines = journal.read_on(&mut bookmark)?;
        if !lines.is_empty() {
            let mut book = self.book.write();
            lines.iter().for_each(|line| book.take(line));
        }
        Ok(())
    }

    /// All of them, newest first.
    pub fn all(&self) -> Vec<Arc<Redrive>> {
        self.book.read().by_id.values().rev().cloned().collect()
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<Arc<Redrive>> {
        self.book.read().by_id.get(id).cloned()
    }

    /// The redrives that a dead letter is in, oldest first, each with the number that it has there.
    pub fn of(&self, letter: &Position) -> Vec<(Arc<Redrive>, usize)> {
        let book = self.book.read();
        let named = book.by_letter.get(letter).into_iter().flatten();
        named.filter_map(|(id, number)| Some((book.by_id.get(id)?.clone(), *number))).collect()
    }

    /// How often a dead letter was sent back, and by which redrive last. What may have been sent counts.
    pub fn sent(&self, letter: &Position) -> (u32, Option<(Arc<Redrive>, usize)>) {
        let mut sent = self.of(letter);
        sent.retain(|(redrive, number)| {
            matches!(redrive.messages[*number].step, Step::There { .. } | Step::Unknown(..))
        });
        (u32::try_from(sent.len()).unwrap_or(u32::MAX), sent.pop())
    }

    /// Writes down that somebody wants these sent back, in this order, and gives the id. Durable when it returns. With an edit there is one
    /// letter: the one that is edited.
    pub async fn ask(
        &self,
        journal: &Journal,
        asked: Asked,
        letters: &[Position],
        edit: Option<Edit>,
        by: &str,
    ) -> Result<String, StoreError> {
        self.catch_up(journal).await?;
        if self.book.read().held + letters.len() > HELD_MAX {
            let reason = format!(
                "more than {HELD_MAX} messages were redriven: stop Sillage, move its journal aside, and start it again"
            );
            return Err(StoreError::Refused { reason, retry_after: Duration::from_secs(60) });
        }
        let id = format!("{:x}", Timestamp::now().as_nanos());
        let edited = edit.as_ref().map(Edit::sha256);
        if let Some(edit) = edit {
            Edits::beside(journal).keep(&id, edit).await?;
        }
        Said::Asked(Asked { messages: letters.len(), edited, ..asked }).append(journal, &id, by).await?;
        for some in letters.chunks(POSITIONS_PER_LINE) {
            let letters = Letters(some.iter().map(SaidPosition::of).collect());
            Said::Letters { letters }.append(journal, &id, by).await?;
        }
        self.catch_up(journal).await?;
        Ok(id)
    }
}

impl Book {
    fn take(&mut self, line: &Line) {
        let Some((id, said)) = said::id_in(&line.about).zip(line.read::<Said>()) else { return };
        if let Said::Asked(asked) = said {
            let redrive = Redrive {
                id: id.to_owned(),
                by: line.by.clone(),
                at: line.at,
                asked,
                messages: Vec::new(),
                course: Course::Incomplete,
                resumed: 0,
                is_closed: false,
                changed_at: line.at,
            };
            self.by_id.insert(id.to_owned(), Arc::new(redrive));
            return;
        }
        let Some(redrive) = self.by_id.get_mut(id) else { return };
        let redrive = Arc::make_mut(redrive);
        if let Said::Letters { letters } = &said {
            for letter in letters.0.iter().filter_map(SaidPosition::position).take(MESSAGES_MAX) {
                self.by_letter.entry(letter.clone()).or_default().push((id.to_owned(), redrive.messages.len()));
                redrive.messages.push(Message { letter, step: Step::Waiting });
                self.held += 1;
            }
        }
        redrive.take(said, line);
    }
}

impl Redrive {
    fn take(&mut self, said: Said, line: &Line) {
        self.changed_at = line.at;
        let is_open = self.course.is_open();
        match said {
            Said::Letters { .. } if self.messages.len() == self.asked.messages => self.course = Course::Going,
            Said::Asked(_) | Said::Letters { .. } => {}
            Said::Paused { why } if is_open => self.course = Course::Paused { by: line.by.clone(), why },
            Said::Resumed if is_open => {
                self.course = Course::Going;
                self.resumed += 1;
            }
            Said::Cancelled if is_open => self.course = Course::Cancelled { by: line.by.clone() },
            Said::Closed { .. } => {
                self.is_closed = true;
                if is_open {
                    self.course = Course::Finished;
                }
            }
            Said::Paused { .. } | Said::Resumed | Said::Cancelled => {}
            Said::Sending { messages } => {
                for sending in messages {
                    if let Some(message) = self.messages.get_mut(sending.number) {
                        let said::Sending { number: _, topic, partition, end, group } = sending;
                        message.step = Step::Sending(Target { topic, partition, end, group });
                    }
                }
            }
            Said::Told { messages } => {
                for told in messages {
                    if let Some(message) = self.messages.get_mut(told.number) {
                        message.told(told.fate, line.at);
                    }
                }
            }
        }
    }
}

impl Message {
    fn told(&mut self, fate: Sent, at: Timestamp) {
        let target = match &self.step {
            Step::Sending(target) => Some(target.clone()),
            _ => None,
        };
        self.step = match (fate, target) {
            (Sent::There { offset }, Some(target)) => Step::There { target, offset, at },
            (Sent::Unknown { why }, Some(target)) => Step::Unknown(target, why),
            (Sent::Refused { why } | Sent::Unknown { why }, _) => Step::Refused(why),
            (Sent::NotThere, _) => Step::Waiting,
            (Sent::There { offset }, None) => Step::Refused(format!(
                "it was sent to offset {offset}, and a damaged line of the journal hides where that is"
            )),
        };
    }
}

#[cfg(test)]
mod tests;
