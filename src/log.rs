//! What Sillage says of itself: on stderr, for whoever runs it.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// What is told unless asked otherwise: our own life cycle, and what libraries warn of.
const DEFAULT: &str = "warn,sillage=info,collector=info,store=info,web=info,serve=info,demo=info";

/// Starts telling. `filter` is `--log`; without it `RUST_LOG` holds, and without that [`DEFAULT`].
pub fn start(filter: Option<&str>) -> anyhow::Result<()> {
    let wanted = filter.map(str::to_owned).or_else(|| std::env::var("RUST_LOG").ok()).filter(|text| !text.is_empty());
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .parse(wanted.as_deref().unwrap_or(DEFAULT))
        .context("the log filter can't be read: write it like `debug` or `collector=debug,info`")?;
    let is_colourful = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_colourful)
        .with_target(false)
        .init();
    Ok(())
}
