//! `sillage demo`: a broker, a shop, the collector and the console in one process.
//!
//! The shop knows nothing of the console: its records go over TCP to the embedded broker, its spans and logs over TCP to the OTLP port,
//! and the collector finds them there like anybody else's.

use std::collections::BTreeMap;
use std::io::{BufRead, ErrorKind, IsTerminal};
use std::net::{SocketAddr, TcpListener};

use ::demo::{EmbeddedBroker, Shop, ShopConfig};
use anyhow::{Context, bail};
use collector::source;
use tokio::sync::mpsc;

use crate::cli;
use crate::config::{self, Config, Given};
use crate::console::Collecting;
use crate::failure::Failure;
use crate::log;
use crate::serve::{collector_runtime, say};
use crate::signal::Signals;
use crate::telemetry::Telemetry;

/// The name of the source that the demo adds.
const SOURCE: &str = "demo";

/// How many typed commands wait at the most: nobody types faster than services stop.
const COMMANDS_WAITING: usize = 8;

/// How long the shop may take to close. The store needs the rest of the five seconds.
const SHOP_STOP_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(1_500);

/// Runs until the first signal.
pub fn run(demo: cli::Demo) -> Result<(), Failure> {
    let loaded = config::load(&Given::from_cli(&demo.common, Some(&demo.place)))?;
    let runtime = collector_runtime()?;
    let telemetry = Telemetry::start(&loaded.config.telemetry, runtime.handle())?;
    log::start_sending(demo.common.log.as_deref(), telemetry.as_ref())?;
    loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let mut config = loaded.config;
    if !config.sources.is_empty() {
        tracing::warn!(
            "the demo watches its own broker only, not the [[source]] of the configuration: `sillage serve` does"
        );
    }
    let folder = if config.named.data {
        None
    } else {
        let folder =
            tempfile::Builder::new().prefix("sillage-demo-").tempdir().context("can't make a temporary folder")?;
        config.store.path = folder.path().to_owned();
        Some(folder)
    };
    let done = runtime.block_on(until_stopped(config, demo, telemetry.as_ref()));
    telemetry.into_iter().for_each(Telemetry::close);
    // Threads that still hold files of the folder end here.
    runtime.shutdown_background();
    if let Some(folder) = folder
        && let Err(error) = folder.close()
    {
        tracing::warn!(%error, "the temporary folder could not be removed");
    }
    done.map_err(Failure::from)
}

async fn until_stopped(mut config: Config, demo: cli::Demo, telemetry: Option<&Telemetry>) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let needs_token = [config.otlp.grpc, config.otlp.http].iter().any(|address| !address.ip().is_loopback());
    if needs_token && !config.otlp.allow_unauthenticated {
        bail!(
            "the demo's shop has no token to send with: leave [otlp] on loopback, or set allow_unauthenticated = true there"
        );
    }
    let moved = move_from_taken_ports(&mut config);
    let broker = EmbeddedBroker::start()?;
    broker.create_topics(&::demo::TOPICS, ::demo::PARTITIONS)?;
    config.sources = vec![watched(&broker)];
    let is_kept = config.named.data.then(|| config.store.path.display().to_string());
    let collecting = Collecting::start(&config, telemetry.map(Telemetry::fate)).await?;
    let (grpc, http) = (reachable(collecting.otlp_grpc), reachable(collecting.otlp_http));
    let opening = Shop::start(ShopConfig {
        brokers: broker.bootstrap(),
        otlp: format!("http://{grpc}"),
        orders_per_s: demo.rate.unwrap_or(ShopConfig::default().orders_per_s),
        without: demo.without,
        ..ShopConfig::default()
    });
    // The console opens after the shop: whoever looks finds something.
    let shop = tokio::select! {
        shop = opening => shop,
        () = signals.next() => return collecting.stop().await,
    };
    let shop = match shop {
        Ok(shop) => shop,
        Err(error) => {
            collecting.stop().await?;
            return Err(error.into());
        }
    };
    let console = match collecting.open(&config).await {
        Ok(console) => console,
        Err(error) => {
            shop.stop().await;
            return Err(error);
        }
    };
    let services = shop.running().await.join(", ");
    say(&ready(&console.url, &services, is_kept));
    say(&lines_to_paste(grpc, http, moved));
    let mut commands = typed();
    let failed = loop {
        tokio::select! {
            () = signals.next() => break None,
            error = console.failed() => break Some(error),
            Some(command) = commands.recv() => obey(&command, &shop).await,
        }
    };
    tracing::info!("stopping; once more stops at once");
    signals.next_one_ends_all();
    if tokio::time::timeout(SHOP_STOP_TIMEOUT, shop.stop()).await.is_err() {
        tracing::info!("the shop was left while it closed");
    }
    let stopped = console.stop().await;
    failed.map_or(stopped, Err)
}

