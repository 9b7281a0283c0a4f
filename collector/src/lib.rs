//! What fills the store: sources, decoding, correlation.

// What comes in.
pub mod otlp; // spans and logs, as OpenTelemetry's SDKs and collectors send them

// What it hangs together with.
pub mod correlate; // ids and coordinates under the names that each convention gives them

// What goes wrong.
pub mod error; // why the collector could not start, or could not go on

pub use error::CollectorError;
