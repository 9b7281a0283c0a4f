//! The store, the collector and the console together: started in order, stopped in order.
//!
//! ```text
//! start:  store -> sources -> OTLP -> console
//! stop:   sources -> OTLP drained, the console meanwhile -> store closed
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use collector::correlate::failure::own::Own;
use collector::decode::{Decoder, registry};
use collector::redact::{self, Redactor};
use collector::redrive::broker::Broker;
use collector::{alert, otlp, redrive, source, webhook};
use store::clock::Clock;
use store::redacted::Redaction;
use store::{Board, Journal, LagSeries, SourceName, Store};
use subtle::ConstantTimeEq;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::telemetry::{Fate, Traced};

/// Threads that serve pages. They are apart from the collector's, so that a flood of spans doesn't keep a reader waiting;
/// two, so that one slow answer doesn't either.
const WEB_THREADS: usize = 2;

/// How long stopping may take in all: supervisors kill after 10 s, and people wait less.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Of these, how much is kept for closing the store.
const STORE_STOP_TIMEOUT: Duration = Duration::from_millis(1_500);

/// The collector at work, and the store that it fills; nobody can look at it yet.
pub struct Collecting {
    /// Where OTLP over gRPC is received.
    pub otlp_grpc: SocketAddr,
    /// Where OTLP over HTTP is received.
    pub otlp_http: SocketAddr,
    store: Arc<dyn Store>,
    journal: Journal,
    board: Arc<Board>,
    otlp: otlp::Otlp,
    sources: source::Running,
    /// The rules in force: new ones are sent to whoever looks at them.
    rules: watch::Sender<alert::Rules>,
    stop_otlp: CancellationToken,
    stop_sources: CancellationToken,
}

/// All parts at work.
pub struct Console {
    /// The address for people.
    pub url: String,
    collecting: Collecting,
    web: web::Web,
    web_runtime: Runtime,
    stop_web: CancellationToken,
}

impl Collecting {
    /// Opens the store, and starts what fills it; `telemetry` is what becomes of Sillage's own spans and logs, where they are sent.
    pub async fn start(config: &Config, telemetry: Option<&Fate>) -> anyhow::Result<Collecting> {
        let allow = allow(&config.access)?;
        let memory_limit_bytes = usize::try_from(config.store.memory_limit.0).unwrap_or(usize::MAX);
        let redactor = Arc::new(Redactor::new(&config.redact)?);
        let conventions = Own::all(&config.conventions)?;
        let folder = config.store.path.clone();
        let store = store::open(config.store.clone()).await?;
        // After the store: its lock is on the folder now.
        let journal = Journal::open(&folder)?;
        let lags = tokio::task::spawn_blocking(move || LagSeries::open(&folder)).await??;
        let board = Arc::new(Board::remembering(lags));
        // It would hold on to itself by a counter of its own.
        let lagging = Arc::downgrade(&board);
        board.measure("the course of lag", move || lagging.upgrade().map_or(0, |board| board.lags().bytes()));
        let (is_silent, taker) = (config.redact.iter().any(redact::Config::drops), redactor.clone());
        board.redacts(Redaction::new(is_silent, move |value| taker.takes_out_of(value)));
        config.consumers.iter().for_each(|consumer| board.tie(consumer));
        let store = match telemetry {
            Some(fate) => {
                fate.tell(&board);
                Arc::new(Traced(store))
            }
            None => store,
        };
        let [stop_otlp, stop_sources] = [(); 2].map(|()| CancellationToken::new());
        // Before any port opens: a source that this build can't watch ends the start.
        let setup =
            registry::Setup { config: config.registry.clone(), board: board.clone(), stop: stop_sources.clone() };
        let (registry, asking) = registry::Registry::start(setup)?.unzip();
        let decoder = Arc::new(Decoder::new(redactor.clone(), registry).with_conventions(conventions));
        let mut brokers: BTreeMap<SourceName, Arc<dyn Broker>> = BTreeMap::new();
        if config.redrive.enabled {
            for source in &config.sources {
                brokers.extend(source.redriver()?.map(|broker| (source.name(), broker)));
            }
        }
        let redriving = redrive::Setup {
            config: config.redrive.clone(),
            store: store.clone(),
            journal: journal.clone(),
            board: board.clone(),
            brokers,
            stop: stop_sources.clone(),
        };
        let mut sources =
            source::start(config.sources.clone(), store.clone(), board.clone(), decoder, stop_sources.clone())?;
        sources.also(asking);
        let (outbox, stop) = (journal.clone(), stop_sources.clone());
        let base = config.web.url(config.web.listen);
        let setup =
            webhook::Setup { webhooks: config.webhooks.clone(), journal: outbox, board: board.clone(), base, stop };
        for task in webhook::start(setup).await? {
            sources.also(Some(task));
        }
        let rules = watch::Sender::new(config.rules());
        let alerts = alert::start(alert::Setup {
            rules: rules.subscribe(),
            store: store.clone(),
            board: board.clone(),
            journal: journal.clone(),
            clock: Clock::default(),
            stop: stop_sources.clone(),
        });
        sources.also(Some(alerts.await?));
        for task in redrive::start(redriving) {
            sources.also(Some(task));
        }
        let otlp = otlp::start(otlp::Setup {
            config: config.otlp.clone(),
            store: store.clone(),
            board: board.clone(),
            allow,
            memory_limit_bytes,
            redactor,
            limits: serve::Limits::default(),
            shutdown: stop_otlp.clone(),
        })
        .await?;
        Ok(Collecting {
            otlp_grpc: otlp.grpc,
            otlp_http: otlp.http,
            store,
            journal,
            board,
            otlp,
            sources,
            rules,
            stop_otlp,
            stop_sources,
        })
    }

