//! The event's own metadata: its id, type, time, producer, version, trace and causes, from headers or body.
//!
//! Many names mean the same thing; [`table`] holds them with their rank, and the lowest rank that is there wins.

pub mod table; // the names

use std::borrow::Cow;
use std::sync::LazyLock;

use foldhash::HashMap;
use store::TraceId;
use store::record::{Cause, CauseKind, Event, Header, TraceContext};

use crate::correlate::{header, time, trace};
use crate::decode::fields::Fields;
use table::{BODY, Field, HEADERS, Only, Row, Written};

/// An event, and what its metadata holds that can't be read.
#[derive(Debug, Default)]
pub struct Told {
    /// The event.
    pub event: Event,
    /// What could not be read, in words.
    pub problems: Vec<String>,
}

/// How much later a field inside an envelope is believed than the envelope's own: after CloudEvents' `id`, before other frameworks' headers.
const INNER_RANK: u8 = 5;

/// How many causes are kept of one record: no framework writes more than six.
const CAUSES_MAX: usize = 16;

/// The longest id, type, producer or version that is kept, in bytes: a longer one is no name but a payload.
const VALUE_BYTES_MAX: usize = 1_024;

static HEADER_ROWS: LazyLock<HashMap<String, Vec<&'static Row>>> = LazyLock::new(|| {
    let mut rows: HashMap<String, Vec<&Row>> = HashMap::default();
    for row in HEADERS {
        rows.entry(row.name.to_ascii_lowercase()).or_default().push(row);
    }
    rows
});

/// Reads the event out of a record's headers and the fields of its body.
pub fn read(channel: &str, headers: &[Header], fields: &Fields<'_>) -> Told {
    let mut best = Best::default();
    let mut room = header::room();
    for header in headers {
        let Some(rows) = header::lowered(&header.name, &mut room).and_then(|name| HEADER_ROWS.get(name)) else {
            continue;
        };
        let Some(value) = header::text(header) else { continue };
        for row in rows {
            if applies(row, &header.name, value, channel, false) {
                best.offer(row, row.rank, value);
            }
        }
    }
    let is_cloud_event = ["specversion", "id", "source", "type"].iter().all(|name| fields.has(name));
    for found in fields.iter() {
        let row = &BODY[found.row];
        if applies(row, row.name, &found.value, channel, is_cloud_event) {
            let rank = if found.inner { row.rank + INNER_RANK } else { row.rank };
            best.offer(row, rank, &found.value);
        }
    }
    let traced = trace::read(headers);
    best.told(traced)
}

