//! What the API shows of the store's types.

mod body; // bodies and other bytes
mod entry; // a record, a span or a log
mod flow; // a flow
mod schema; // a schema in a registry
mod value; // OpenTelemetry values, cut to what is shown

use serde::{Serialize, Serializer};
use store::{Place, Position, Timestamp};

pub use self::entry::{EntryView, RecordView};
pub use self::flow::{FlowPage, FlowView};

/// A point in time: RFC 3339 in UTC with nine decimals.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// An id or anything else that is shown as its text.
#[derive(Clone, Copy, Debug)]
pub struct AsText<T>(pub T);

impl<T: std::fmt::Display> Serialize for AsText<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A duration in milliseconds, with decimals down to nanoseconds.
pub fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// Where a record is.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct PositionView<'a> {
    source: &'a str,
    channel: &'a str,
    incarnation: u32,
    place: PlaceView<'a>,
}

#[derive(Serialize, Debug)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum PlaceView<'a> {
    Offset { partition: i32, offset: i64 },
    Sequence { sequence: u64 },
    MessageId { message_id: &'a str },
    Arrival { arrival: u64 },
}

impl<'a> From<&'a Position> for PositionView<'a> {
    fn from(position: &'a Position) -> PositionView<'a> {
        PositionView {
            source: position.source.as_str(),
            channel: position.channel.as_str(),
            incarnation: position.incarnation.0,
            place: match &position.place {
                Place::Offset { partition, offset } => PlaceView::Offset { partition: *partition, offset: *offset },
                Place::Sequence(sequence) => PlaceView::Sequence { sequence: *sequence },
                Place::MessageId(message_id) => PlaceView::MessageId { message_id },
                Place::Arrival(arrival) => PlaceView::Arrival { arrival: *arrival },
            },
        }
    }
}
