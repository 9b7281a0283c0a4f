//! Receives what OpenTelemetry's SDKs and collectors send: spans and logs, over gRPC and HTTP.

mod batch; // what one request brings, as the store keeps it
mod json; // OTLP in JSON
mod protobuf; // OTLP in protobuf
mod wire; // protobuf's wire format

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Deserialize;

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
    /// An OTLP endpoint that gets a copy of all that is accepted, such as `http://collector:4317` (gRPC) or
    /// `http://collector:4318` (HTTP). Default empty: none.
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

/// Says whether a bearer token may send; `None` where the request has none.
pub type Allow = Arc<dyn Fn(Option<&str>) -> bool + Send + Sync>;

/// The largest request that is taken, in bytes after decompression: what the specification recommends
/// (open-telemetry/opentelemetry-proto : docs/specification.md). Larger ones are refused for good; exporters then send smaller batches.
pub const REQUEST_BYTES_MAX: usize = 64 << 20;
