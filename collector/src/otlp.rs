//! Receives what OpenTelemetry's SDKs and collectors send: spans and logs, over gRPC and HTTP.
//!
//! ```text
//! socket --serve--> head --> body, within admission --> decode, within budget --> Store::append --> acknowledgement
//!                                                                                       '--> copy to `[otlp] forward`
//! ```
//!
//! A success means that everything is kept durably. What can't be taken now is refused so that its sender tries again,
//! and only what never can be is refused for good (open-telemetry/opentelemetry-proto : docs/specification.md).
//! Both ports understand both protocols.

mod address; // an endpoint that something is sent to
mod admission; // how much may be in flight
mod answer; // answers in every encoding
mod batch; // what one request brings, as the store keeps it
mod endpoint; // from a request to its answer
mod forward; // copies to another endpoint
mod json; // OTLP in JSON
mod protobuf; // OTLP in protobuf
mod refusal; // what can't be taken, and whether to try again
mod request; // from a request's head and body to its bytes
mod wire; // protobuf's wire format

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Deserialize;
use store::board::{SourceState, SourceStatus};
use store::{Board, SourceName, Store, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use self::address::Address;
use self::admission::Admission;
use self::answer::Wire;
use self::endpoint::Endpoint;
use self::forward::{Target, address};
use crate::error::CollectorError;
use crate::redact::Redactor;

/// The largest request that is taken, in bytes after decompression: what the specification recommends
/// (open-telemetry/opentelemetry-proto : docs/specification.md). Larger ones are refused for good; exporters then send smaller batches.
pub const REQUEST_BYTES_MAX: usize = 64 << 20;

/// The name under which the receiver stands on the [`Board`], and of its checkpoints.
pub const SOURCE: &str = "otlp";

/// The `service.name` of Sillage's own spans and logs. Where they come back to a Sillage, by whatever way, no span is made of that: it would
/// come back, too.
pub const OWN_SERVICE: &str = "sillage";

/// `[otlp]` in the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where OTLP over gRPC is received; port 0 takes a free one. Default `127.0.0.1:4317`, the port that exporters know.
    pub grpc: SocketAddr,
    /// Where OTLP over HTTP is received; port 0 takes a free one. Default `127.0.0.1:4318`, the port that exporters know.
    pub http: SocketAddr,
    /// Whether everybody may send to an address that other machines can reach. Default `false`: they need a token of `[[access]]`.
    pub allow_unauthenticated: bool,
    /// An OTLP endpoint that gets a copy of all that is accepted, metrics included: `http://collector:4317` (gRPC),
    /// `https://collector:4317` (gRPC over TLS) or `http://collector:4318` (HTTP). Default empty: none.
    pub forward: String,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            grpc: SocketAddr::from(([127, 0, 0, 1], 4317)),
            http: SocketAddr::from(([127, 0, 0, 1], 4318)),
            allow_unauthenticated: false,
            forward: String::new(),
        }
    }
}

impl Config {
    /// Checks what can be checked before anything is listened on.
    pub fn check(&self) -> Result<(), CollectorError> {
        if self.forward.is_empty() { Ok(()) } else { address(&self.forward).map(drop) }
    }
}

/// Says whether a bearer token may send; asked with `None` where the request has none.
pub type Allow = Arc<dyn Fn(Option<&str>) -> bool + Send + Sync>;

/// What the receiver works with.
pub struct Setup {
    /// `[otlp]` in the configuration.
    pub config: Config,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Where the receiver reports itself and what it refused.
    pub board: Arc<Board>,
    /// Who may send to addresses that other machines can reach; `None` where no `[[access]]` is configured.
    pub allow: Option<Allow>,
    /// `[store] memory_limit` in bytes: an eighth of it may be in flight.
    pub memory_limit_bytes: usize,
    /// What takes out what nobody may read, before it is kept.
    pub redactor: Arc<Redactor>,
    /// What each of the two sockets bears; [`serve::Limits::default`] but in tests.
    pub limits: serve::Limits,
    /// Cancelled to stop.
    pub shutdown: CancellationToken,
}

/// A running receiver.
#[derive(Debug)]
pub struct Otlp {
    /// Where OTLP over gRPC is received.
    pub grpc: SocketAddr,
    /// Where OTLP over HTTP is received.
    pub http: SocketAddr,
    serving: Vec<JoinHandle<()>>,
    sending: Option<JoinHandle<()>>,
}

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Signal {
    Traces,
    Logs,
    Metrics,
}

/// The share of the memory limit that the bytes of requests in flight may take. What decoding makes of them takes four times as much
/// until it is kept, so this stands for about a sixth of the limit.
const IN_FLIGHT_SHARE: usize = 32;

/// How long copies that wait to be sent on may still be sent after a stop was asked for.
const FORWARD_DRAIN: Duration = Duration::from_secs(2);

