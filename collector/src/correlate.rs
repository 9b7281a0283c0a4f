//! Ids and coordinates under the names that each convention gives them: one row of a table per convention, with its test beside it.

pub mod attribute; // what each attribute of a span or log means, under current and old names
pub mod span; // what a span says of messaging
