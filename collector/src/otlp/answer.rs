//! Answers, over gRPC and HTTP, in protobuf and JSON.
//!
//! Over HTTP a refusal's body is a `Status` in the request's own encoding; over gRPC it stands in the trailers
//! (open-telemetry/opentelemetry-proto : docs/specification.md; grpc/grpc : doc/PROTOCOL-HTTP2.md;
//! googleapis/googleapis : google/rpc/{status,error_details}.proto).

use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use prost::Message;
use serde_json::json;

use super::Signal;
use super::refusal::Refusal;

/// How a request is encoded, and so its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wire {
    /// gRPC, always in protobuf.
    Grpc,
    /// HTTP in protobuf.
    Protobuf,
    /// HTTP in JSON.
    Json,
}

/// What became of a request that was taken.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Taken {
    /// How many spans, log records or data points were left out.
    pub rejected: u64,
    /// Why, or what else the sender should know; empty where there is nothing to say.
    pub message: String,
}

/// An answer's body: at most one piece, and gRPC's trailers.
#[derive(Debug, Default)]
pub(super) struct AnswerBody {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

/// The answer to a request.
pub(super) fn answer(wire: Wire, signal: Option<Signal>, outcome: Result<Taken, Refusal>) -> Response<AnswerBody> {
    match (wire, outcome) {
        (Wire::Grpc, Ok(taken)) => grpc_success(&taken),
        (Wire::Grpc, Err(refusal)) => grpc_refusal(&refusal),
        (Wire::Protobuf, Ok(taken)) => whole(StatusCode::OK, "application/x-protobuf", export_response(&taken)),
        (Wire::Json, Ok(taken)) => {
            let text = export_response_json(signal, &taken).to_string();
            whole(StatusCode::OK, "application/json", text.into_bytes())
        }
        (Wire::Protobuf | Wire::Json, Err(refusal)) => http_refusal(wire, &refusal),
    }
}

fn whole(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody { data: Some(Bytes::from(body)), trailers: None });
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn http_refusal(wire: Wire, refusal: &Refusal) -> Response<AnswerBody> {
    let mut response = match wire {
        Wire::Json => whole(refusal.status(), "application/json", status_json(refusal).to_string().into_bytes()),
        _ => whole(refusal.status(), "application/x-protobuf", status(refusal).encode_to_vec()),
    };
    let headers = response.headers_mut();
    if let Some(retry_after) = refusal.retry_after() {
        // Whole seconds only, and never 0, which would mean at once.
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    match refusal {
        Refusal::Unauthenticated => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Refusal::Method => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        _ => {}
    }
    response
}

fn grpc_success(taken: &Taken) -> Response<AnswerBody> {
    let message = export_response(taken);
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0); // not compressed
    framed.put_u32(u32::try_from(message.len()).expect("an answer has a few bytes"));
    framed.extend_from_slice(&message);
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let mut response = Response::new(AnswerBody { data: Some(framed.freeze()), trailers: Some(trailers) });
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// What `grpc-message` may not hold as it is (grpc/grpc : doc/PROTOCOL-HTTP2.md); non-ASCII is always encoded.
const MESSAGE_RESERVED: &AsciiSet = &CONTROLS.add(b'%');

/// "Trailers-only": the status stands among the headers, and there is no body.
fn grpc_refusal(refusal: &Refusal) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::default());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(refusal.code() as u16));
    let message = utf8_percent_encode(&refusal.message(), MESSAGE_RESERVED).to_string();
    let details = STANDARD_NO_PAD.encode(status(refusal).encode_to_vec());
    for (name, text) in [(GRPC_MESSAGE, message), (GRPC_DETAILS, details)] {
        headers.extend(HeaderValue::try_from(text).ok().map(|value| (name, value)));
    }
    if matches!(refusal, Refusal::Compression(_)) {
        headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("gzip,identity"));
    }
    response
}

/// `Export*ServiceResponse`: all three have the same shape, a partial success (1) of a number (1) and a message (2).
#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

fn export_response(taken: &Taken) -> Vec<u8> {
    let partial_success = (*taken != Taken::default()).then(|| PartialSuccess {
        rejected: i64::try_from(taken.rejected).unwrap_or(i64::MAX),
        error_message: taken.message.clone(),
    });
    ExportResponse { partial_success }.encode_to_vec()
}

fn export_response_json(signal: Option<Signal>, taken: &Taken) -> serde_json::Value {
    if *taken == Taken::default() {
        return json!({});
    }
    let rejected = match signal {
        Some(Signal::Logs) => "rejectedLogRecords",
        Some(Signal::Metrics) => "rejectedDataPoints",
        Some(Signal::Traces) | None => "rejectedSpans",
    };
    // 64-bit numbers are text in protobuf's JSON.
    json!({"partialSuccess": {rejected: taken.rejected.to_string(), "errorMessage": taken.message}})
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// `google.rpc.BadRequest`.
#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

#[derive(Clone, PartialEq, Message)]
struct FieldViolation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

fn status(refusal: &Refusal) -> Status {
    let mut details = Vec::new();
    if let Some(retry_after) = refusal.retry_after() {
        let seconds = i64::try_from(retry_after.as_secs()).unwrap_or(i64::MAX);
        let nanos = i32::try_from(retry_after.subsec_nanos()).expect("below a billion");
        let retry_info = RetryInfo { retry_delay: Some(Delay { seconds, nanos }) };
        details.push(Detail { type_url: RETRY_INFO.to_owned(), value: retry_info.encode_to_vec() });
    }
    if let Refusal::Invalid(description) = refusal {
        let violation = FieldViolation { field: "body".to_owned(), description: description.clone() };
        let bad_request = BadRequest { field_violations: vec![violation] };
        details.push(Detail { type_url: BAD_REQUEST.to_owned(), value: bad_request.encode_to_vec() });
    }
    Status { code: refusal.code() as i32, message: refusal.message(), details }
}

fn status_json(refusal: &Refusal) -> serde_json::Value {
    let mut details = Vec::new();
    if let Some(retry_after) = refusal.retry_after() {
        details.push(json!({"@type": RETRY_INFO, "retryDelay": format!("{}s", retry_after.as_secs_f64())}));
    }
    if let Refusal::Invalid(description) = refusal {
        let violation = json!({"field": "body", "description": description});
        details.push(json!({"@type": BAD_REQUEST, "fieldViolations": [violation]}));
    }
    json!({"code": refusal.code() as i32, "message": refusal.message(), "details": details})
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        let data = self.data.take().filter(|data| !data.is_empty()).map(Frame::data);
        let frame = data.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.as_ref().is_none_or(Bytes::is_empty) && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}
