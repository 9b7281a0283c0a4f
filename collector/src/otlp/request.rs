//! From a request's head and body to its bytes, never holding more of them than is admitted.

use std::io::Read;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Version};
use http_body_util::BodyExt;
use hyper::body::Body;
use serve::{BodyError, TimedBody};
use tokio::runtime::Handle;

use super::admission::Admitted;
use super::answer::Wire;
use super::refusal::Refusal;
use super::{REQUEST_BYTES_MAX, Signal};

/// What a request's head says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    /// What is sent.
    pub signal: Signal,
    /// How it is encoded.
    pub wire: Wire,
    /// Whether it is compressed, so far as HTTP tells; gRPC tells for each message.
    pub gzip: bool,
}

/// What goes before each gRPC message: a flag for compression and the length (grpc/grpc : doc/PROTOCOL-HTTP2.md).
const GRPC_PREFIX_BYTES: usize = 5;

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// How the answer to a request is to be encoded, even if nothing else of it makes sense: JSON where it isn't known, because people can read it.
pub(super) fn wire_of(parts: &Parts) -> Wire {
    match content_type(&parts.headers) {
        // gRPC needs HTTP/2: its status comes in trailers.
        Some(told) if is_grpc(told) && parts.version == Version::HTTP_2 => Wire::Grpc,
        Some(told) if is_protobuf(told) => Wire::Protobuf,
        _ => Wire::Json,
    }
}

/// Reads a head. Both protocols are understood on both ports: sending to the wrong one of them is the most frequent mistake with OTLP.
pub(super) fn head(parts: &Parts) -> Result<Head, Refusal> {
    let wire = wire_of(parts);
    let signal = Signal::of_path(parts.uri.path(), wire).ok_or(Refusal::NotFound)?;
    if parts.method != Method::POST {
        return Err(Refusal::Method);
    }
    // Browsers name the page that sends. Telemetry has nothing to do with pages, and a page may not fake it by way of DNS rebinding either.
    // Any other Host is fine: exporters reach us by names that we can't know (container names, proxies), and nothing can be read here.
    if parts.headers.contains_key(ORIGIN) {
        return Err(Refusal::FromBrowser);
    }
    let told = content_type(&parts.headers).unwrap_or_default();
    if wire != Wire::Grpc && !is_protobuf(told) && !is_json(told) {
        return Err(Refusal::MediaType(told.chars().take(100).collect()));
    }
    let encoding = if wire == Wire::Grpc { GRPC_ENCODING } else { CONTENT_ENCODING };
    let gzip = match parts.headers.get(encoding).map(|told| told.to_str().unwrap_or("?").trim()) {
        None | Some("" | "identity" | "none") => false,
        Some(told) if told.eq_ignore_ascii_case("gzip") || told.eq_ignore_ascii_case("x-gzip") => true,
        Some(told) => return Err(Refusal::Compression(told.chars().take(100).collect())),
    };
    Ok(Head { signal, wire, gzip })
}

/// The bearer token of a request (RFC 6750).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    let told = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(told.split(';').next().unwrap_or_default().trim())
}

fn is_grpc(told: &str) -> bool {
    told.eq_ignore_ascii_case("application/grpc") || told.eq_ignore_ascii_case("application/grpc+proto")
}

fn is_protobuf(told: &str) -> bool {
    told.eq_ignore_ascii_case("application/x-protobuf") || told.eq_ignore_ascii_case("application/protobuf")
}

fn is_json(told: &str) -> bool {
    told.eq_ignore_ascii_case("application/json")
}

/// Reads a whole body, at most one request's worth. What is left of it after a refusal is read and thrown away within bounds.
pub(super) async fn body(mut body: TimedBody, wire: Wire, admitted: &mut Admitted) -> Result<Bytes, Refusal> {
    let read = whole(&mut body, wire, admitted).await;
    if read.is_err() && wire != Wire::Grpc {
        drain(body).await;
    }
    read
}

async fn whole(body: &mut TimedBody, wire: Wire, admitted: &mut Admitted) -> Result<Bytes, Refusal> {
    let bytes_max = REQUEST_BYTES_MAX + if wire == Wire::Grpc { GRPC_PREFIX_BYTES } else { 0 };
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Refusal::too_large());
    }
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(interrupted)?.into_data() else { continue };
        let total = first.len() + joined.len() + data.len();
        if total > bytes_max {
            return Err(Refusal::too_large());
        }
        if !admitted.grow_patiently_to(total).await {
            return Err(Refusal::no_room());
        }
        if wire == Wire::Grpc {
            // The announcement stands at the beginning of the message, not of each of its pieces.
            let beginning = [&joined[..], &first, &data].into_iter().find(|piece| !piece.is_empty());
            announced_fits(beginning.unwrap_or_default())?;
        }
        // Most requests come in one piece, which then needs no copy.
        if joined.is_empty() && first.is_empty() {
            first = data;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut first));
            joined.extend_from_slice(&data);
        }
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

