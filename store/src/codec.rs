//! Entries as bytes: what the log and the segments hold.
//!
//! Protobuf on the wire, so that fields can be added and older files stay readable; written by hand from borrowed values, read by prost.
//! Useful for whole entries. Not useful for single fields of many entries: those are in a segment's columns.

mod decode; // from bytes to entries
mod encode; // from entries to bytes
mod wire; // the messages, with their tags
mod write; // protobuf from borrowed values

pub use decode::{BlockReader, checkpoint as decode_checkpoint};
pub use encode::{BlockWriter, checkpoint as encode_checkpoint};

#[cfg(test)]
mod tests;
