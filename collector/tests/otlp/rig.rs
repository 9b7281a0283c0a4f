//! A receiver to send to, stores that refuse or take their time, and plain HTTP.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use collector::CollectorError;
use collector::otlp::{Allow, Config, Otlp, Setup};
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::{Value, json};
use store::board::SourceStatus;
use store::checkpoint::Checkpoint;
use store::engine::{Counts, Facet, Forgotten, Found, PageRequest, Sequence, Stats};
use store::knot::{Knot, Tie};
use store::memory::Memory;
use store::{Board, Entry, Query, SourceName, Store, StoreError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

pub const PROTOBUF: &str = "application/x-protobuf";
pub const JSON: &str = "application/json";

/// Addresses of our own choice.
pub fn loopback() -> Config {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    Config { grpc: free, http: free, ..Config::default() }
}

/// What a receiver is started with.
pub struct Given {
    pub config: Config,
    pub store: Option<Arc<dyn Store>>,
    pub allow: Option<Allow>,
    pub memory_limit_bytes: usize,
    pub limits: serve::Limits,
}

impl Default for Given {
    fn default() -> Given {
        Given {
            config: loopback(),
            store: None,
            allow: None,
            memory_limit_bytes: 512 << 20,
            limits: serve::Limits::default(),
        }
    }
}

/// A receiver at work.
pub struct Rig {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    pub board: Arc<Board>,
    store: Arc<dyn Store>,
    otlp: Otlp,
    shutdown: CancellationToken,
}

impl Given {
    pub async fn try_start(self) -> Result<Rig, CollectorError> {
        let store: Arc<dyn Store> = self.store.unwrap_or_else(|| Arc::new(Memory::new()));
        let (board, shutdown) = (Arc::new(Board::default()), CancellationToken::new());
        let otlp = collector::otlp::start(Setup {
            config: self.config,
            store: Arc::clone(&store),
            board: Arc::clone(&board),
            allow: self.allow,
            memory_limit_bytes: self.memory_limit_bytes,
            redactor: Arc::default(),
            limits: self.limits,
            shutdown: shutdown.clone(),
        })
        .await?;
        Ok(Rig { grpc: otlp.grpc, http: otlp.http, board, store, otlp, shutdown })
    }

    pub async fn start(self) -> Rig {
        self.try_start().await.expect("starts")
    }

    /// What an operator reads where it can't start.
    pub async fn start_error(self) -> String {
        self.try_start().await.err().expect("doesn't start").to_string()
    }
}

pub async fn channel(address: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://127.0.0.1:{}", address.port())).unwrap().connect().await.unwrap()
}

impl Rig {
    pub async fn channel(&self) -> Channel {
        channel(self.grpc).await
    }

    /// Everything that was kept.
    pub async fn entries(&self) -> Vec<Arc<Entry>> {
        let found = self.store.since(Sequence(0), &Query::All, 1_000).await.unwrap();
        found.entries.into_iter().map(|held| held.entry).collect()
    }

    pub fn status(&self) -> SourceStatus {
        self.board.sources().into_iter().next().expect("the receiver reports itself")
    }

    pub async fn until(&self, holds: impl Fn() -> bool) {
        for _ in 0..200 {
            if holds() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("it never came true; refused: {:?}", self.board.refused());
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.otlp.stopped().await;
    }
}

pub fn span(number: u8) -> Span {
    Span {
        trace_id: vec![number; 16],
        span_id: vec![number; 8],
        name: format!("span {number}"),
        start_time_unix_nano: 1_790_000_000_000_000_000,
        end_time_unix_nano: 1_790_000_000_001_000_000,
        ..Span::default()
    }
}

pub fn traces(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

pub fn span_json(number: u8) -> Value {
    let span = json!({"traceId": hex::encode([number; 16]), "spanId": hex::encode([number; 8]), "name": "by JSON",
        "startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000000001000000"});
    json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
}

pub fn logs(number: u8) -> ExportLogsServiceRequest {
    let record = LogRecord { time_unix_nano: u64::from(number), trace_id: vec![number; 16], ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
}

pub fn metrics(points: usize) -> ExportMetricsServiceRequest {
    let gauge = Gauge { data_points: vec![NumberDataPoint::default(); points] };
    let metrics = vec![Metric { data: Some(Data::Gauge(gauge)), ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }],
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An answer over HTTP/1.1.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub async fn post(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    raw(to, "POST", path, headers, body).await
}

/// Sends all of the request before it reads anything, as simple clients do.
pub async fn raw(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", to.port())).await.unwrap();
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    stream.write_all(body).await.expect("the whole request is taken before the connection ends");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("an answer");
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Answer { status, headers: headers.collect(), body: answer[end + 4..].to_vec() }
}

/// Calls a gRPC method with bytes of our own choice.
pub async fn call(channel: Channel, path: &'static str, bytes: Vec<u8>) -> Result<(), tonic::Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.expect("reachable");
    let path = http::uri::PathAndQuery::from_static(path);
    client.unary(tonic::Request::new(bytes), path, Plain).await.map(|_| ())
}

pub async fn call_with_bytes(channel: Channel, bytes: Vec<u8>) -> Result<(), tonic::Status> {
    call(channel, "/opentelemetry.proto.collector.trace.v1.TraceService/Export", bytes).await
}

/// Bytes as they are.
#[derive(Clone, Copy)]
struct Plain;

impl tonic::codec::Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = ();
    type Encoder = Plain;
    type Decoder = Plain;

    fn encoder(&mut self) -> Plain {
        Plain
    }

    fn decoder(&mut self) -> Plain {
        Plain
    }
}

impl tonic::codec::Encoder for Plain {
    type Item = Vec<u8>;
    type Error = tonic::Status;

    fn encode(&mut self, bytes: Vec<u8>, to: &mut tonic::codec::EncodeBuf<'_>) -> Result<(), tonic::Status> {
        bytes::BufMut::put_slice(to, &bytes);
        Ok(())
    }
}

impl tonic::codec::Decoder for Plain {
    type Item = ();
    type Error = tonic::Status;

    fn decode(&mut self, from: &mut tonic::codec::DecodeBuf<'_>) -> Result<Option<()>, tonic::Status> {
        let many = bytes::Buf::remaining(from);
        bytes::Buf::advance(from, many);
        Ok(Some(()))
    }
}

/// `google.rpc.Status`, as clients read it.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub struct Detail {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl Status {
    /// Seconds and nanoseconds of the `RetryInfo`, where there is one.
    pub fn retry_delay(&self) -> Option<(i64, i32)> {
        let detail =
            self.details.iter().find(|detail| detail.type_url == "type.googleapis.com/google.rpc.RetryInfo")?;
        let delay = RetryInfo::decode(detail.value.as_slice()).unwrap().delay.unwrap();
        Some((delay.seconds, delay.nanos))
    }
}

/// A store that takes its time, or keeps nothing and says why.
#[derive(Default)]
pub struct Reluctant {
    memory: Memory,
    refusal: Option<Box<dyn Fn() -> StoreError + Send + Sync>>,
    wait: Duration,
}

impl Reluctant {
    /// Refuses every append.
    pub fn refusing(refusal: impl Fn() -> StoreError + Send + Sync + 'static) -> Arc<dyn Store> {
        Arc::new(Reluctant { refusal: Some(Box::new(refusal)), ..Reluctant::default() })
    }

    /// Takes this long for each append.
    pub fn slow(wait: Duration) -> Arc<dyn Store> {
        Arc::new(Reluctant { wait, ..Reluctant::default() })
    }
}

#[async_trait]
impl Store for Reluctant {
    async fn append(&self, entries: Vec<Entry>, checkpoint: Checkpoint) -> Result<Sequence, StoreError> {
        tokio::time::sleep(self.wait).await;
        match &self.refusal {
            Some(refusal) => Err(refusal()),
            None => self.memory.append(entries, checkpoint).await,
        }
    }
    async fn checkpoint(&self, source: &SourceName) -> Result<Checkpoint, StoreError> {
        self.memory.checkpoint(source).await
    }
    async fn related(&self, knots: &[(Tie, Knot)], limit: usize) -> Result<Found, StoreError> {
        self.memory.related(knots, limit).await
    }
    async fn search(&self, query: &Query, page: PageRequest) -> Result<Found, StoreError> {
        self.memory.search(query, page).await
    }
    async fn since(&self, sequence: Sequence, query: &Query, limit: usize) -> Result<Found, StoreError> {
        self.memory.since(sequence, query, limit).await
    }
    async fn count(&self, query: &Query, by: Facet) -> Result<Counts, StoreError> {
        self.memory.count(query, by).await
    }
    async fn forget(&self, query: &Query) -> Result<Forgotten, StoreError> {
        self.memory.forget(query).await
    }
    fn generation(&self) -> watch::Receiver<Sequence> {
        self.memory.generation()
    }
    async fn stats(&self) -> Result<Stats, StoreError> {
        self.memory.stats().await
    }
}
