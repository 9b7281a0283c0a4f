//! Brokers, one file each: what watches them, and the loop that carries their records into the store.
//!
//! ```text
//! loop {
//!     checkpoint = store.checkpoint(source)
//!     tail = source.open(checkpoint)                     // reads on from there
//!     while let Some(batch) = tail.next() {              // pulls: nothing is read that nobody waits for
//!         store.append(batch.entries(), batch.checkpoint) // durable together; refused: wait, the same batch again
//!     }                                                  // anything else that fails: back off, and begin again from what is kept
//! }
//! ```
//!
//! A record is acknowledged to nobody: the store's checkpoint is all that says how far a source has been kept, so that
//! watching a broker leaves no trace in it.

pub mod kafka; // Kafka, through librdkafka
pub mod nats; // NATS JetStream
pub mod notice; // what a source says of itself on the board
pub mod raw; // one message as a broker hands it over

mod config; // `[[source]]`: one table, told apart by its type
mod from; // where to begin
pub mod secret; // what stands in a file or the environment

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::{Board, Checkpoint, Entry, Gap, SourceName, Store, StoreError, Timestamp};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::decode::Decoder;
use crate::error::CollectorError;
use notice::Notice;
use raw::Raw;

pub use config::{Config, Unbuilt};
pub use from::From;

/// One broker that is watched.
#[async_trait]
pub trait Source: Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &SourceName;

    /// Its type: `kafka`, `nats`.
    fn kind(&self) -> &'static str;

    /// Where it connects to, for people to read. Never with a password in it.
    fn address(&self) -> String;

    /// Begins to read on from a checkpoint. A broker that doesn't answer yet is no error where the tail itself waits for it.
    async fn open(&self, opening: Opening) -> Result<Box<dyn Tail>, CollectorError>;

    /// Watches how far those who read from it are behind, where it can tell. The task ends after `stop` is cancelled.
    fn watch_groups(&self, _beside: Beside) -> Option<JoinHandle<()>> {
        None
    }
}

/// What watching groups needs beside the source itself.
pub struct Beside {
    /// Where the records are looked up that groups wait on.
    pub store: Arc<dyn Store>,
    /// Where it says how groups stand.
    pub board: Arc<Board>,
    /// What records that groups wait on are read with.
    pub decoder: Arc<Decoder>,
    /// Cancelled when it is to stop.
    pub stop: CancellationToken,
}

/// What a source needs to begin.
pub struct Opening {
    /// How far it has been kept.
    pub checkpoint: Checkpoint,
    /// Where it says how it fares.
    pub notice: Notice,
    /// Cancelled when it is to stop.
    pub stop: CancellationToken,
}

/// Reads one broker on and on.
#[async_trait]
pub trait Tail: Send {
    /// The next batch: waits for one. `None` when the tail has ended, and is to be opened anew unless everything stops.
    /// Dropping the future loses nothing.
    async fn next(&mut self) -> Option<Batch>;

    /// Stops reading, and waits until it has.
    async fn close(self: Box<Self>);
}

/// Some records, and how far they bring us.
#[derive(Debug)]
pub struct Batch {
    /// The messages in the broker's order; may be empty, where only the checkpoint moves.
    pub raws: Vec<Raw>,
    /// What went from the broker before we could read it.
    pub gaps: Vec<Gap>,
    /// Messages that are not committed yet, in place of those told before: to be shown, and not kept.
    pub open: Option<Vec<Raw>>,
    /// How far their partitions have been read with them. Says nothing of other partitions.
    pub checkpoint: Checkpoint,
}

impl Batch {
    /// Records to be kept, and nothing else.
    pub fn of(raws: Vec<Raw>, checkpoint: Checkpoint) -> Batch {
        Batch { raws, gaps: Vec::new(), open: None, checkpoint }
    }
}

/// The sources at work.
#[derive(Debug)]
pub struct Running {
    tasks: Vec<JoinHandle<()>>,
}

/// The longest time between two tries to open a source again: soon enough that nobody restarts us out of impatience.
const BACK_OFF_MAX: Duration = Duration::from_secs(10);

/// The shortest time between two tries.
const BACK_OFF_MIN: Duration = Duration::from_millis(250);

/// The longest that we wait before we offer a refused batch again, whatever the store says: a full disk may be emptied at any time.
const REFUSED_WAIT_MAX: Duration = Duration::from_secs(5);

/// Starts watching. Every key and option is checked before; a broker that doesn't answer is no error but a notice on the board.
pub fn start(
    configs: Vec<Config>,
    store: Arc<dyn Store>,
    board: Arc<Board>,
    decoder: Arc<Decoder>,
    shutdown: CancellationToken,
) -> Result<Running, CollectorError> {
    let mut sources: Vec<Arc<dyn Source>> = Vec::new();
    for config in configs {
        let source = config.build()?;
        if sources.iter().any(|other| other.name() == source.name()) {
            return Err(CollectorError::Config(format!(
                "two sources are called `{}`: give each its own name",
                source.name()
            )));
        }
        sources.push(source);
    }
    let mut tasks = Vec::new();
    for source in sources {
        let notice = Notice::begin(board.clone(), source.as_ref());
        let beside = Beside {
            store: store.clone(),
            board: board.clone(),
            decoder: decoder.clone(),
            stop: shutdown.child_token(),
        };
        tasks.extend(source.watch_groups(beside));
        tasks.push(tokio::spawn(follow(source, store.clone(), notice, decoder.clone(), shutdown.clone())));
    }
    Ok(Running { tasks })
}

