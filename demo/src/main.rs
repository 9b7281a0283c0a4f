//! `shop`: runs the shop against a Kafka and an OTLP endpoint, until Ctrl-C.

use std::{
    error::Error,
    io::{IsTerminal, stderr},
    process::ExitCode,
};

use clap::Parser;
use demo::{DemoError, SERVICES, Shop, ShopConfig};
use tokio::sync::mpsc;

/// A small event-driven shop: six services that tell each other what happened over Kafka, with OpenTelemetry.
///
/// While it runs, the lines `stop SERVICE` and `start SERVICE` on standard input stop and start one of its services.
/// Ctrl-C stops it.
#[derive(Debug, Parser)]
#[command(name = "shop", version)]
struct Args {
    /// The Kafka to talk to, as HOST:PORT,HOST:PORT
    #[arg(long, default_value = "localhost:9092")]
    brokers: String,
    /// Where spans and logs go: an OTLP endpoint that takes gRPC
    #[arg(long, default_value = "http://localhost:4317")]
    otlp: String,
    /// Orders a second
    #[arg(long, default_value_t = 5.0)]
    rate: f64,
    /// A service that is not started; may be given several times
    #[arg(long, value_name = "SERVICE")]
    without: Vec<String>,
    /// Decides customers, items and order numbers; by default another one each time
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .init();
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shop: {error}");
            // librdkafka's errors name their cause themselves, so its own is not said again.
            if let Some(cause) = error.source() {
                eprintln!("  because: {cause}");
            }
            let is_usage =
                matches!(error, DemoError::Rate { .. } | DemoError::UnknownService { .. } | DemoError::Otlp { .. });
            ExitCode::from(if is_usage { 2 } else { 1 })
        }
    }
}

async fn run(args: Args) -> Result<(), DemoError> {
    let Args { brokers, otlp, rate, without, seed } = args;
    let seed = seed.unwrap_or_else(rand::random);
    println!("opening the shop: events to {brokers}, spans and logs to {otlp}, {rate} orders a second");
    let config = ShopConfig { brokers, otlp, orders_per_s: rate, without, seed };
    let shop = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => return Ok(()),
        shop = Shop::start(config) => shop?,
    };
    println!("open: {}", shop.running().await.join(", "));
    println!("type `stop billing` or `start billing` (or another of its services); Ctrl-C closes the shop");
    obey(&shop).await;
    println!("closing: {} orders were placed", shop.orders_placed());
    shop.stop().await;
    Ok(())
}

/// Follows the lines on standard input until Ctrl-C. Where standard input ends, only Ctrl-C is left.
async fn obey(shop: &Shop) {
    let mut lines = lines_of_standard_input();
    let stop = stop_signal();
    tokio::pin!(stop);
    loop {
        let line = tokio::select! {
            () = &mut stop => return,
            Some(line) = lines.recv() => line,
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let done = match words.as_slice() {
            [] => continue,
            ["stop", service] => shop.stop_service(service).await,
            ["start", service] => shop.start_service(service).await,
            _ => {
                println!("say `stop SERVICE` or `start SERVICE`; the services are {}", SERVICES.join(", "));
                continue;
            }
        };
        match done {
            Ok(()) => println!("running: {}", shop.running().await.join(", ")),
            Err(error) => println!("{error}"),
        }
    }
}

/// A thread of its own, because a read of standard input can't be taken back: it ends with the process. One line waits
/// while another is followed; a person types no faster.
fn lines_of_standard_input() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Ctrl-C, or the TERM that a container engine sends.
async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
