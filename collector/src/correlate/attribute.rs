//! What each attribute of a span or log means, under current and old names.