fn applies(row: &Row, name: &str, value: &str, channel: &str, is_cloud_event: bool) -> bool {
    match row.only {
        Only::Always => true,
        Only::ThisCase => name == row.name,
        Only::CloudEvent => is_cloud_event,
        Only::Outbox => channel.starts_with("outbox.event.") || is_uuid(value),
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The best value of each field so far, with its rank.
#[derive(Default)]
struct Best<'a> {
    values: [Option<(u8, Cow<'a, str>)>; Field::SINGLE],
    causes: Vec<(CauseKind, &'a str)>,
}

impl<'a> Best<'a> {
    fn offer(&mut self, row: &Row, rank: u8, value: &'a str) {
        if value.is_empty() || value.len() > VALUE_BYTES_MAX {
            return;
        }
        if let Field::Cause(kind) = row.field {
            if self.causes.len() < CAUSES_MAX && !self.causes.contains(&(kind, value)) {
                self.causes.push((kind, value));
            }
            return;
        }
        let slot = &mut self.values[row.field.index()];
        if slot.as_ref().is_none_or(|(held, _)| rank < *held)
            && let Some(value) = row.written.read(value)
        {
            *slot = Some((rank, value));
        }
    }

    fn take(&mut self, field: Field) -> Option<String> {
        self.values[field.index()].take().map(|(_, value)| value.into_owned())
    }

    fn told(mut self, traced: trace::Traced) -> Told {
        let mut problems: Vec<String> = traced.problem.into_iter().collect();
        let id = self.take(Field::Id);
        let event_type = self.take(Field::Type);
        let occurred_at = self.take(Field::OccurredAt).and_then(|text| {
            let at = time::time(&text);
            if at.is_none() {
                problems.push(format!("its time of occurrence can't be read: `{}`", cut(&text)));
            }
            at
        });
        let (trace, origin_trace) = self.trace(traced.context, &mut problems);
        let version = self.take(Field::Version).or_else(|| event_type.as_deref().and_then(version_of_type));
        let causes = self.causes.iter().filter(|(_, cause)| Some(*cause) != id.as_deref());
        let causes = causes.map(|(kind, id)| Cause { kind: *kind, id: (*id).to_owned() }).collect();
        let producer = self.take(Field::Producer);
        let event = Event { id, event_type, occurred_at, producer, version, trace, origin_trace, causes };
        Told { event, problems }
    }

    /// The header's trace, else the body's; and the body's beside it where that is another one:
    /// protocol headers hold the current hop, the body the start (cloudevents/spec : extensions/distributed-tracing.md).
    fn trace(
        &mut self,
        from_headers: Option<TraceContext>,
        problems: &mut Vec<String>,
    ) -> (Option<TraceContext>, Option<TraceId>) {
        let in_body = self.take(Field::Trace).and_then(|text| {
            let found = trace::in_body(&text);
            if found.is_none() {
                problems.push(format!("the trace id in its body can't be read: `{}`", cut(&text)));
            }
            found
        });
        match (from_headers, in_body) {
            (Some(context), Some((origin, _))) => {
                let differs = (origin != context.trace_id).then_some(origin);
                (Some(context), differs)
            }
            (Some(context), None) => (Some(context), None),
            (None, Some((trace_id, span_id))) => {
                (Some(TraceContext { trace_id, span_id, found_in: "body".into() }), None)
            }
            (None, None) => (None, None),
        }
    }
}

/// A value as a problem shows it: one short line.
fn cut(text: &str) -> String {
    text.chars().take(60).collect::<String>().escape_debug().to_string()
}

/// `order.placed.v2` is version 2.
fn version_of_type(event_type: &str) -> Option<String> {
    let (_, last) = event_type.rsplit_once(['.', '-', '_', '/'])?;
    let digits = last.strip_prefix(['v', 'V'])?;
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.to_owned())
}

impl Written {
    /// The value as it is meant; `None` where it says nothing.
    fn read<'a>(self, value: &'a str) -> Option<Cow<'a, str>> {
        let read = match self {
            Written::Plain => Cow::Borrowed(value),
            Written::Percent => header::percent_decoded(value),
            Written::Class => Cow::Borrowed(class_name(value)),
            Written::Address => Cow::Borrowed(value.trim_end_matches('/').rsplit('/').next().unwrap_or(value)),
            Written::Schema => Cow::Borrowed(version_of_schema(value)?),
        };
        (!read.is_empty()).then_some(read)
    }
}

/// `Acme.Orders.OrderPlaced, Acme.Orders, Version=1.0;…`, `urn:message:Acme.Orders:OrderPlaced`, `com.acme.OrderPlaced$V1`:
/// the first type, without its assembly, namespace and generic arguments.
fn class_name(value: &str) -> &str {
    let first = value.split(';').next().unwrap_or(value);
    let first = first.split([',', '`', '[', '<']).next().unwrap_or(first).trim();
    first.rsplit(['.', ':', '+', '$', '/']).next().unwrap_or(first)
}

/// The version that a schema's URI ends in, such as `https://acme.org/order-placed/1.2` or `…/v3/schema.json`.
fn version_of_schema(uri: &str) -> Option<&str> {
    uri.rsplit('/').find_map(|segment| {
        let segment = segment.strip_suffix(".json").unwrap_or(segment);
        let digits = segment.strip_prefix(['v', 'V']).unwrap_or(segment);
        let is_version = digits.starts_with(|first: char| first.is_ascii_digit())
            && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        is_version.then_some(digits)
    })
}
