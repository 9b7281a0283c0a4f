//! Accept loops with header timeouts and connection caps.
//!
//! An exposed port gets half-open, idle and endless connections from the first day on. A server without limits lets a few hundred of
//! them shut everybody else out. This crate is the one place where a listening socket becomes requests:
//! the OTLP receiver and the console both serve through it.
//!
//! It knows nothing of what is served.

// How it is bounded.
pub mod limits; // every limit, with the reason for its value

pub use limits::Limits;