/// The demo's own source: over TCP, like any other broker, from the first record.
fn watched(broker: &EmbeddedBroker) -> source::Config {
    let config = source::kafka::Config {
        name: SOURCE.to_owned(),
        brokers: vec![broker.bootstrap()],
        from: source::From::Earliest,
        // The embedded broker can't list its groups: they are asked for by name.
        groups: ::demo::GROUPS.iter().map(|group| (*group).to_owned()).collect(),
        // The embedded broker, librdkafka's mock cluster, waits this out even if something comes: it bounds how stale the demo is.
        options: BTreeMap::from([("fetch.wait.max.ms".to_owned(), "100".to_owned())]),
        optional: false,
        ..source::kafka::Config::local()
    };
    source::Config::Kafka(config)
}

/// Where a port is taken, takes a free one: a first look must not fail because something else runs here. True where OTLP moved.
fn move_from_taken_ports(config: &mut Config) -> bool {
    let moved = [&mut config.web.listen, &mut config.otlp.grpc, &mut config.otlp.http].map(|address| {
        let is_taken = TcpListener::bind(*address).is_err_and(|error| error.kind() == ErrorKind::AddrInUse);
        if is_taken {
            tracing::warn!("{address} is taken; the demo takes a free port instead");
            address.set_port(0);
        }
        is_taken
    });
    let [_, grpc, http] = moved;
    grpc || http
}

/// An address that can be connected to: who listens on all of them is reached on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, v6.port())),
        other => other,
    }
}

fn ready(url: &str, services: &str, is_kept: Option<String>) -> String {
    let data = is_kept.unwrap_or_else(|| "in a temporary folder, removed at the end".to_owned());
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "Sillage {version} is ready: {url}\n  shop  {services}\n  data  {data}\n  \
         type `stop billing` to see what happens, `start billing` to go on; Ctrl-C ends the demo\n"
    )
}

fn lines_to_paste(grpc: SocketAddr, http: SocketAddr, moved: bool) -> String {
    let taken = if moved { "the usual ports are taken; " } else { "" };
    format!(
        "{taken}to send your own spans and logs here, paste one of these:\n  \
         export OTEL_EXPORTER_OTLP_ENDPOINT=http://{grpc} OTEL_EXPORTER_OTLP_PROTOCOL=grpc\n  \
         export OTEL_EXPORTER_OTLP_ENDPOINT=http://{http} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\n"
    )
}

/// What is typed, line by line. Ends when nobody can type any more, and the demo goes on.
fn typed() -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel(COMMANDS_WAITING);
    if is_in_background() {
        return receive;
    }
    // A thread of its own that is left behind at the end: reading the terminal can't be interrupted.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if send.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receive
}

/// Whether a shell runs us in the background (`sillage demo &`): the terminal would stop us for reading it.
/// Linux tells our process group and the terminal's in `/proc/self/stat`, after the name in parentheses (proc_pid_stat(5)).
fn is_in_background() -> bool {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let (Some(group), Some(foreground)) = (fields.get(2), fields.get(5)) else { return false };
    std::io::stdin().is_terminal() && group != foreground
}

async fn obey(command: &str, shop: &Shop) {
    let words: Vec<&str> = command.split_whitespace().collect();
    let done = match words.as_slice() {
        [] => return,
        ["stop", service] => shop.stop_service(service).await.map(|()| format!("{service} is stopped")),
        ["start", service] => shop.start_service(service).await.map(|()| format!("{service} runs")),
        _ => Ok(format!("write `stop SERVICE` or `start SERVICE`; there are {}", ::demo::SERVICES.join(", "))),
    };
    match done {
        Ok(says) => say(&format!("{says}\n")),
        Err(error) => say(&format!("{error}\n")),
    }
}
