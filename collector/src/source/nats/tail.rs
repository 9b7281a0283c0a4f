//! All streams of one NATS server, read in turn.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_nats::ConnectOptions;
use async_nats::jetstream::stream::Info;
use async_nats::jetstream::{self, Context};
use async_trait::async_trait;
use futures_util::TryStreamExt;
use store::board::ChannelStatus;
use store::checkpoint::Reached;
use store::position::Incarnation;
use store::{Checkpoint, SourceName};
use tokio_util::sync::CancellationToken;

use crate::error::CollectorError;
use crate::source::from::From;
use crate::source::nats::Config;
use crate::source::nats::stream::{Look, Watched, broker, forgets, look, time};
use crate::source::notice::Notice;
use crate::source::{Batch, Opening, Source, Tail, secret};
use store::selection::Selection;

/// How often a stream is asked for news: how stale we are at worst, at four small requests a second a stream.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// How often all streams are listed: new ones are found within 10 s.
const LIST_EVERY: Duration = Duration::from_secs(3);

/// How long a connection may take, and each request.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How many streams one source follows: each costs [`ASK_EVERY`] requests. The first by name; the rest is told.
const STREAMS_MAX: usize = 200;

/// What the streams behind object stores begin with: chunks of files, no events.
const INTERNAL: &str = "OBJ_";

/// A NATS server that is watched.
pub struct Nats {
    name: SourceName,
    url: String,
    selection: Selection,
    from: From,
    login: Login,
}

/// How we identify ourselves.
enum Login {
    Nobody,
    Token(String),
    User(String, String),
    Credentials(String),
}

impl Nats {
    /// Checks the configuration and reads its secrets.
    pub fn new(config: Config) -> Result<Nats, CollectorError> {
        let read = |key: &str, value: &str| secret::read(&config.name, key, value);
        let login = match (&config.credentials, &config.token, config.user.as_ref().zip(config.password.as_ref())) {
            (Some(path), ..) => Login::Credentials(path.clone()),
            (None, Some(token), _) => Login::Token(read("token", token)?),
            (None, None, Some((user, password))) => Login::User(user.clone(), read("password", password)?),
            (None, None, None) => Login::Nobody,
        };
        Ok(Nats {
            selection: Selection::new(INTERNAL, &config.topics),
            name: config.name.as_str().into(),
            url: config.url,
            from: config.from,
            login,
        })
    }

    async fn connect(&self) -> Result<Context, CollectorError> {
        let options = ConnectOptions::new().name("sillage").connection_timeout(ANSWER_WITHIN);
        let options = match &self.login {
            Login::Nobody => options,
            Login::Token(token) => options.token(token.clone()),
            Login::User(user, password) => options.user_and_password(user.clone(), password.clone()),
            Login::Credentials(path) => options.credentials_file(path).await.map_err(|error| {
                CollectorError::Broker { reason: format!("can't read the credentials file `{path}`: {error}") }
            })?,
        };
        let client = options.connect(&self.url).await.map_err(|error| CollectorError::Broker {
            reason: format!("no NATS server lets us in at {}: start it, or correct `url` ({error})", self.url),
        })?;
        let mut context = jetstream::new(client);
        context.set_timeout(ANSWER_WITHIN);
        Ok(context)
    }
}

#[async_trait]
impl Source for Nats {
    fn name(&self) -> &SourceName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "nats"
    }

    fn address(&self) -> String {
        self.url.clone()
    }

    async fn open(&self, opening: Opening) -> Result<Box<dyn Tail>, CollectorError> {
        let context = self.connect().await?;
        Ok(Box::new(NatsTail {
            context,
            selection: self.selection.clone(),
            from: self.from,
            url: self.url.clone(),
            kept: opening.checkpoint,
            streams: BTreeMap::new(),
            moved: BTreeMap::new(),
            notice: opening.notice,
            stop: opening.stop,
            list_at: Instant::now(),
            listed: false,
            unheard: 0,
        }))
    }
}

/// Reads on and on.
struct NatsTail {
    context: Context,
    selection: Selection,
    from: From,
    url: String,
    /// Where each stream was left, whether it is there now or not.
    kept: Checkpoint,
    streams: BTreeMap<String, Watched>,
    /// Streams whose place moved without a message: for the next batch.
    moved: BTreeMap<String, Reached>,
    notice: Notice,
    stop: CancellationToken,
    list_at: Instant,
    listed: bool,
    /// How many rounds in a row failed.
    unheard: u32,
}

/// After so many failed rounds the connection is made anew: the client reconnects by itself, but not after a refused login.
const UNHEARD_MAX: u32 = 30;

