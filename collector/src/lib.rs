//! What fills the store: sources, decoding, correlation.
