//! What a source says of itself on the board, and in the log: one line per change, never one per try.

use std::sync::Arc;

use parking_lot::Mutex;
use store::board::{Board, ChannelStatus, OPEN_FOR_LONG, OpenTransaction, SourceState, SourceStatus};
use store::{Record, SourceName, Timestamp};

use crate::source::Source;

/// One source's place on the board. Clones speak for the same source.
#[derive(Clone, Debug)]
pub struct Notice {
    board: Arc<Board>,
    name: SourceName,
    said: Arc<Mutex<Said>>,
}

/// What was said last, so that nothing is said twice.
#[derive(Debug, Default)]
struct Said {
    refused: Option<String>,
    unseen: Vec<String>,
    events: Vec<String>,
    /// Where a transaction has been open for long.
    open: Vec<String>,
}

/// How many things that happened (gaps, new incarnations) stay on the board: the latest ones, enough to see a pattern. Older ones are in the log.
const EVENTS_MAX: usize = 8;

/// How many channels are listed: a page shows no more, and ten thousand of them would be copied at every look.
const CHANNELS_MAX: usize = 2_000;

impl Notice {
    /// Puts up a source that has not answered yet.
    pub fn begin(board: Arc<Board>, source: &dyn Source) -> Notice {
        Notice::of(board, source.name().clone(), source.kind(), source.address())
    }

    /// Puts up what has not answered yet, which need not be a source.
    pub fn of(board: Arc<Board>, name: SourceName, kind: &str, address: String) -> Notice {
        board.post(SourceStatus {
            name: name.clone(),
            kind: kind.to_owned(),
            address,
            state: SourceState::Starting,
            error: None,
            since: Timestamp::now(),
            behind_ms: None,
            received: 0,
            channels: Vec::new(),
            unseen: Vec::new(),
            transactions: Vec::new(),
        });
        Notice { board, name, said: Arc::default() }
    }

    /// The source works.
    pub fn up(&self) {
        let refused = self.said.lock().refused.clone();
        self.turn(SourceState::Up, refused.map(|reason| pausing(&reason)));
    }

    /// The source doesn't work; `reason` says what is wrong and what to do. It is tried again.
    pub fn down(&self, reason: String) {
        self.turn(SourceState::Down, Some(reason));
    }

    /// Nobody is there, and nobody was asked for.
    pub fn absent(&self, advice: String) {
        self.turn(SourceState::Absent, Some(advice));
    }

    /// The source works, but something about it is wrong.
    pub fn up_but(&self, reason: String) {
        self.turn(SourceState::Up, Some(reason));
    }

    fn turn(&self, state: SourceState, error: Option<String>) {
        let mut changed = false;
        self.board.amend(&self.name, |status| {
            changed = status.state != state || status.error.as_deref().map(gist) != error.as_deref().map(gist);
            if status.state != state {
                status.state = state;
                status.since = Timestamp::now();
            }
            if state != SourceState::Up {
                status.behind_ms = None;
            }
            status.error.clone_from(&error);
        });
        if !changed {
            return;
        }
        let name = self.name.as_str();
        match (state, error) {
            (SourceState::Up, None) => tracing::info!(source.name = name, "source `{name}` is up"),
            (SourceState::Absent, Some(advice)) => tracing::info!(source.name = name, "source `{name}`: {advice}"),
            (_, Some(reason)) => tracing::warn!(source.name = name, "source `{name}`: {reason}"),
            (state, None) => tracing::info!(source.name = name, "source `{name}` is {}", state.as_str()),
        }
    }

    /// So many records more were kept.
    pub fn kept(&self, count: u64) {
        if let Some(reason) = self.said.lock().refused.take() {
            let name = self.name.as_str();
            tracing::info!(source.name = name, "the store takes records of `{name}` again, after it refused: {reason}");
            self.board.amend(&self.name, |status| status.error = None);
        }
        if count > 0 {
            self.board.amend(&self.name, |status| status.received += count);
        }
    }

