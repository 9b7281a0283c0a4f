//! Where copies go, and how one is sent there.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::de::DeserializeOwned;
use tonic::Code;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use super::Copy;
use crate::error::CollectorError;
use crate::otlp::{Address, Signal};

/// How long one attempt may take: what exporters take by default.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// An OTLP endpoint that copies go to.
pub(in crate::otlp) struct Target {
    address: Address,
    way: Way,
}

enum Way {
    Grpc(Channel),
    Http(Box<Client<HttpConnector, Full<Bytes>>>),
}

/// Why a copy did not arrive.
pub(super) enum Failed {
    /// It may arrive if it is sent again.
    ForNow(String),
    /// It never will.
    ForGood(String),
}

/// The address that `[otlp] forward` names.
pub(in crate::otlp) fn address(text: &str) -> Result<Address, CollectorError> {
    let address = Address::read(text).map_err(CollectorError::Forward)?;
    if address.is_http() && address.is_tls() {
        let why = "asks for OTLP over HTTPS, which is not supported; use the gRPC port, usually 4317";
        return Err(CollectorError::Forward(format!("`{text}` {why}")));
    }
    Ok(address)
}

impl Target {
    /// Reads `[otlp] forward`, and gets ready to send; nothing is connected before the first copy. Needs a runtime.
    pub(in crate::otlp) fn read(text: &str) -> Result<Target, CollectorError> {
        let wrong = |why: &str| CollectorError::Forward(format!("`{text}` {why}"));
        let address = address(text)?;
        if address.is_http() {
            return Ok(Target {
                address,
                way: Way::Http(Box::new(Client::builder(TokioExecutor::new()).build_http())),
            });
        }
        let mut endpoint = Endpoint::from(address.uri().clone()).connect_timeout(SEND_TIMEOUT).timeout(SEND_TIMEOUT);
        if address.is_tls() {
            let roots = ClientTlsConfig::new().with_enabled_roots();
            endpoint =
                endpoint.tls_config(roots).map_err(|error| wrong(&format!("can't be reached by TLS: {error}")))?;
        }
        Ok(Target { address, way: Way::Grpc(endpoint.connect_lazy()) })
    }

    /// Whether copies would come back to ourselves, again and again.
    pub(in crate::otlp) fn is_one_of(&self, ours: &[SocketAddr]) -> bool {
        self.address.is_one_of(ours)
    }

    /// Sends one copy.
    pub(super) async fn send(&self, copy: &Copy) -> Result<(), Failed> {
        match &self.way {
            Way::Grpc(channel) => send_grpc(channel.clone(), copy).await,
            Way::Http(client) => self.send_http(client, copy).await,
        }
    }

    async fn send_http(&self, client: &Client<HttpConnector, Full<Bytes>>, copy: &Copy) -> Result<(), Failed> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{}", self.address.base(), copy.signal.http_path()))
            .header("content-type", if copy.json { "application/json" } else { "application/x-protobuf" })
            .body(Full::new(copy.bytes.clone()))
            .map_err(|error| Failed::ForGood(error.to_string()))?;
        let answered = tokio::time::timeout(SEND_TIMEOUT, client.request(request)).await;
        let response = answered
            .map_err(|_| Failed::ForNow("it did not answer in time".to_owned()))?
            .map_err(|error| Failed::ForNow(format!("it can't be reached: {error}")))?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status @ (StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT) => Err(Failed::ForNow(format!("it answered {status}"))),
            status => Err(Failed::ForGood(format!("it answered {status}"))),
        }
    }
}

async fn send_grpc(channel: Channel, copy: &Copy) -> Result<(), Failed> {
    let bytes = if copy.json { protobuf_of(copy)? } else { copy.bytes.clone() };
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| Failed::ForNow(format!("it can't be reached: {error}")))?;
    let path = PathAndQuery::from_static(copy.signal.grpc_path());
    match client.unary(tonic::Request::new(bytes), path, Raw).await {
        Ok(_) => Ok(()),
        Err(status) => match status.code() {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::Unknown
            | Code::DataLoss => Err(Failed::ForNow(format!("it answered {status}"))),
            _ => Err(Failed::ForGood(format!("it answered {status}"))),
        },
    }
}

/// What came as JSON goes on as protobuf, because gRPC knows nothing else.
fn protobuf_of(copy: &Copy) -> Result<Bytes, Failed> {
    fn again<T: DeserializeOwned + Message>(json: &[u8]) -> Result<Bytes, serde_json::Error> {
        Ok(Bytes::from(serde_json::from_slice::<T>(json)?.encode_to_vec()))
    }
    let translated = match copy.signal {
        Signal::Traces => again::<ExportTraceServiceRequest>(&copy.bytes),
        Signal::Logs => again::<ExportLogsServiceRequest>(&copy.bytes),
        Signal::Metrics => again::<ExportMetricsServiceRequest>(&copy.bytes),
    };
    translated.map_err(|_| Failed::ForGood("a request in JSON can't be written as protobuf for it".to_owned()))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.address, f)
    }
}

/// Messages that are bytes already.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = ();
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = tonic::Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = ();
    type Error = tonic::Status;

    /// What the other end answers is of no interest, as long as it is a success.
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<()>, tonic::Status> {
        from.advance(from.remaining());
        Ok(Some(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_endpoint_is_read_by_its_scheme_port_and_path() {
        for (text, grpc) in [
            ("http://collector:4317", true),
            ("https://collector:4317", true),
            ("http://collector:9999/", true),
            ("http://127.0.0.1:4318", false),
            ("http://collector:9999/otlp", false),
            ("http://collector:4318/v1/traces", false),
        ] {
            let target = Target::read(text).unwrap();
            assert_eq!(matches!(target.way, Way::Grpc(_)), grpc, "{text}");
        }
        for text in ["collector:4317", "https://collector:4318", ""] {
            assert!(matches!(Target::read(text), Err(CollectorError::Forward(_))), "{text}");
        }
    }
}
