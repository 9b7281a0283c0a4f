//! What Sillage says of itself: on stderr, for whoever runs it, and to an OTLP endpoint where one is configured.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::telemetry::Telemetry;

/// What is told unless asked otherwise: our own life cycle, and what libraries warn of.
const DEFAULT: &str = "warn,sillage=info,collector=info,store=info,web=info,serve=info,demo=info";

/// Starts telling on stderr only; see [`start_sending`].
pub fn start(filter: Option<&str>) -> anyhow::Result<()> {
    start_sending(filter, None)
}

/// Starts telling. `filter` is `--log`; without it `RUST_LOG` holds, and without that [`DEFAULT`].
pub fn start_sending(filter: Option<&str>, telemetry: Option<&Telemetry>) -> anyhow::Result<()> {
    let wanted = filter.map(str::to_owned).or_else(|| std::env::var("RUST_LOG").ok()).filter(|text| !text.is_empty());
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .parse(wanted.as_deref().unwrap_or(DEFAULT))
        .context("the log filter can't be read: write it like `debug` or `collector=debug,info`")?;
    let is_colourful = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let on_stderr = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(is_colourful)
        .with_target(false)
        .with_filter(filter);
    tracing_subscriber::registry().with(on_stderr).with(telemetry.map(Telemetry::layer)).init();
    Ok(())
}