/// A message that announces itself as too large is refused at once, not after all of it was sent.
fn announced_fits(begins: &[u8]) -> Result<(), Refusal> {
    match begins {
        [_, a, b, c, d, ..] if u32::from_be_bytes([*a, *b, *c, *d]) as usize > REQUEST_BYTES_MAX => {
            Err(Refusal::too_large())
        }
        _ => Ok(()),
    }
}

fn interrupted(error: BodyError) -> Refusal {
    match error {
        BodyError::TooSlow => Refusal::Interrupted("the request's body took too long to arrive".to_owned()),
        BodyError::Broken(_) => Refusal::Interrupted("the request's body broke off".to_owned()),
    }
}

/// How much of a refused body is read and thrown away, so that a client of HTTP/1.1 that sends first and reads then sees the answer
/// and not a reset connection.
const DRAIN_BYTES_MAX: u64 = 2 * REQUEST_BYTES_MAX as u64;

/// And how long that may take.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);

/// Reads what is left of a body and throws it away.
pub(super) async fn drain(mut body: TimedBody) {
    if body.size_hint().lower() > DRAIN_BYTES_MAX {
        return;
    }
    let mut left = DRAIN_BYTES_MAX;
    let drained = async {
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
            match left.checked_sub(bytes) {
                Some(still) => left = still,
                None => break,
            }
        }
    };
    // Whether it was all read or the time was over: the answer goes out either way.
    let _ = tokio::time::timeout(DRAIN_TIME_MAX, drained).await;
}

/// The one message of a unary gRPC call, and whether it is compressed.
pub(super) fn grpc_message(mut body: Bytes, gzip: bool) -> Result<(Bytes, bool), Refusal> {
    if body.len() < GRPC_PREFIX_BYTES {
        return Err(Refusal::Invalid("the call has no whole message".to_owned()));
    }
    let flag = body.get_u8();
    let length = body.get_u32() as usize;
    if length != body.len() {
        let found = body.len();
        return Err(Refusal::Invalid(format!("the call's message should have {length} bytes and has {found}")));
    }
    match flag {
        0 => Ok((body, false)),
        1 if gzip => Ok((body, true)),
        _ => {
            Err(Refusal::Invalid("the message is flagged as compressed, but the call names no compression".to_owned()))
        }
    }
}

/// How much is decompressed between two looks at the limits.
const STEP_BYTES: usize = 64 * 1024;