#[async_trait]
impl Tail for NatsTail {
    async fn next(&mut self) -> Option<Batch> {
        while !self.stop.is_cancelled() {
            match self.round().await {
                Ok(Some(batch)) => {
                    self.unheard = 0;
                    return Some(batch);
                }
                Ok(None) => {
                    self.unheard = 0;
                    tokio::time::sleep(ASK_EVERY).await;
                }
                Err(error) => {
                    self.notice.down(format!(
                        "the NATS server at {} doesn't answer: start it, or see why ({error})",
                        self.url
                    ));
                    self.unheard += 1;
                    self.list_at = Instant::now(); // whatever comes back may be another stream
                    if self.unheard >= UNHEARD_MAX {
                        return None;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
        None
    }

    async fn close(self: Box<Self>) {
        let closed = self.context.client().drain().await;
        if let Err(error) = closed {
            tracing::debug!(%error, "the NATS connection was closed already");
        }
    }
}

impl NatsTail {
    /// Asks every stream once; the first that has news makes a batch.
    async fn round(&mut self) -> Result<Option<Batch>, CollectorError> {
        if Instant::now() >= self.list_at {
            self.list().await?;
        }
        if !self.moved.is_empty() {
            let mut checkpoint = Checkpoint::none(self.kept.source.clone());
            for (name, reached) in std::mem::take(&mut self.moved) {
                checkpoint.partitions.insert((name.into(), 0), reached);
            }
            self.kept.advance(&checkpoint);
            return Ok(Some(Batch::of(Vec::new(), checkpoint)));
        }
        for watched in self.streams.values_mut() {
            let Some(raws) = watched.read_on(&self.kept.source).await? else {
                self.list_at = Instant::now();
                continue;
            };
            if raws.is_empty() {
                continue;
            }
            let mut checkpoint = Checkpoint::none(self.kept.source.clone());
            checkpoint.partitions.insert((watched.channel.clone(), 0), watched.reached.clone());
            self.kept.advance(&checkpoint);
            return Ok(Some(Batch::of(raws, checkpoint)));
        }
        Ok(None)
    }

    /// Lists the streams, takes up new ones, and sees which were made again.
    async fn list(&mut self) -> Result<(), CollectorError> {
        let mut infos: Vec<Info> = self.context.streams().try_collect().await.map_err(broker)?;
        infos.retain(|info| self.selection.takes(&info.config.name));
        infos.sort_by(|one, other| one.config.name.cmp(&other.config.name));
        if infos.len() > STREAMS_MAX {
            self.notice
                .unseen(&format!("only {STREAMS_MAX} of {} streams are read: choose them by `topics`", infos.len()));
            infos.truncate(STREAMS_MAX);
        }
        // `from` speaks of the first look at a source; what appears later is read from its beginning.
        let by_config = !self.listed && self.kept.partitions.is_empty();
        self.streams.retain(|name, _| infos.iter().any(|info| info.config.name == *name));
        for info in &infos {
            self.take_up(info, by_config).await?;
        }
        self.listed = true;
        self.list_at = Instant::now() + LIST_EVERY;
        self.notice.up();
        self.measure(&infos);
        Ok(())
    }

    async fn take_up(&mut self, info: &Info, by_config: bool) -> Result<(), CollectorError> {
        let name = info.config.name.clone();
        let known = self.streams.get(&name).map(|watched| watched.reached.clone());
        let known = known.or_else(|| self.kept.partitions.get(&(name.as_str().into(), 0)).cloned());
        let first = info.state.first_sequence;
        let Some(reached) = known else {
            let mut watched = Watched::open(&self.context, info, Reached::default()).await?;
            let next = if by_config { watched.begin(self.from, info).await? } else { first };
            watched.move_to(Incarnation::default(), next);
            self.moved.insert(name.clone(), watched.reached.clone());
            self.streams.insert(name.clone(), watched);
            if forgets(info) {
                self.notice.unseen(&format!(
                    "stream `{name}` forgets what its consumers have finished: what they finish within {} ms is not seen",
                    ASK_EVERY.as_millis()
                ));
            }
            return Ok(());
        };
        let created = time(info.created);
        let looked = match self.streams.get(&name) {
            Some(watched) if watched.created != created => Look::Another,
            Some(_) | None => look(&reached, created, first, info.state.last_sequence),
        };
        if looked == Look::Same && self.streams.contains_key(&name) {
            return Ok(());
        }
        let mut watched = Watched::open(&self.context, info, reached.clone()).await?;
        match looked {
            Look::Same => {}
            Look::Another => {
                watched.move_to(Incarnation(reached.incarnation.0 + 1), first);
                self.moved.insert(name.clone(), watched.reached.clone());
                self.notice.noticed(format!(
                    "stream `{name}` was deleted and made again: it is read from its beginning, beside what is kept of the old one"
                ));
            }
            // On these streams it is not expiry but work done.
            Look::Gap(_) if forgets(info) => {}
            Look::Gap(at) => {
                let from = reached.next;
                watched.move_to(reached.incarnation, at);
                self.moved.insert(name.clone(), watched.reached.clone());
                let missed = at.saturating_sub(u64::try_from(from).unwrap_or(0));
                let sentence = format!(
                    "messages {from} to {} of stream `{name}` were removed before they were read: lengthen its limits, or keep Sillage running",
                    at - 1
                );
                self.notice.lost_sight("expired before they were read", missed, sentence);
            }
        }
        self.streams.insert(name, watched);
        Ok(())
    }

    fn measure(&self, infos: &[Info]) {
        let channels = infos.iter().map(|info| ChannelStatus {
            channel: info.config.name.clone(),
            partitions: 1,
            records: Some(info.state.messages),
            bounds: [].into(),
        });
        let now = store::Timestamp::now();
        let behind = infos.iter().filter_map(|info| {
            let reached = &self.streams.get(&info.config.name)?.reached;
            let waits = u64::try_from(reached.next).unwrap_or(0) <= info.state.last_sequence;
            let since = reached.last_timestamp.filter(|_| waits)?;
            u64::try_from(now.nanos_since(since) / 1_000_000).ok()
        });
        self.notice.measured(Some(behind.max().unwrap_or(0)), channels.collect());
    }
}
