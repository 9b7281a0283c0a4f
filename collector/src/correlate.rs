//! What a record says of its event, trace and failure.
