//! What a body is.
