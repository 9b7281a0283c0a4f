//! What a span says of messaging.