/// Starts to receive. Both addresses are listened on when this returns; it fails where one can't be, and where the configuration asks for
/// something unsafe or impossible.
pub async fn start(setup: Setup) -> Result<Otlp, CollectorError> {
    let Setup { config, store, board, allow, memory_limit_bytes, redactor, limits, shutdown } = setup;
    let allow_grpc = guard(&config, "grpc", config.grpc, allow.as_ref())?;
    let allow_http = guard(&config, "http", config.http, allow.as_ref())?;
    let target = if config.forward.is_empty() { None } else { Some(Target::read(&config.forward)?) };
    let (grpc_listener, grpc) = listen("grpc", config.grpc).await?;
    let (http_listener, http) = listen("http", config.http).await?;
    if let Some(target) = target.as_ref().filter(|target| target.is_one_of(&[grpc, http])) {
        return Err(CollectorError::Forward(format!("`{target}` is where Sillage itself listens")));
    }
    let (forward, sender) = target.map(|target| forward::forward(target, Arc::clone(&board))).unzip();
    board.post(status(grpc, http));
    let admission = Admission::new(memory_limit_bytes / IN_FLIGHT_SHARE);
    board.measure("OTLP requests in flight", admission.gauge());
    let endpoint = Arc::new(Endpoint {
        name: SourceName::from(SOURCE),
        store,
        board,
        admission,
        decoders: Arc::new(Semaphore::new(available_parallelism().map_or(1, usize::from))),
        forward,
        redactor,
        told_about_metrics: Mutex::new(None),
        logged_refusals: Mutex::new(None),
    });
    let serving = [(grpc_listener, allow_grpc), (http_listener, allow_http)].map(|(listener, allow)| {
        let endpoint = Arc::clone(&endpoint);
        let service = tower::service_fn(move |request| {
            let (endpoint, allow) = (Arc::clone(&endpoint), allow.clone());
            async move { Ok::<_, Infallible>(endpoint.answer(request, allow.as_ref()).await) }
        });
        tokio::spawn(serve::serve(listener, limits.clone(), service, shutdown.clone()))
    });
    let sending = sender.map(|sender| tokio::spawn(sender.run()));
    info!(%grpc, %http, "receiving OTLP");
    Ok(Otlp { grpc, http, serving: serving.into(), sending })
}

impl Otlp {
    /// Waits until the receiver has stopped: every request under way is answered, and copies are sent on or given up.
    /// Ends within some seconds after the stop was asked for; see [`serve::Limits::drain_timeout`].
    pub async fn stopped(self) {
        for serving in self.serving {
            // A task that panicked has stopped, too.
            let _ = serving.await;
        }
        if let Some(mut sending) = self.sending
            && tokio::time::timeout(FORWARD_DRAIN, &mut sending).await.is_err()
        {
            sending.abort();
        }
    }
}

/// Who may send to an address: everybody on loopback, holders of a token elsewhere. `None` lets everybody in.
fn guard(
    config: &Config,
    key: &'static str,
    address: SocketAddr,
    allow: Option<&Allow>,
) -> Result<Option<Allow>, CollectorError> {
    if address.ip().is_loopback() || config.allow_unauthenticated {
        return Ok(None);
    }
    allow.map(|allow| Some(Arc::clone(allow))).ok_or(CollectorError::Unprotected { key, address })
}

async fn listen(key: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), CollectorError> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bound.await.map_err(|source: io::Error| {
        let advice = match source.kind() {
            io::ErrorKind::AddrInUse => format!(
                "something listens there already, probably an OpenTelemetry Collector, Jaeger or another Sillage \
                 (`ss -ltnp 'sport = :{}'` tells); stop it, or set `{key}` in `[otlp]` to another address",
                address.port()
            ),
            io::ErrorKind::AddrNotAvailable => {
                format!("this machine has no such address; set `{key}` in `[otlp]` to 127.0.0.1 or one that it has")
            }
            io::ErrorKind::PermissionDenied => {
                format!("this user may not listen there; set `{key}` in `[otlp]` to a port above 1023")
            }
            _ => format!("set `{key}` in `[otlp]` to another address"),
        };
        CollectorError::Listen { address, advice, source }
    })
}

fn status(grpc: SocketAddr, http: SocketAddr) -> SourceStatus {
    SourceStatus {
        name: SourceName::from(SOURCE),
        kind: SOURCE.to_owned(),
        address: format!("gRPC on {grpc}, HTTP on {http}"),
        state: SourceState::Up,
        error: None,
        since: Timestamp::now(),
        behind_ms: None,
        received: 0,
        channels: Vec::new(),
        unseen: vec!["traces are sampled by their senders: no span does not mean that nothing happened".to_owned()],
        transactions: Vec::new(),
    }
}

impl Signal {
    /// What is sent to a path.
    fn of_path(path: &str, wire: Wire) -> Option<Signal> {
        [Signal::Traces, Signal::Logs, Signal::Metrics].into_iter().find(|signal| {
            path == match wire {
                Wire::Grpc => signal.grpc_path(),
                Wire::Protobuf | Wire::Json => signal.http_path(),
            }
        })
    }

    fn grpc_path(self) -> &'static str {
        match self {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }

    fn http_path(self) -> &'static str {
        match self {
            Signal::Traces => "/v1/traces",
            Signal::Logs => "/v1/logs",
            Signal::Metrics => "/v1/metrics",
        }
    }
}