    /// So many of them could not be read in full.
    pub fn undecoded(&self, count: u64) {
        self.board.count_undecoded(&self.name, count);
    }

    /// The store refuses what was read. Nothing is lost: it is offered again, and no more is read.
    pub fn refused(&self, reason: &str) {
        let mut said = self.said.lock();
        if said.refused.is_none() {
            let name = self.name.as_str();
            tracing::warn!(source.name = name, "reading of `{name}` pauses: the store refuses records: {reason}");
        }
        said.refused = Some(reason.to_owned());
        drop(said);
        self.board.amend(&self.name, |status| status.error = Some(pausing(reason)));
    }

    /// How far behind the broker's end we are, and what is watched.
    pub fn measured(&self, behind_ms: Option<u64>, mut channels: Vec<ChannelStatus>) {
        channels.truncate(CHANNELS_MAX);
        self.board.amend(&self.name, |status| {
            status.behind_ms = behind_ms;
            status.channels = channels;
        });
    }

    /// Which partitions hold records that are not committed now.
    pub fn transactions(&self, open: Vec<OpenTransaction>) {
        let now = Timestamp::now();
        let long: Vec<String> = open
            .iter()
            .filter(|open| open.open_for(now) >= OPEN_FOR_LONG)
            .map(|open| format!("`{}` partition {}", open.channel, open.partition))
            .take(EVENTS_MAX)
            .collect();
        let mut said = self.said.lock();
        if said.open != long {
            let name = self.name.as_str();
            match long.as_slice() {
                [] => tracing::info!(source.name = name, "source `{name}`: no transaction is open for long any more"),
                _ => tracing::warn!(
                    source.name = name,
                    "source `{name}`: a transaction has been open for more than {} s in {}: readers of committed records wait \
                     until its producer ends it, or the broker does",
                    OPEN_FOR_LONG.as_secs(),
                    long.join(", ")
                ),
            }
            said.open = long;
        }
        drop(said);
        self.board.amend(&self.name, |status| status.transactions = open);
    }

    /// Records that are not committed yet, in place of those told before.
    pub fn open_records(&self, records: Vec<Record>) {
        self.board.post_open_records(&self.name, records);
    }

    /// Something that this broker can't tell us, in a sentence.
    pub fn unseen(&self, sentence: &str) {
        let mut said = self.said.lock();
        if !said.unseen.iter().any(|other| other == sentence) {
            tracing::info!(source.name = self.name.as_str(), "source `{}`: {sentence}", self.name);
            said.unseen.push(sentence.to_owned());
        }
        self.write_unseen(&said);
    }

    /// Something that happened and cost sight of records: counted under `reason`, logged, and put up.
    pub fn lost_sight(&self, reason: &str, many: u64, sentence: String) {
        tracing::warn!(source.name = self.name.as_str(), "source `{}`: {sentence}", self.name);
        self.board.count_refused(reason, many);
        self.happened(sentence);
    }

    /// Something that happened and is worth knowing, such as a topic that was made again.
    pub fn noticed(&self, sentence: String) {
        tracing::info!(source.name = self.name.as_str(), "source `{}`: {sentence}", self.name);
        self.happened(sentence);
    }

    fn happened(&self, sentence: String) {
        let mut said = self.said.lock();
        said.events.push(sentence);
        if said.events.len() > EVENTS_MAX {
            said.events.remove(0);
        }
        self.write_unseen(&said);
    }

    fn write_unseen(&self, said: &Said) {
        let all = said.unseen.iter().chain(&said.events).cloned().collect();
        self.board.amend(&self.name, |status| status.unseen = all);
    }
}

fn pausing(reason: &str) -> String {
    format!("reading pauses, because the store takes nothing now: {reason}")
}

/// A reason without the broker's own words in brackets, which differ from try to try.
fn gist(reason: &str) -> &str {
    reason.split(" (").next().unwrap_or(reason)
}
