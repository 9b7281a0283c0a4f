//! What rules can be about: the kinds of `[[alert]]`, what each measures, and which keys belong to it.

use serde::Deserialize;

/// What a rule is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// How many records a consumer group is behind.
    LagRecords,
    /// For how long the first record that a group has yet to read has been there.
    LagTime,
    /// How a group stands, by Burrow's rules.
    GroupState,
    /// A group has committed, and nobody is there to read on.
    NoMembers,
    /// Which share of a consumer's events was tried again.
    RetryRate,
    /// How many dead letters are open, or were added lately.
    DeadLetters,
    /// Something died for a reason that was not seen before.
    DeadLetterCause,
    /// How long flows take that begin with an event of a type.
    FlowTime,
    /// An event that nothing followed in time.
    MissingReaction,
    /// Which share of a consumer's process spans failed.
    ErrorRate,
    /// Something is wrong within flows, and can be proved.
    Finding,
    /// A source can't be read.
    SourceDown,
    /// The disk that holds our data gets full.
    DiskLow,
}

/// In what a kind measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    /// Whole things.
    Count,
    /// Milliseconds, written as `30s`.
    Time,
    /// A part of a whole, written as `5%` or `0.05`.
    Share,
    /// Bytes, written as `2GiB`.
    Bytes,
    /// It holds or doesn't: no threshold is needed.
    Truth,
}

/// One row of the table of kinds.
pub struct Row {
    /// The kind.
    pub kind: Kind,
    /// Its name in the configuration.
    pub name: &'static str,
    /// What it tells, for people who choose one.
    pub tells: &'static str,
    /// In what it measures.
    pub measure: Measure,
    /// The keys that must be there, beside `name` and `kind`.
    pub needs: &'static [&'static str],
    /// The keys that may be there, beside those that every rule may have.
    pub takes: &'static [&'static str],
}

/// The keys that every rule may have.
pub const COMMON: [&str; 7] = ["name", "kind", "for", "keep_firing", "severity", "labels", "webhooks"];

/// All kinds, in the order in which a form offers them.
pub const KINDS: [Row; 13] = [
    Row {
        kind: Kind::LagTime,
        name: "lag_time",
        tells: "a group is behind, in time",
        measure: Measure::Time,
        needs: &["above"],
        takes: &["source", "group", "topic", "below"],
    },
    Row {
        kind: Kind::LagRecords,
        name: "lag_records",
        tells: "a group is behind, in records",
        measure: Measure::Count,
        needs: &["above"],
        takes: &["source", "group", "topic", "below"],
    },
    Row {
        kind: Kind::GroupState,
        name: "group_state",
        tells: "a group is stopped, stalled or worse",
        measure: Measure::Truth,
        needs: &[],
        takes: &["source", "group", "state"],
    },
    Row {
        kind: Kind::NoMembers,
        name: "no_members",
        tells: "a group has nobody to read on",
        measure: Measure::Truth,
        needs: &[],
        takes: &["source", "group", "topic"],
    },
    Row {
        kind: Kind::RetryRate,
        name: "retry_rate",
        tells: "a consumer tries too much again",
        measure: Measure::Share,
        needs: &["above"],
        takes: &["source", "topic", "consumer", "below", "over", "at_least"],
    },
    Row {
        kind: Kind::DeadLetters,
        name: "dead_letters",
        tells: "too many dead letters, in all or lately",
        measure: Measure::Count,
        needs: &["above"],
        takes: &["source", "topic", "consumer", "type", "below", "over"],
    },
    Row {
        kind: Kind::DeadLetterCause,
        name: "dead_letter_cause",
        tells: "something died for a new reason",
        measure: Measure::Truth,
        needs: &[],
        takes: &["source", "topic", "consumer", "type", "over"],
    },
    Row {
        kind: Kind::FlowTime,
        name: "flow_time",
        tells: "flows of an event type take too long",
        measure: Measure::Time,
        needs: &["above", "type"],
        takes: &["source", "topic", "below", "over", "at_least", "percentile"],
    },
    Row {
        kind: Kind::MissingReaction,
        name: "missing_reaction",
        tells: "nothing followed an event in time",
        measure: Measure::Truth,
        needs: &["event", "one_of", "within"],
        takes: &["source", "topic", "over"],
    },
    Row {
        kind: Kind::ErrorRate,
        name: "error_rate",
        tells: "a consumer fails too often",
        measure: Measure::Share,
        needs: &["above"],
        takes: &["consumer", "below", "over", "at_least"],
    },
    Row {
        kind: Kind::Finding,
        name: "finding",
        tells: "something is provably wrong within flows",
        measure: Measure::Truth,
        needs: &[],
        takes: &["source", "topic", "type", "finding", "over"],
    },
    Row {
        kind: Kind::SourceDown,
        name: "source_down",
        tells: "a broker can't be read",
        measure: Measure::Truth,
        needs: &[],
        takes: &["source"],
    },
    Row {
        kind: Kind::DiskLow,
        name: "disk_low",
        tells: "our own disk gets full",
        measure: Measure::Bytes,
        needs: &["below"],
        takes: &["above"],
    },
];

impl Kind {
    /// What the table says of it.
    pub fn row(self) -> &'static Row {
        KINDS.iter().find(|row| row.kind == self).expect("every kind has its row")
    }

    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        self.row().name
    }
}
