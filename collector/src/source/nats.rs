//! NATS JetStream.

use std::sync::Arc;

use serde::Deserialize;

use crate::error::CollectorError;
use crate::source::Source;

/// `[[source]]` with `type = "nats"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its name: part of every record's position, so it should not change.
    pub name: String,
    /// `nats://host:port`.
    pub url: String,
}

impl Config {
    /// Checks all keys.
    pub fn check(&self) -> Result<(), CollectorError> {
        Ok(())
    }
}

/// Makes the source.
pub(super) fn build(config: Config) -> Result<Arc<dyn Source>, CollectorError> {
    Err(CollectorError::Unavailable { name: config.name, reason: String::new() })
}
