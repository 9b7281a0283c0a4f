//! NATS JetStream, watched without a consumer.
//!
//! Messages are asked for one by one by their sequence (`$JS.API.STREAM.MSG.GET`), many at a time in flight. That leaves nothing on the server: no consumer whose acknowledgements
//! would change what an interest stream keeps, and none that a work-queue stream would refuse (nats-server : server/consumer.go).
//! It costs a request a message, and what a work queue's consumers finish before we look can't be seen; the board says so.
//!
//! Not for: consumers, their lag and their advisories, which are asked elsewhere.

#[cfg(feature = "nats")]
mod message; // one message, as JetStream's API hands it over
#[cfg(feature = "nats")]
mod stream; // one stream: where we are in it, and reading on
#[cfg(feature = "nats")]
mod tail; // all streams of a server, in turn

use std::sync::Arc;

use serde::Deserialize;

use crate::error::CollectorError;
use crate::source::from::From;
use crate::source::{Source, secret};

/// `[[source]]` with `type = "nats"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its name: part of every record's position, so it should not change.
    pub name: String,
    /// `nats://host:port` or `tls://host:port`, without a password.
    pub url: String,
    /// Which streams, by glob; `!` excludes. Object stores (`OBJ_...`) are read only if a pattern begins with `OBJ_` too.
    #[serde(default = "every")]
    pub topics: Vec<String>,
    /// Where to begin with a source that nothing is kept of yet.
    #[serde(default)]
    pub from: From,
    /// Which consumers' lag is watched, by glob.
    #[serde(default = "every")]
    pub groups: Vec<String>,
    /// A user, with `password`.
    #[serde(default)]
    pub user: Option<String>,
    /// Its password, as `file:...` or `env:...`.
    #[serde(default)]
    pub password: Option<String>,
    /// A token, as `file:...` or `env:...`.
    #[serde(default)]
    pub token: Option<String>,
    /// The path of a credentials file.
    #[serde(default)]
    pub credentials: Option<String>,
}

fn every() -> Vec<String> {
    vec!["*".to_owned()]
}

impl Config {
    /// Checks all keys, without asking the server and without reading secrets.
    pub fn check(&self) -> Result<(), CollectorError> {
        let wrong = |what: String| Err(CollectorError::Config(format!("source `{}`: {what}", self.name)));
        let Some((_, address)) = self.url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "nats" | "tls"))
        else {
            return wrong("`url` is no address of a NATS server: write `nats://localhost:4222`".to_owned());
        };
        if address.contains('@') {
            return wrong("`url` holds a secret: write it as `user` and `password`, or as `token`".to_owned());
        }
        for (key, value) in [("password", &self.password), ("token", &self.token)] {
            let Some(value) = value.as_deref() else { continue };
            if !secret::is_elsewhere(value) {
                return wrong(format!(
                    "`{key}` is a secret: write \"file:/path/to/it\" or \"env:NAME\", not the secret itself"
                ));
            }
            secret::read(&self.name, key, value)?;
        }
        if self.user.is_some() != self.password.is_some() {
            return wrong("`user` and `password` go together".to_owned());
        }
        Ok(())
    }
}

/// Makes the source.
#[cfg(feature = "nats")]
pub(super) fn build(config: Config) -> Result<Arc<dyn Source>, CollectorError> {
    Ok(Arc::new(tail::Nats::new(config)?))
}

/// Says what this build lacks.
#[cfg(not(feature = "nats"))]
pub(super) fn build(config: Config) -> Result<Arc<dyn Source>, CollectorError> {
    let reason = "this build lacks NATS: build it with the cargo feature `nats`".to_owned();
    Err(CollectorError::Unavailable { name: config.name, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(toml: &str) -> Result<(), String> {
        let config: Config = serde_json::from_str(toml).unwrap();
        config.check().map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_is_checked_and_never_holds_a_secret() {
        assert_eq!(check(r#"{"name":"n","url":"nats://localhost:4222"}"#), Ok(()));
        assert!(check(r#"{"name":"n","url":"localhost:4222"}"#).unwrap_err().contains("nats://localhost:4222"));
        let refusal = check(r#"{"name":"n","url":"nats://me:hunter2@localhost"}"#).unwrap_err();
        assert!(refusal.contains("secret") && !refusal.contains("hunter2"));
        assert!(check(r#"{"name":"n","url":"nats://a","token":"hunter2"}"#).unwrap_err().contains("file:"));
        assert!(check(r#"{"name":"n","url":"nats://a","user":"me"}"#).unwrap_err().contains("together"));
    }
}