/// Decompresses, and stops as soon as it becomes too much: what a bomb would unfold to is never held.
/// Waits for room, so that it must run where blocking is allowed.
pub(super) fn gunzip(compressed: &[u8], admitted: &mut Admitted) -> Result<Bytes, Refusal> {
    let mut decoder = MultiGzDecoder::new(compressed);
    let mut unpacked = Vec::with_capacity(compressed.len().saturating_mul(4).min(4 << 20));
    let mut piece = vec![0; STEP_BYTES];
    let (mut total, mut admitted_all) = (0, true);
    loop {
        let count =
            decoder.read(&mut piece).map_err(|error| Refusal::Invalid(format!("the gzip can't be read: {error}")))?;
        if count == 0 {
            break;
        }
        total += count;
        if total > REQUEST_BYTES_MAX {
            return Err(Refusal::too_large());
        }
        // Without room we go on counting but keep nothing: a sender of something too large must not be told to try again.
        admitted_all =
            admitted_all && (admitted.grow_to(total) || Handle::current().block_on(admitted.grow_patiently_to(total)));
        if admitted_all {
            unpacked.extend_from_slice(&piece[..count]);
        } else {
            unpacked = Vec::new();
        }
    }
    if admitted_all { Ok(Bytes::from(unpacked)) } else { Err(Refusal::no_room()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::Request;

    use super::*;
    use crate::otlp::admission::Admission;

    fn head_of(method: &str, path: &str, headers: &[(&str, &str)]) -> Result<Head, Refusal> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        head(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_head_says_what_is_sent_and_how() {
        let head = |signal, wire, gzip| Ok(Head { signal, wire, gzip });
        let protobuf = ("content-type", "application/x-protobuf");
        assert_eq!(head_of("POST", "/v1/traces", &[protobuf]), head(Signal::Traces, Wire::Protobuf, false));
        let json = ("Content-Type", "Application/JSON; charset=utf-8");
        assert_eq!(
            head_of("POST", "/v1/logs", &[json, ("content-encoding", "GZIP")]),
            head(Signal::Logs, Wire::Json, true)
        );
    }

    #[test]
    fn what_is_not_understood_is_told_apart() {
        let protobuf = ("content-type", "application/x-protobuf");
        let cases = [
            ("POST", "/", vec![protobuf], Refusal::NotFound),
            ("POST", "/v1/traces/", vec![protobuf], Refusal::NotFound),
            ("GET", "/v1/traces", vec![], Refusal::Method),
            ("POST", "/v1/traces", vec![("content-type", "text/plain")], Refusal::MediaType("text/plain".into())),
            ("POST", "/v1/traces", vec![], Refusal::MediaType(String::new())),
            ("POST", "/v1/traces", vec![protobuf, ("content-encoding", "br")], Refusal::Compression("br".into())),
            ("POST", "/v1/traces", vec![protobuf, ("origin", "http://evil.example")], Refusal::FromBrowser),
        ];
        for (method, path, headers, refusal) in cases {
            assert_eq!(head_of(method, path, &headers), Err(refusal), "{method} {path} {headers:?}");
        }
        let grpc_over_http1 = head_of("POST", "/v1/traces", &[("content-type", "application/grpc")]);
        assert_eq!(grpc_over_http1, Err(Refusal::MediaType("application/grpc".into())));
    }

    #[test]
    fn a_token_is_read_from_a_bearer_header_only() {
        let token = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(token("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(token("bearer  abc ").as_deref(), Some("abc"));
        assert_eq!(token("Basic abc"), None);
        assert_eq!(token("Bearer"), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn a_call_has_exactly_one_whole_message() {
        let message = |bytes: &[u8], gzip| grpc_message(Bytes::copy_from_slice(bytes), gzip);
        assert_eq!(message(&[0, 0, 0, 0, 2, 7, 8], false), Ok((Bytes::from_static(&[7, 8]), false)));
        assert_eq!(message(&[1, 0, 0, 0, 1, 7], true), Ok((Bytes::from_static(&[7]), true)));
        assert_eq!(message(&[0, 0, 0, 0, 0], true), Ok((Bytes::new(), false)), "an empty request");
        for (bytes, gzip) in [
            (&[][..], false),
            (&[0, 0, 0], false),
            (&[0, 0, 0, 0, 3, 7, 8], false),
            (&[0, 0, 0, 0, 1, 7, 8], false),
            (&[1, 0, 0, 0, 1, 7], false),
            (&[9, 0, 0, 0, 1, 7], true),
        ] {
            assert!(matches!(message(bytes, gzip), Err(Refusal::Invalid(_))), "{bytes:?}");
        }
    }

    fn zeros(bytes: usize) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&vec![0; bytes]).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_is_unpacked_up_to_the_limit_and_no_further() {
        let admission = Admission::new(REQUEST_BYTES_MAX);
        assert_eq!(gunzip(&zeros(1000), &mut admission.enter()).unwrap(), vec![0; 1000]);
        let largest = zeros(REQUEST_BYTES_MAX);
        assert_eq!(gunzip(&largest, &mut admission.enter()).unwrap().len(), REQUEST_BYTES_MAX);
        assert_eq!(gunzip(&zeros(REQUEST_BYTES_MAX + 1), &mut admission.enter()), Err(Refusal::too_large()));
        assert!(matches!(gunzip(b"\x1f\x8b\x08\x00torn", &mut admission.enter()), Err(Refusal::Invalid(_))));
        assert!(matches!(gunzip(&largest[..largest.len() / 2], &mut admission.enter()), Err(Refusal::Invalid(_))));
    }

    #[test]
    fn without_room_a_small_request_may_come_again_and_a_bomb_may_not() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _inside = runtime.enter();
        let admission = Admission::new(REQUEST_BYTES_MAX);
        let mut others = admission.enter();
        assert!(others.grow_to(REQUEST_BYTES_MAX));
        assert_eq!(gunzip(&zeros(1 << 20), &mut admission.enter()), Err(Refusal::no_room()));
        assert_eq!(gunzip(&zeros(REQUEST_BYTES_MAX + 1), &mut admission.enter()), Err(Refusal::too_large()));
    }
}
