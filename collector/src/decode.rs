//! What a body is.

use store::Record;
use store::record::{BodyEncoding, Event};

use crate::source::raw::Raw;

/// A record from what the broker handed over.
pub fn record(raw: Raw) -> Record {
    Record {
        position: raw.position,
        cluster: raw.cluster,
        timestamp: raw.timestamp,
        timestamp_kind: raw.timestamp_kind,
        received_at: raw.received_at,
        key: raw.key,
        body: raw.body,
        encoding: BodyEncoding::Binary,
        headers: raw.headers,
        event: Event::default(),
        failure: None,
        problem: raw.problem,
    }
}
