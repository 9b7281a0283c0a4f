//! One attempt at telling a webhook something: resolve, check, connect, post, and read the beginning of the answer.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use store::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::task::AbortOnDropHandle;

use super::target::Target;
use super::{address, schedule};
use crate::source::with_causes;

/// How long one attempt may take in all: the least that Standard Webhooks recommends.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(15);

/// How long an address may take to accept the connection, so that there is time for another one.
const CONNECT_WITHIN: Duration = Duration::from_secs(4);

/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 3;

/// How much of an answer is read, in bytes, and for how long: a person reads the first sentence of an error, and the status decides.
const ANSWER_BYTES_MAX: usize = 2 << 10;
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The longest head of an answer, in bytes, and the most headers in it.
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;

/// What a receiver answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub status: u16,
    /// The beginning of the answer, as text.
    pub says: String,
    /// For how long it wants to be left alone.
    pub rest: Option<Duration>,
}

/// Calls a webhook once. The error says what went wrong, for people to read.
pub async fn call(target: &Target, id: &str, body: &Bytes, now: Timestamp) -> Result<Answer, String> {
    let request = request(target, id, body, now)?;
    let called = async {
        let stream = connect(target).await?;
        let Some(tls) = &target.tls else { return exchange(target, stream, request, now).await };
        let name =
            ServerName::try_from(target.host.clone()).map_err(|_| "no certificate can be for its name".to_owned())?;
        let stream = tls.connect(name, stream).await.map_err(|error| untrusted(&error))?;
        exchange(target, stream, request, now).await
    };
    let answer = timeout(ATTEMPT_WITHIN, called).await;
    answer.unwrap_or_else(|_| Err(format!("it did not answer within {} s", ATTEMPT_WITHIN.as_secs())))
}

/// Connects to the first address of the receiver that accepts, of those that may be called.
async fn connect(target: &Target) -> Result<TcpStream, String> {
    let host = (target.host.as_str(), target.port);
    let found = tokio::net::lookup_host(host).await.map_err(|error| format!("its name can't be resolved: {error}"))?;
    let mut failed = "its name has no address".to_owned();
    let mut tried = 0;
    for address in found {
        if let Err(why) = address::check(address.ip(), target.allow_private, target.tls.is_some()) {
            failed = format!("its name means an address that is not called: {why}");
            continue;
        }
        match timeout(CONNECT_WITHIN, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = unreachable(address, &error.to_string()),
            Err(_) => failed = unreachable(address, &format!("no answer within {} s", CONNECT_WITHIN.as_secs())),
        }
        tried += 1;
        if tried == ADDRESSES_MAX {
            break;
        }
    }
    Err(failed)
}

fn unreachable(address: SocketAddr, why: &str) -> String {
    format!("it can't be reached at {address}: {why}")
}

fn untrusted(error: &std::io::Error) -> String {
    format!("its certificate is not trusted ({error}): another authority is given by `ca` in [[webhook]]")
}

async fn exchange(
    target: &Target,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    now: Timestamp,
) -> Result<Answer, String> {
    let broken = |error: hyper::Error| format!("it broke off: {}", with_causes(&error));
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Dropped with this attempt, however it ends: what else the receiver would send is not waited for.
    let _driven = AbortOnDropHandle::new(tokio::spawn(connection));
    let response = sender.send_request(request).await.map_err(broken)?;
    Ok(read(target, response, now).await)
}

async fn read(target: &Target, response: Response<Incoming>, now: Timestamp) -> Answer {
    let status = response.status();
    let text = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let rest = text(header::RETRY_AFTER).and_then(|text| schedule::rest(text, now));
    let redirect = status.is_redirection().then_some("it sends us elsewhere, which is not followed: is `url` right? ");
    let says = beginning(response.into_body()).await;
    let says = format!("{}{}", redirect.unwrap_or(""), target.without_secrets(&says));
    Answer { status: status.as_u16(), says, rest: rest.filter(|_| !status.is_success()) }
}

/// The beginning of a body; what comes late is left out, as is what is no text.
async fn beginning(mut body: Incoming) -> String {
    let mut bytes = Vec::new();
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            bytes.extend_from_slice(&data[..data.len().min(ANSWER_BYTES_MAX - bytes.len())]);
            if bytes.len() == ANSWER_BYTES_MAX {
                return;
            }
        }
    };
    let _ = timeout(ANSWER_WITHIN, reading).await;
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

fn request(target: &Target, id: &str, body: &Bytes, now: Timestamp) -> Result<Request<Full<Bytes>>, String> {
    let path = target.uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = target.uri.authority().map_or(target.host.as_str(), |authority| authority.as_str());
    let timestamp = now.as_millis().div_euclid(1_000);
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, authority)
        .header(header::USER_AGENT, concat!("Sillage/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp);
    if let Some(signature) = target.keys.sign(id, timestamp, body) {
        request = request.header("webhook-signature", signature);
    }
    if !target.headers.iter().any(|(name, _)| *name == header::CONTENT_TYPE) {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    for (name, value) in &target.headers {
        request = request.header(name, value);
    }
    request.body(Full::new(body.clone())).map_err(|error| format!("the request can't be made: {error}"))
}
