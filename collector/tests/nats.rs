//! The JetStream tail against a real nats-server (Debian's package `nats-server`).
#![cfg(feature = "nats")]
#![expect(clippy::unwrap_used, reason = "in a test that can't go on, the panic is the report")]

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::{self, Context, stream};
use collector::source::{self, Config, Running};
use futures_util::TryStreamExt;
use store::board::{SourceState, SourceStatus};
use store::engine::PageRequest;
use store::memory::Memory;
use store::{Board, Place, Query, Record, Store};
use tokio_util::sync::CancellationToken;

/// How long a server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server of the test's own, on a folder that outlives restarts.
struct Server {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Server {
    fn start() -> Server {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Server { folder: tempfile::tempdir().unwrap(), port, child: None };
        server.up();
        server
    }

    fn up(&mut self) {
        let started = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-js", "-sd"])
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child =
            Some(started.expect("nats-server can't be started: install it with `apt-get install nats-server`"));
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "nats-server doesn't listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// A server that only just listens may still reset a connection.
    async fn context(&self) -> Context {
        let begun = Instant::now();
        loop {
            match async_nats::connect(format!("nats://127.0.0.1:{}", self.port)).await {
                Ok(client) => return jetstream::new(client),
                Err(error) => assert!(begun.elapsed() < PATIENCE, "nats-server takes no client: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.down();
    }
}

struct Watching {
    board: Arc<Board>,
    stop: CancellationToken,
    running: Running,
}

impl Watching {
    fn start(server: &Server, from: &str, store: Arc<dyn Store>) -> Watching {
        let config = serde_json::json!({
            "type": "nats", "name": "stream", "url": format!("nats://127.0.0.1:{}", server.port), "from": from,
        });
        let config: Config = serde_json::from_value(config).unwrap();
        let (board, stop) = (Arc::new(Board::default()), CancellationToken::new());
        let running = source::start(vec![config], store, board.clone(), Arc::default(), stop.clone()).unwrap();
        Watching { board, stop, running }
    }

    async fn reaches(&self, state: SourceState) -> SourceStatus {
        let begun = Instant::now();
        loop {
            let status = self.board.sources().remove(0);
            if status.state == state {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{status:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.stopped().await;
    }
}

async fn kept(store: &dyn Store, count: u64) -> Vec<Record> {
    let begun = Instant::now();
    while store.stats().await.unwrap().records < count {
        assert!(begun.elapsed() < Duration::from_secs(20), "{count} records were not kept within 20 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    let found = store.search(&Query::All, PageRequest { limit: 1_000, after: None }).await.unwrap();
    let mut records: Vec<Record> = found
        .entries
        .iter()
        .map(|held| {
            assert_eq!(held.copies, 1);
            held.entry.as_record().unwrap().clone()
        })
        .collect();
    records.sort_by(|one, other| one.position.cmp(&other.position));
    assert_eq!(records.len() as u64, count);
    records
}

async fn stream(context: &Context, name: &str, retention: stream::RetentionPolicy, allow_direct: bool) {
    let subjects = vec![format!("{}.>", name.to_lowercase())];
    let config = stream::Config { name: name.into(), subjects, retention, allow_direct, ..Default::default() };
    context.create_stream(config).await.unwrap();
}

async fn publish(context: &Context, subject: &str, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("e-{subject}-{number}").as_str());
        headers.append("a", "1");
        headers.append("a", "2");
        let body = format!("{{\"number\":{number}}}");
        context.publish_with_headers(subject.to_owned(), headers, body.into()).await.unwrap().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_every_kind_are_read_once_and_left_as_they_were() {
    let server = Server::start();
    let context = server.context().await;
    stream(&context, "ORDERS", stream::RetentionPolicy::Limits, true).await;
    stream(&context, "JOBS", stream::RetentionPolicy::WorkQueue, false).await;
    publish(&context, "orders.placed", 0..300).await;
    publish(&context, "jobs.print", 0..20).await;
    let orders = context.get_stream("ORDERS").await.unwrap();
    for hole in [5, 100, 101, 102, 300] {
        orders.delete_message(hole).await.unwrap();
    }

    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let watching = Watching::start(&server, "earliest", store.clone());
    let records = kept(&*store, 315).await;
    let job = records.iter().find(|record| record.position.channel.as_str() == "JOBS").unwrap();
    assert_eq!(job.position.place, Place::Sequence(1));
    assert_eq!(job.event.id.as_deref(), Some("e-jobs.print-0"), "by Nats-Msg-Id");
    assert_eq!(job.header("Nats-Subject").unwrap().as_ref(), b"jobs.print");
    let values: Vec<&[u8]> =
        job.headers.iter().filter(|header| header.name == "a").filter_map(|header| header.value.as_deref()).collect();
    assert_eq!(values, [b"1", b"2"]);
    let status = watching.reaches(SourceState::Up).await;
    assert!(status.unseen.iter().any(|sentence| sentence.contains("JOBS")), "{:?}", status.unseen);

    // While it runs, and while it doesn't.
    publish(&context, "orders.placed", 300..310).await;
    kept(&*store, 325).await;
    watching.stop().await;
    publish(&context, "orders.placed", 310..320).await;
    let watching = Watching::start(&server, "earliest", store.clone());
    kept(&*store, 335).await;
    for name in ["ORDERS", "JOBS"] {
        let mut stream = context.get_stream(name).await.unwrap();
        let consumers: Vec<String> = stream.consumer_names().try_collect().await.unwrap();
        assert!(consumers.is_empty(), "{name} has {consumers:?}");
        let held = if name == "JOBS" { 20 } else { 315 };
        assert_eq!(stream.info().await.unwrap().state.messages, held, "{name}");
    }
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_made_again_is_another_life() {
    let server = Server::start();
    let context = server.context().await;
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    stream(&context, "ORDERS", stream::RetentionPolicy::Limits, false).await;
    publish(&context, "orders.placed", 0..10).await;
    let watching = Watching::start(&server, "earliest", store.clone());
    kept(&*store, 10).await;
    // While it is watched, with more messages than before.
    context.delete_stream("ORDERS").await.unwrap();
    stream(&context, "ORDERS", stream::RetentionPolicy::Limits, false).await;
    publish(&context, "orders.placed", 100..130).await;
    let begun = Instant::now();
    while watching.board.sources()[0].unseen.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody noticed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    watching.stop().await;
    let lives =
        |records: &[Record], life: u32| records.iter().filter(|record| record.position.incarnation.0 == life).count();
    let begun = Instant::now();
    loop {
        let found = store.search(&Query::All, PageRequest { limit: 1_000, after: None }).await.unwrap();
        let records: Vec<Record> = found.entries.iter().map(|held| held.entry.as_record().unwrap().clone()).collect();
        if lives(&records, 1) == 30 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "{} of the new life", lives(&records, 1));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // And while it is not watched.
    context.delete_stream("ORDERS").await.unwrap();
    stream(&context, "ORDERS", stream::RetentionPolicy::Limits, false).await;
    publish(&context, "orders.placed", 200..250).await;
    let watching = Watching::start(&server, "latest", store.clone());
    let begun = Instant::now();
    loop {
        let found = store.search(&Query::All, PageRequest { limit: 1_000, after: None }).await.unwrap();
        let records: Vec<Record> = found.entries.iter().map(|held| held.entry.as_record().unwrap().clone()).collect();
        if lives(&records, 2) == 50 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{} of the third life", lives(&records, 2));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_and_comes_back_is_told_and_costs_nothing() {
    let mut server = Server::start();
    let context = server.context().await;
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    stream(&context, "ORDERS", stream::RetentionPolicy::Limits, true).await;
    publish(&context, "orders.placed", 0..10).await;
    let watching = Watching::start(&server, "earliest", store.clone());
    kept(&*store, 10).await;
    server.down();
    let error = watching.reaches(SourceState::Down).await.error.unwrap();
    assert!(error.contains("start it"), "{error}");
    server.up();
    watching.reaches(SourceState::Up).await;
    publish(&server.context().await, "orders.placed", 10..15).await;
    let records = kept(&*store, 15).await;
    assert!(records.iter().all(|record| record.position.incarnation.0 == 0), "the same stream");
    watching.stop().await;
    // Down at the start: waited for.
    server.down();
    let watching = Watching::start(&server, "earliest", store.clone());
    watching.reaches(SourceState::Down).await;
    server.up();
    watching.reaches(SourceState::Up).await;
    kept(&*store, 15).await;
    watching.stop().await;
}
