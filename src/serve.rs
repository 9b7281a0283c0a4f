//! `sillage serve`: watches brokers, receives spans and logs, and shows them, until told to stop.

use std::io::Write;

use collector::source;
use tokio::runtime::{Builder, Runtime};

use crate::cli;
use crate::config::{self, Config, Given};
use crate::console::{Collecting, Settings};
use crate::failure::Failure;
use crate::log;
use crate::signal::Signals;
use crate::telemetry::Telemetry;

/// Runs until the first signal.
pub fn run(serve: cli::Serve) -> Result<(), Failure> {
    let loaded = config::load(&Given::from_cli(&serve.common, Some(&serve.place)))?;
    let runtime = collector_runtime()?;
    let telemetry = Telemetry::start(&loaded.config.telemetry, runtime.handle())?;
    log::start_sending(serve.common.log.as_deref(), telemetry.as_ref())?;
    loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let mut config = loaded.config;
    if config.sources.is_empty() && !config.named.file {
        // Nothing is configured: a broker may be running here all the same, and is shown as absent where not.
        config.sources.push(source::Config::found_by_default());
    }
    let done = runtime.block_on(until_stopped(config, telemetry.as_ref()));
    telemetry.into_iter().for_each(Telemetry::close);
    done.map_err(Failure::from)
}

/// The threads of everything but the pages.
pub fn collector_runtime() -> anyhow::Result<Runtime> {
    let built = Builder::new_multi_thread().thread_name("collector").enable_all().build();
    built.map_err(|error| anyhow::Error::new(error).context("can't start threads"))
}

async fn until_stopped(config: Config, telemetry: Option<&Telemetry>) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let described: Vec<String> = config.sources.iter().map(|source| format!("{}", source.name())).collect();
    let data = config.store.path.display().to_string();
    let Config {
        web,
        access,
        otlp,
        store,
        sources,
        redact,
        conventions,
        consumers,
        registry,
        redrive,
        telemetry: _,
        named: _,
    } = config;
    let web = web::Config { redrive, ..web };
    let settings = Settings {
        store,
        otlp,
        sources,
        redact: &redact,
        conventions: &conventions,
        consumers: &consumers,
        registry,
        access: &access,
        telemetry: telemetry.map(Telemetry::fate),
    };
    let starting = async { Collecting::start(settings).await?.open(web, access.clone()).await };
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
    let failed = tokio::select! {
        () = signals.next() => None,
        error = console.failed() => Some(error),
    };
    tracing::info!("stopping; once more stops at once");
    signals.next_one_ends_all();
    let stopped = console.stop().await;
    failed.map_or(stopped, Err)
}

/// Tells something on stdout. Nobody may be listening there any more: that is no reason to stop.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
