//! What a decompression bomb may cost. Alone in its process, because it looks at the memory of all of it.

#![expect(clippy::unwrap_used, reason = "in a test that can't go on, the panic is the report")]

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use collector::otlp::{Config, Setup};
use flate2::Compression;
use flate2::write::GzEncoder;
use store::Board;
use store::memory::Memory;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// The most memory that this process has had so far, in MiB.
fn memory_high_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

/// A gibibyte of zeros, packed into about a mebibyte.
fn bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    (0..1024).for_each(|_| encoder.write_all(&zeros).unwrap());
    encoder.finish().unwrap()
}

/// How often a sender comes again.
const TRIES_MAX: usize = 20;

async fn status_of(to: std::net::SocketAddr, body: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\n\
         content-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes).split(' ').nth(1).unwrap().parse().unwrap()
}

/// What a sender is told in the end who comes again when there was no room: on a busy machine one may wait too long for the others.
async fn told_for_good(to: std::net::SocketAddr, body: &[u8]) -> u16 {
    for _ in 0..TRIES_MAX {
        match status_of(to, body).await {
            503 => tokio::time::sleep(Duration::from_millis(200)).await,
            status => return status,
        }
    }
    503
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_of_a_gibibyte_are_refused_for_good_within_little_memory() {
    let free = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let otlp = collector::otlp::start(Setup {
        config: Config { grpc: free, http: free, ..Config::default() },
        store: Arc::new(Memory::new()),
        board: Arc::new(Board::default()),
        allow: None,
        memory_limit_bytes: 512 << 20,
        redactor: Arc::default(),
        limits: serve::Limits::default(),
        shutdown: CancellationToken::new(),
    })
    .await
    .unwrap();
    let bomb = bomb();
    let before = memory_high_mib();
    let statuses = futures_util::future::join_all((0..8).map(|_| told_for_good(otlp.http, &bomb))).await;
    assert_eq!(statuses, [413; 8]);
    // 64 MiB are admitted at once; a growing buffer holds the old and the new while it is copied.
    let grown = memory_high_mib() - before;
    assert!(grown < 256, "grew by {grown} MiB");
}
