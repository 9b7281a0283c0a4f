//! Where copies go, and how one is sent there.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::uri::{PathAndQuery, Scheme};
use http::{Method, Request, StatusCode, Uri};
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
use crate::otlp::Signal;

/// How long one attempt may take: what exporters take by default.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// An OTLP endpoint that copies go to.
pub(in crate::otlp) struct Target {
    uri: Uri,
    way: Way,
}

enum Way {
    Grpc(Channel),
    /// With what goes before `/v1/...`.
    Http(Box<Client<HttpConnector, Full<Bytes>>>, String),
}

/// Why a copy did not arrive.
pub(super) enum Failed {
    /// It may arrive if it is sent again.
    ForNow(String),
    /// It never will.
    ForGood(String),
}

/// The address that `[otlp] forward` names: `http://host:4317` is gRPC, `http://host:4318` (or with a path) is HTTP,
/// `https://host:4317` is gRPC over TLS.
pub(in crate::otlp) fn address(text: &str) -> Result<Uri, CollectorError> {
    let wrong = |why: &str| Err(CollectorError::Forward(format!("`{text}` {why}")));
    let Ok(uri) = text.trim().parse::<Uri>() else {
        return wrong("is no URL; use one such as http://collector:4317");
    };
    if uri.scheme().is_none_or(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return wrong("must begin with http:// or https://");
    }
    let host_and_port = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    if host_and_port.is_empty() || host_and_port.contains('@') {
        return wrong("must name a host, and no user");
    }
    let port = host_and_port.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return wrong("names a port that there isn't: ports go to 65535");
    }
    if is_http(&uri) && uri.scheme() == Some(&Scheme::HTTPS) {
        return wrong("asks for OTLP over HTTPS, which is not supported; use the gRPC port, usually 4317");
    }
    Ok(uri)
}

/// Whether copies go there over HTTP, not gRPC.
fn is_http(uri: &Uri) -> bool {
    uri.port_u16() == Some(4318) || !uri.path().trim_end_matches('/').is_empty()
}

impl Target {
    /// Reads `[otlp] forward`, and gets ready to send; nothing is connected before the first copy. Needs a runtime.
    pub(in crate::otlp) fn read(text: &str) -> Result<Target, CollectorError> {
        let wrong = |why: &str| CollectorError::Forward(format!("`{text}` {why}"));
        let uri = address(text)?;
        let tls = uri.scheme() == Some(&Scheme::HTTPS);
        if is_http(&uri) {
            let path = uri.path().trim_end_matches('/');
            let prefix = path.strip_suffix("/v1/traces").or_else(|| path.strip_suffix("/v1/logs")).unwrap_or(path);
            let way = Way::Http(Box::new(Client::builder(TokioExecutor::new()).build_http()), prefix.to_owned());
            return Ok(Target { uri, way });
        }
        let mut endpoint = Endpoint::from(uri.clone()).connect_timeout(SEND_TIMEOUT).timeout(SEND_TIMEOUT);
        if tls {
            let roots = ClientTlsConfig::new().with_enabled_roots();
            endpoint =
                endpoint.tls_config(roots).map_err(|error| wrong(&format!("can't be reached by TLS: {error}")))?;
        }
        Ok(Target { uri, way: Way::Grpc(endpoint.connect_lazy()) })
    }

    /// Whether copies would come back to ourselves, again and again.
    pub(in crate::otlp) fn is_one_of(&self, ours: &[SocketAddr]) -> bool {
        let host = self.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let ip: Option<IpAddr> = if host == "localhost" { Some([127, 0, 0, 1].into()) } else { host.parse().ok() };
        let port = self.uri.port_u16().unwrap_or(if self.uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 });
        ours.iter().any(|ours| {
            let same = |ip: IpAddr| {
                ip == ours.ip() || (ip.is_loopback() && (ours.ip().is_loopback() || ours.ip().is_unspecified()))
            };
            ours.port() == port && ip.is_some_and(same)
        })
    }

    /// Sends one copy.
    pub(super) async fn send(&self, copy: &Copy) -> Result<(), Failed> {
        match &self.way {
            Way::Grpc(channel) => send_grpc(channel.clone(), copy).await,
            Way::Http(client, prefix) => self.send_http(client, prefix, copy).await,
        }
    }

    async fn send_http(
        &self,
        client: &Client<HttpConnector, Full<Bytes>>,
        prefix: &str,
        copy: &Copy,
    ) -> Result<(), Failed> {
        let authority = self.uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{authority}{prefix}{}", copy.signal.http_path()))
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
        fmt::Display::fmt(&self.uri, f)
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
        for text in
            ["collector:4317", "ftp://collector", "https://collector:4318", "http://user@collector", "", "http://"]
        {
            assert!(matches!(Target::read(text), Err(CollectorError::Forward(_))), "{text}");
        }
    }

    #[tokio::test]
    async fn our_own_addresses_are_recognised() {
        let ours = ["127.0.0.1:4317".parse().unwrap(), "0.0.0.0:4318".parse().unwrap()];
        for (text, same) in [
            ("http://127.0.0.1:4317", true),
            ("http://localhost:4317", true),
            ("http://localhost:4318", true),
            ("http://[::1]:4318", true),
            ("http://127.0.0.1:14317", false),
            ("http://10.0.0.7:4317", false),
            ("http://collector:4317", false),
        ] {
            assert_eq!(Target::read(text).unwrap().is_one_of(&ours), same, "{text}");
        }
    }
}
