//! What fills the store: sources, decoding, correlation.
//!
//! ```text
//! broker --Source--> Raw --decode--> body --correlate--> Entry --> Store::append
//! OTLP ------------> Span, Log -------------correlate--> Entry --> Store::append
//! ```
//!
//! This crate knows neither HTML nor how the store keeps what it is given.

pub mod correlate; // what a record or span says of events, traces and failures
pub mod decode; // what a body is
pub mod error; // why something could not be collected
pub mod source; // brokers: one file each

pub use error::CollectorError;
