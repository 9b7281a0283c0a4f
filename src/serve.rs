//! `sillage serve`: watches brokers, receives spans and logs, and shows them, until told to stop.

use std::io::Write;

use collector::alert::Rules;
use collector::source;
use store::Timestamp;
use tokio::runtime::{Builder, Runtime};

use crate::cli;
use crate::config::{self, Config, Given};
use crate::console::Collecting;
use crate::failure::Failure;
use crate::log;
use crate::signal::{Reloads, Signals};
use crate::telemetry::Telemetry;

/// Runs until the first signal.
pub fn run(serve: cli::Serve) -> Result<(), Failure> {
    let given = Given::from_cli(&serve.common, Some(&serve.place));
    let loaded = config::load(&given)?;
    let runtime = collector_runtime()?;
    let telemetry = Telemetry::start(&loaded.config.telemetry, runtime.handle())?;
    log::start_sending(serve.common.log.as_deref(), telemetry.as_ref())?;
    loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let mut config = loaded.config;
    if config.sources.is_empty() && !config.named.file {
        // Nothing is configured: a broker may be running here all the same, and is shown as absent where not.
        config.sources.push(source::Config::found_by_default());
    }
    let done = runtime.block_on(until_stopped(config, given, telemetry.as_ref()));
    telemetry.into_iter().for_each(Telemetry::close);
    done.map_err(Failure::from)
}

/// The threads of everything but the pages.
pub fn collector_runtime() -> anyhow::Result<Runtime> {
    let built = Builder::new_multi_thread().thread_name("collector").enable_all().build();
    built.map_err(|error| anyhow::Error::new(error).context("can't start threads"))
}

async fn until_stopped(config: Config, given: Given, telemetry: Option<&Telemetry>) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let mut reloads = Reloads::listen()?;
    let described: Vec<String> = config.sources.iter().map(|source| format!("{}", source.name())).collect();
    let data = config.store.path.display().to_string();
    let starting = async { Collecting::start(&config, telemetry.map(Telemetry::fate)).await?.open(&config).await };
    let console = tokio::select! {
        console = starting => console?,
        // Nothing was acknowledged yet.
        () = signals.next() => return Ok(()),
    };
    let (grpc, http) = (console.collecting().otlp_grpc, console.collecting().otlp_http);
    let watched = if described.is_empty() { "none: add [[source]]".to_owned() } else { described.join(", ") };
    say(&format!(
        "Sillage {} is ready: {}\n  spans and logs  OTLP over gRPC at {grpc}, over HTTP at {http}\n  brokers         {watched}\n  data            {data}\n",
        env!("CARGO_PKG_VERSION"),
        console.url,
    ));
    let failed = loop {
        tokio::select! {
            () = signals.next() => break None,
            error = console.failed() => break Some(error),
            () = reloads.next() => reload(&given, console.collecting()),
        }
    };
    tracing::info!("stopping; once more stops at once");
    signals.next_one_ends_all();
    let stopped = console.stop().await;
    failed.map_or(stopped, Err)
}

/// Reads the configuration again, and puts its alert rules in force. Where it is bad, those before it stay, and pages say so too.
fn reload(given: &Given, collecting: &Collecting) {
    let refuse = |in_force: &mut Rules, reason: String| {
        tracing::error!("the configuration can't be used, so the alert rules before it stay in force:\n{reason}");
        in_force.refused = Some((Timestamp::now(), reason));
    };
    match config::load(given) {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            collecting.change_rules(|in_force| match loaded.config.rules().after(in_force) {
                Ok(rules) => {
                    tracing::info!(
                        "read the configuration again: its {} alert rules and `[alerting]` are in force; what else changed is at the next start",
                        rules.rules.len()
                    );
                    *in_force = rules;
                }
                Err(reason) => refuse(in_force, reason),
            });
        }
        Err(refused) => collecting.change_rules(|in_force| refuse(in_force, refused.to_string())),
    }
}

/// Tells something on stdout. Nobody may be listening there any more: that is no reason to stop.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