    /// Puts other alert rules in force, or says why those that were given are not.
    pub fn change_rules(&self, change: impl FnOnce(&mut alert::Rules)) {
        self.rules.send_modify(change);
    }

    /// Opens the console to it. Where that fails, the collector is stopped again.
    pub async fn open(self, config: &Config) -> anyhow::Result<Console> {
        let web = web::Config { redrive: config.redrive.clone(), ..config.web.clone() };
        let stop_web = CancellationToken::new();
        let web_runtime = Builder::new_multi_thread()
            .worker_threads(WEB_THREADS)
            .thread_name("web")
            .enable_all()
            .build()
            .context("can't start threads")?;
        let starting = web::start(
            web,
            config.access.clone(),
            self.store.clone(),
            self.journal.clone(),
            self.board.clone(),
            stop_web.clone(),
        );
        let started = web_runtime.spawn(starting).await.context("the console ended while it started")?;
        match started {
            Ok(web) => Ok(Console { url: web.url.clone(), collecting: self, web, web_runtime, stop_web }),
            Err(error) => {
                web_runtime.shutdown_background();
                self.stop().await?;
                Err(error.into())
            }
        }
    }

    /// Stops sources, then OTLP, then the store, in at most [`STOP_TIMEOUT`].
    pub async fn stop(self) -> anyhow::Result<()> {
        let deadline = Instant::now() + STOP_TIMEOUT;
        let store = self.stop_receiving(deadline - STORE_STOP_TIMEOUT).await;
        close(store.as_ref(), deadline).await
    }

    /// Stops sources and OTLP. What is late is left behind: nothing that was acknowledged hangs on it.
    async fn stop_receiving(self, deadline: Instant) -> Arc<dyn Store> {
        self.stop_sources.cancel();
        if timeout_at(deadline, self.sources.stopped()).await.is_err() {
            tracing::warn!("a source didn't stop in time; it reads on from its checkpoint next time");
        }
        self.stop_otlp.cancel();
        if timeout_at(deadline, self.otlp.stopped()).await.is_err() {
            tracing::warn!("some OTLP requests were not answered in time; their senders try again");
        }
        self.store
    }
}

impl Console {
    /// Where the collector receives.
    pub fn collecting(&self) -> &Collecting {
        &self.collecting
    }

    /// Comes back when the store can't go on, and says why: whoever supervises this program starts it again then.
    pub async fn failed(&self) -> anyhow::Error {
        let reason = self.collecting.store.failed().await;
        anyhow::anyhow!("the store can't go on: {reason}; what was acknowledged is on the disk: start Sillage again")
    }

    /// Stops everything in order, in at most [`STOP_TIMEOUT`].
    pub async fn stop(self) -> anyhow::Result<()> {
        let deadline = Instant::now() + STOP_TIMEOUT;
        let parts_deadline = deadline - STORE_STOP_TIMEOUT;
        // Pages that are being read may take as long as the collector takes.
        self.stop_web.cancel();
        let (store, web) =
            tokio::join!(self.collecting.stop_receiving(parts_deadline), timeout_at(parts_deadline, self.web.task));
        if web.is_err() {
            tracing::warn!("some pages were not answered in time");
        }
        self.web_runtime.shutdown_background();
        close(store.as_ref(), deadline).await
    }
}

async fn close(store: &dyn Store, deadline: Instant) -> anyhow::Result<()> {
    let closed = timeout_at(deadline, store.close()).await;
    closed.context(
        "the store didn't close in time; what was acknowledged is on disk, but the next start takes longer",
    )??;
    tracing::info!("stopped");
    Ok(())
}

/// Who may send spans and logs to an address that others reach: who has a token of `[[access]]`. `None` without any `[[access]]`.
fn allow(access: &[web::Access]) -> anyhow::Result<Option<otlp::Allow>> {
    let mut secrets = Vec::new();
    for access in access {
        let secret = access.secret.reveal().with_context(|| format!("the secret of [[access]] `{}`", access.name))?;
        secrets.push(secret);
    }
    if secrets.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(move |token| {
        let Some(token) = token else { return false };
        // Every secret is compared, and each in constant time, so that the time tells nothing.
        secrets.iter().fold(false, |found, secret| found | bool::from(secret.as_bytes().ct_eq(token.as_bytes())))
    })))
}
