//! Ids and coordinates under the names that each convention gives them: one row of a table per convention, with its test beside it.

pub mod header; // header values, in the encoding that their name tells
pub mod time; // points in time as frameworks write them

// Records.
pub mod event; // the event's own metadata
pub mod failure; // what a retry copy or dead letter says of the failure that led to it
pub mod trace; // the trace context, in every format

// Spans and logs.
pub mod attribute; // what each attribute of a span or log means, under current and old names
pub mod span; // what a span says of messaging
