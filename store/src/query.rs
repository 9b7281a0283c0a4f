//! What can be asked for: a query holds for one entry.
//!
//! Both engines answer by [`Query::matches`]: the index only narrows, the query decides. What the index narrows by comes from the
//! same functions: [`Field::values`] for fields, [`text`] split by [`words`] for free text. So they never disagree.
//!
//! ```text
//! search box -> goto(text): straight to a trace, an event, a record
//!            -> Query::parse(text) -> Store::search -> narrowed by the index -> Query::matches(entry, now)
//! ```

mod backlog; // which records wait, by current commits
mod fields; // the names of fields, and which values an entry has for each
mod goto; // what a bare word may name, to go straight there
mod matches; // what a query means
mod parse; // from text
mod phrase; // whether a text has the words that are looked for
mod print; // back to text
mod suggest; // what was probably meant
mod text; // the searchable text of an entry
mod words; // how text is split into words

use std::sync::Arc;
use std::time::Duration;

use crate::entry::Kind;
use crate::time::Timestamp;

pub use backlog::Backlog;
pub use fields::{BODY_PARSED_BYTES_MAX, FieldValues};
pub use goto::{Goto, goto};
pub use matches::Whole;
pub use parse::{QueryError, duration};
pub use text::{TEXT_BYTES_MAX, text};
pub use words::{WORD_BYTES_MAX, Words, words};

/// A question to one entry.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Query {
    /// Every entry.
    #[default]
    All,
    /// All of these hold.
    And(Vec<Query>),
    /// One of these holds.
    Or(Vec<Query>),
    /// This does not hold.
    Not(Box<Query>),
    /// The entry is of this kind.
    Kind(Kind),
    /// The entry's own time is at or after the first and before the second.
    Time {
        /// At or after; `None` for no bound.
        from: Option<Timestamp>,
        /// Before; `None` for no bound.
        to: Option<Timestamp>,
    },
    /// A field has a value.
    Term {
        /// Which field.
        field: Field,
        /// Which values.
        test: Test,
    },
    /// This word or phrase occurs somewhere in the entry (body, key, headers, attributes, names, ids), whatever its case.
    Text {
        /// The words in order, as [`words`] splits them: lower case, ids in their parts; the last one may be the beginning of a word.
        words: Vec<String>,
        /// True where the last word ended in `*`.
        prefix: bool,
    },
    /// Some entry of the same flow matches. Engines take it as "holds": whoever lists flows checks it.
    Flow(Box<Query>),
    /// The flow has a finding of this kind ([`crate::flow::finding::KINDS`]), or any. Engines take it as "holds": whoever lists flows checks it.
    Finding(Option<&'static str>),
    /// Some consumer group has yet to read the record: what [`Query::with_commits`] makes of `status:waiting`.
    Waits(Arc<Backlog>),
}

/// A field of an entry. Its name in a query stands beside it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Field {
    /// `kind`: record, span or log.
    Kind,
    /// `trace`: the trace id.
    Trace,
    /// `event`: an event id, that it is or refers to.
    Event,
    /// `type`: the event type.
    Type,
    /// `key`: a record's key, or the message key that a span names.
    Key,
    /// `topic`: the channel (topic, queue, subject, stream).
    Topic,
    /// `partition`.
    Partition,
    /// `offset` (also a sequence).
    Offset,
    /// `source`: the broker, by its name in the configuration.
    Source,
    /// `group`: the consumer group of a span, or that a retry copy or dead letter names.
    Group,
    /// `service`: of a span or log; the producer of a record.
    Service,
    /// `span`: a span's name.
    Span,
    /// `status`: `dead` on a dead letter, `retried` on a retry copy and where more than one attempt is told, `failed` or `ok` on a span.
    /// No entry is `waiting` by itself: [`Query::with_commits`] works that out from what groups have committed now.
    Status,
    /// `role`: event, retry or dead for a record; producer, consumer, server, client or internal for a span; the severity for a log.
    Role,
    /// `producer`: an event's producer.
    Producer,
    /// `version`: an event's version.
    Version,
    /// `cause`: causation, correlation, conversation and saga ids; for a failure, its exception's type.
    Cause,
    /// `duration`: a span's duration.
    Duration,
    /// `age`: how long ago, by the entry's own time. It has no values to index, because it depends on now.
    Age,
    /// `body.path.to.field`: a field of a JSON body.
    Body(String),
    /// `header.name`: a record's header.
    Header(String),
    /// `attr.name`: an attribute of a span or log, or of its resource.
    Attribute(String),
}

/// What a field's value must be.
#[derive(Clone, PartialEq, Debug)]
pub enum Test {
    /// Exactly this text; upper and lower case count, but for ids in hexadecimal digits.
    Is(String),
    /// Begins with this text.
    Begins(String),
    /// Lies between these numbers, both included; for `duration` and `age` in nanoseconds. Values that are no numbers don't.
    Between(Option<f64>, Option<f64>),
    /// Has any value.
    Present,
}

/// The longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 4_096;

/// The deepest nesting of a query.
pub const QUERY_DEPTH_MAX: usize = 16;

/// How far back lists look when no time is given: older entries are reached by asking for them.
pub const WINDOW_DEFAULT: Duration = Duration::from_secs(15 * 60);
