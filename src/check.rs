//! `sillage check`: tells whether the configuration is right, and with `--connect` what is found at each source.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use collector::decode::registry::{self, Registry};
use collector::{CollectorError, source};
use store::board::{SourceState, SourceStatus};
use store::memory::Memory;
use store::{Board, SourceName};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cli;
use crate::config::{self, Config, Given};
use crate::failure::Failure;
use crate::log;
use crate::serve::say;

/// How long a broker may take to answer: a TLS handshake with a far one takes a second or two.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How often we look whether it answered.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Reads the configuration, and tells what it says.
pub fn run(check: cli::Check) -> Result<(), Failure> {
    let loaded = config::load(&Given::from_cli(&check.common, None))?;
    log::start(check.common.log.as_deref().or(Some("error")))?;
    let from = loaded.file.as_ref().map_or_else(|| "no file".to_owned(), |file| file.display().to_string());
    say(&format!("{from}: all right\n{}", described(&loaded.config)));
    for warning in &loaded.warnings {
        say(&format!("  note: {warning}\n"));
    }
    if check.connect {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| anyhow::Error::new(error).context("can't start threads"))?;
        runtime.block_on(connect(loaded.config.sources, loaded.config.registry))?;
    }
    Ok(())
}

fn described(config: &Config) -> String {
    let login = match config.access.len() {
        0 => "nobody logs in".to_owned(),
        1 => "one may log in".to_owned(),
        many => format!("{many} may log in"),
    };
    let mut text = format!(
        "  console   {}, {login}\n  OTLP      gRPC {}, HTTP {}\n  data      {}, for {}, up to {}\n",
        config.web.listen,
        config.otlp.grpc,
        config.otlp.http,
        config.store.path.display(),
        config.store.retention,
        config.store.retention_size,
    );
    if config.sources.is_empty() {
        text.push_str("  sources   none\n");
    }
    for source in &config.sources {
        text.push_str(&format!("  source    {} ({})\n", source.name(), kind(source)));
    }
    let rules = config.rules();
    let usual = if rules.are_default { " (the usual ones, because there is no [[alert]])" } else { "" };
    text.push_str(&format!("  alerts    {} rules{usual}\n", rules.rules.len()));
    text
}

fn kind(source: &source::Config) -> &'static str {
    match source {
        source::Config::Kafka(_) => "kafka",
        source::Config::Nats(_) => "nats",
        source::Config::Rabbitmq(_) => "rabbitmq",
        source::Config::Pulsar(_) => "pulsar",
        source::Config::Sqs(_) => "sqs",
    }
}

/// Opens each source as `serve` would, but keeps what comes in memory, and stops as soon as it answered.
async fn connect(sources: Vec<source::Config>, registry: registry::Config) -> anyhow::Result<()> {
    if sources.is_empty() {
        say("nothing to connect to: there is no [[source]]\n");
    }
    let mut failed = 0;
    for source in sources {
        let name = source.name();
        let found = match found_at(source).await {
            Ok(status) => told(&status),
            Err(error) => Err(config::chain(&error)),
        };
        match found {
            Ok(says) => say(&format!("{name}: {says}\n")),
            Err(says) => {
                failed += 1;
                say(&format!("{name}: FAILED: {says}\n"));
            }
        }
    }
    let stop = CancellationToken::new();
    let board = Arc::new(Board::default());
    let setup = registry::Setup { config: registry, board: board.clone(), stop: stop.clone() };
    if let Some((_registry, asking)) = Registry::start(setup)? {
        match answered(&board, &registry::NAME.into()).await {
            Some(SourceStatus { state: SourceState::Up, address, .. }) => {
                say(&format!("registry: {address} answers\n"))
            }
            status => {
                failed += 1;
                let says = status.and_then(|status| status.error);
                say(&format!("registry: FAILED: {}\n", says.unwrap_or_else(|| "it didn't answer".to_owned())));
            }
        }
        stop.cancel();
        asking.await?;
    }
    if failed > 0 { Err(anyhow!("{failed} of what is configured can't be used, see above")) } else { Ok(()) }
}

/// What stands on the board of a name, once that has answered or took too long.
async fn answered(board: &Board, name: &SourceName) -> Option<SourceStatus> {
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    loop {
        let status = board.sources().into_iter().find(|status| status.name == *name);
        let has_answered = status.as_ref().is_some_and(|status| status.state != SourceState::Starting);
        if has_answered || Instant::now() >= deadline {
            return status;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn found_at(source: source::Config) -> Result<Option<SourceStatus>, CollectorError> {
    let name = source.name();
    let board = Arc::new(Board::default());
    let stop = CancellationToken::new();
    let running = source::start(vec![source], Arc::new(Memory::new()), board.clone(), Arc::default(), stop.clone())?;
    let status = answered(&board, &name).await;
    stop.cancel();
    running.stopped().await;
    Ok(status)
}

fn told(status: &Option<SourceStatus>) -> Result<String, String> {
    let Some(status) = status else { return Err("it said nothing".to_owned()) };
    match status.state {
        SourceState::Up => {
            let partitions: u32 = status.channels.iter().map(|channel| channel.partitions).sum();
            let mut says = format!(
                "{} at {} answers: {} channels, {partitions} partitions",
                status.kind,
                status.address,
                status.channels.len()
            );
            if let Some(error) = &status.error {
                says.push_str(&format!("\n  but: {error}"));
            }
            for unseen in &status.unseen {
                says.push_str(&format!("\n  it can't tell: {unseen}"));
            }
            Ok(says)
        }
        SourceState::Starting => {
            Err(format!("{} at {} didn't answer in {} s", status.kind, status.address, ANSWER_TIMEOUT.as_secs()))
        }
        SourceState::Down | SourceState::Absent => {
            Err(status.error.clone().unwrap_or_else(|| format!("{} at {} is down", status.kind, status.address)))
        }
    }
}
