//! What fills the store: sources, decoding, correlation.
//!
//! ```text
//! broker --Source--> Raw --decode--> body --correlate--> Entry --> Store::append
//! OTLP ------------> Span, Log -------------correlate--> Entry --> Store::append
//! ```
//!
//! This crate knows neither HTML nor how the store keeps what it is given.

// What comes in.
pub mod otlp; // spans and logs, as OpenTelemetry's SDKs and collectors send them
pub mod source; // brokers: one file each

// What it says.
pub mod decode; // what a body is

// What nobody may read of it.
pub mod redact; // taken out before anything is kept

// What it hangs together with.
pub mod correlate; // ids and coordinates under the names that each convention gives them

// What is told of it, and to whom.
pub mod alert; // rules, and what they hold for
pub mod tls; // whom we believe that they are who they say
pub mod webhook; // what is told of alerts, and to whom

// What goes out, where people want it.
pub mod redrive; // dead letters, back to where they came from

// What goes wrong.
pub mod error; // why something could not be collected

pub use error::CollectorError;