impl Running {
    /// Waits for another task, too, that the same token stops.
    pub fn also(&mut self, task: Option<JoinHandle<()>>) {
        self.tasks.extend(task);
    }

    /// Waits until all sources have stopped; they do when the token given to [`start`] is cancelled.
    pub async fn stopped(self) {
        for task in self.tasks {
            if let Err(panicked) = task.await {
                tracing::error!(%panicked, "a source ended by a fault of ours: please report it");
            }
        }
    }
}

/// Watches one source until everything stops.
async fn follow(
    source: Arc<dyn Source>,
    store: Arc<dyn Store>,
    notice: Notice,
    decoder: Arc<Decoder>,
    shutdown: CancellationToken,
) {
    let mut back_off = BACK_OFF_MIN;
    while !shutdown.is_cancelled() {
        match watch(source.as_ref(), store.as_ref(), &notice, &decoder, &shutdown).await {
            Ok(kept) if kept > 0 => back_off = BACK_OFF_MIN,
            Ok(_) => {}
            Err(CollectorError::Store(StoreError::Closed)) => return,
            Err(error) => notice.down(with_causes(&error)),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(back_off) => back_off = (back_off * 2).min(BACK_OFF_MAX),
        }
    }
}

/// Opens a source once and keeps what it reads, until it ends. Returns how many batches were kept.
async fn watch(
    source: &dyn Source,
    store: &dyn Store,
    notice: &Notice,
    decoder: &Arc<Decoder>,
    shutdown: &CancellationToken,
) -> Result<u64, CollectorError> {
    let checkpoint = store.checkpoint(source.name()).await?;
    let stop = shutdown.child_token();
    let opening = Opening { checkpoint, notice: notice.clone(), stop: stop.clone() };
    let mut tail = tokio::select! {
        () = shutdown.cancelled() => return Ok(0),
        tail = source.open(opening) => tail?,
    };
    let mut kept = 0;
    let outcome = loop {
        let batch = tokio::select! {
            () = shutdown.cancelled() => break Ok(kept),
            batch = tail.next() => batch,
        };
        let Some(batch) = batch else { break Ok(kept) };
        let span = receiving(source, &batch);
        match keep(batch, store, notice, decoder, shutdown).instrument(span).await {
            Ok(()) => kept += 1,
            Err(error) => break Err(error),
        }
    };
    stop.cancel();
    tail.close().await;
    outcome
}

/// A span for Sillage's own telemetry; none where only the checkpoint moves.
fn receiving(source: &dyn Source, batch: &Batch) -> tracing::Span {
    if batch.raws.is_empty() {
        return tracing::Span::none();
    }
    tracing::info_span!(
        target: "span",
        "receive",
        otel.name = format!("receive {}", source.name()),
        otel.kind = "consumer",
        messaging.system = source.kind(),
        messaging.operation.type = "receive",
        messaging.batch.message_count = batch.raws.len() as i64,
    )
}

/// Keeps one batch, however often the store refuses it: nothing more is read meanwhile.
async fn keep(
    batch: Batch,
    store: &dyn Store,
    notice: &Notice,
    decoder: &Arc<Decoder>,
    shutdown: &CancellationToken,
) -> Result<(), CollectorError> {
    let Batch { mut raws, gaps, open, checkpoint } = batch;
    if let Some(open) = open {
        notice.open_records(decoder.records(open).await);
    }
    let count = raws.len() as u64;
    let told: Vec<Entry> = gaps.iter().map(|gap| Entry::Log(gap.log(Timestamp::now()))).collect();
    loop {
        // The store takes what it is given, so a copy stays here until it has said yes. Bodies are shared, not copied.
        let again = raws.clone();
        let records = decoder.records(raws).await;
        let undecoded = records.iter().filter(|record| record.problem.is_some()).count() as u64;
        let entries = records.into_iter().map(Entry::Record).chain(told.iter().cloned()).collect();
        match store.append(entries, checkpoint.clone()).await {
            Ok(_) => {
                notice.kept(count);
                notice.undecoded(undecoded);
                return Ok(());
            }
            Err(StoreError::Refused { reason, retry_after }) => {
                notice.refused(&reason);
                raws = again;
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()), // not acknowledged: it is read again after the restart
                    () = tokio::time::sleep(retry_after.clamp(BACK_OFF_MIN, REFUSED_WAIT_MAX)) => {}
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// An error with its causes in one line, for the board and the log.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
