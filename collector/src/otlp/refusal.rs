//! What is answered to a request that can't be taken, and whether its sender should try again.
//!
//! That is the point of it: exporters drop what is refused for good, and send again what is refused for now
//! (open-telemetry/opentelemetry-proto : docs/specification.md, "Failures"; "OTLP/HTTP Response"). So whatever may get better is refused for now.

use std::time::Duration;

use http::StatusCode;
use store::StoreError;

use super::REQUEST_BYTES_MAX;

/// Why a request was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// It is larger than any request may be, in bytes or in what decoding it takes: never again in this size.
    TooLarge(String),
    /// There is no room for it now, or the store can't keep it now.
    Busy {
        /// Why, in words.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// It can't be read.
    Invalid(String),
    /// Its body broke off or took too long.
    Interrupted(String),
    /// Its token is missing or wrong.
    Unauthenticated,
    /// It comes from a page in a browser.
    FromBrowser,
    /// Nothing is here.
    NotFound,
    /// Only POST is understood.
    Method,
    /// Its content type is none of OTLP's.
    MediaType(String),
    /// It is compressed in a way that we don't know.
    Compression(String),
}

/// gRPC's status codes (grpc/grpc : doc/statuscodes.md), those that are used here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Code {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// When to try again after there was no room: what is in flight is kept within tens of milliseconds.
pub(super) const BUSY_RETRY: Duration = Duration::from_secs(1);

/// When to try again after the store failed: somebody has to look first, but nothing is lost while exporters hold it.
const FAILED_RETRY: Duration = Duration::from_secs(30);

impl Refusal {
    pub(super) fn too_large() -> Refusal {
        let limit = REQUEST_BYTES_MAX >> 20;
        Refusal::TooLarge(format!("the request is larger than {limit} MiB after decompression: send smaller batches"))
    }

    pub(super) fn no_room() -> Refusal {
        Refusal::Busy { reason: "too much is in flight at the moment".to_owned(), retry_after: BUSY_RETRY }
    }

    /// Every failure of the store is refused for now: what can't be kept today may be kept after a restart or on a disk with room.
    /// The store's own words stay here, because they tell paths.
    pub(super) fn of_store(error: &StoreError) -> Refusal {
        match error {
            StoreError::Refused { reason, retry_after } => Refusal::Busy {
                reason: format!("the store can't take entries now: {reason}"),
                retry_after: *retry_after,
            },
            StoreError::Closed => Refusal::Busy { reason: "shutting down".to_owned(), retry_after: BUSY_RETRY },
            StoreError::File { .. }
            | StoreError::Unusable(_)
            | StoreError::Damaged { .. }
            | StoreError::Internal(_) => Refusal::Busy {
                reason: "the store failed, see Sillage's own log".to_owned(),
                retry_after: FAILED_RETRY,
            },
        }
    }

    /// Under which reason it is counted on the board.
    pub(super) fn counted_as(&self) -> &'static str {
        match self {
            Refusal::TooLarge(_) => "otlp_too_large",
            Refusal::Busy { .. } => "otlp_busy",
            Refusal::Invalid(_) => "otlp_invalid",
            Refusal::Interrupted(_) => "otlp_interrupted",
            Refusal::Unauthenticated => "otlp_unauthenticated",
            Refusal::FromBrowser => "otlp_from_browser",
            Refusal::NotFound | Refusal::Method | Refusal::MediaType(_) | Refusal::Compression(_) => {
                "otlp_not_understood"
            }
        }
    }

    /// The code over gRPC, and in the `Status` that HTTP answers carry.
    pub(super) fn code(&self) -> Code {
        match self {
            Refusal::TooLarge(_) => Code::ResourceExhausted,
            Refusal::Busy { .. } => Code::Unavailable,
            Refusal::Invalid(_) => Code::InvalidArgument,
            Refusal::Interrupted(_) => Code::DeadlineExceeded,
            Refusal::Unauthenticated => Code::Unauthenticated,
            Refusal::FromBrowser => Code::PermissionDenied,
            Refusal::NotFound | Refusal::Method | Refusal::MediaType(_) | Refusal::Compression(_) => {
                Code::Unimplemented
            }
        }
    }

    /// The status over HTTP.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Refusal::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Invalid(_) => StatusCode::BAD_REQUEST,
            Refusal::Interrupted(_) => StatusCode::REQUEST_TIMEOUT,
            Refusal::Unauthenticated => StatusCode::UNAUTHORIZED,
            Refusal::FromBrowser => StatusCode::FORBIDDEN,
            Refusal::NotFound => StatusCode::NOT_FOUND,
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::MediaType(_) | Refusal::Compression(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// What to tell whoever sent it.
    pub(super) fn message(&self) -> String {
        match self {
            Refusal::TooLarge(message) | Refusal::Invalid(message) | Refusal::Interrupted(message) => message.clone(),
            Refusal::Busy { reason, .. } => format!("{reason}: try again later"),
            Refusal::Unauthenticated => {
                "send a token of `[[access]]` as `authorization: Bearer ...` (OTEL_EXPORTER_OTLP_HEADERS)".to_owned()
            }
            Refusal::FromBrowser => {
                "pages in a browser can't send here: send through an OpenTelemetry Collector".to_owned()
            }
            Refusal::NotFound => {
                "this is an OTLP receiver: POST to /v1/traces, /v1/logs or /v1/metrics, or use gRPC".to_owned()
            }
            Refusal::Method => "only POST is understood here".to_owned(),
            Refusal::MediaType(told) => {
                format!("content type `{told}` is not understood: send application/x-protobuf or application/json")
            }
            Refusal::Compression(told) => format!("content encoding `{told}` is not understood: send gzip or identity"),
        }
    }

    /// When to try again, where that makes sense.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Refusal::Busy { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}
