//! Which of librdkafka's settings may be set, and where secrets come from.
//!
//! An allow-list, because other settings would make us commit, join a group or read without checking.

use std::collections::BTreeMap;

use crate::error::CollectorError;
use crate::source::kafka::token;
use crate::source::secret;

/// What may be set (librdkafka : CONFIGURATION.md). How we identify ourselves and how we reach the brokers, and how much we fetch at once.
const ALLOWED: &[&str] = &[
    "security.protocol",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.key.location",
    "ssl.key.pem",
    "ssl.key.password",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.crl.location",
    "ssl.cipher.suites",
    "ssl.curves.list",
    "ssl.sigalgs.list",
    "ssl.endpoint.identification.algorithm",
    "enable.ssl.certificate.verification",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "sasl.oauthbearer.token",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.scope",
    "https.ca.location",
    "client.id",
    "client.rack",
    "client.dns.lookup",
    "broker.address.family",
    "broker.address.ttl",
    "socket.timeout.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.receive.buffer.bytes",
    "connections.max.idle.ms",
    "reconnect.backoff.ms",
    "reconnect.backoff.max.ms",
    "fetch.min.bytes",
    "fetch.wait.max.ms",
    "fetch.max.bytes",
    "max.partition.fetch.bytes",
    "receive.message.max.bytes",
    "queued.max.messages.kbytes",
];

/// What must come from a file or the environment, so that no configuration file holds it.
const SECRET: &[&str] = &[
    "sasl.password",
    "sasl.oauthbearer.token",
    "sasl.oauthbearer.client.secret",
    "ssl.key.password",
    "ssl.keystore.password",
    "ssl.key.pem",
];

/// How we can identify ourselves. (Kerberos needs a library that one program without dependencies doesn't bring.)
const MECHANISMS: &[&str] = &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", token::MECHANISM];

/// What people may try to set, and why it can't be: each would break the promise that we disturb nothing.
const REFUSED: &[(&str, &str)] = &[
    ("bootstrap.servers", "write it as `brokers`"),
    ("group.id", "Sillage reads with a group id of its own, and leaves no group behind"),
    ("group.instance.id", "Sillage joins no group"),
    ("enable.auto.commit", "Sillage never commits"),
    ("enable.auto.offset.store", "Sillage never commits"),
    ("auto.offset.reset", "where to begin is said by `from`, and a jump must never be silent"),
    ("isolation.level", "write it as `transactions`"),
    ("check.crcs", "every record is checked"),
];

/// Checks names and the form of secrets, without reading them. `named` is the key that they stand under.
pub fn check(source: &str, named: &str, options: &BTreeMap<String, String>) -> Result<(), CollectorError> {
    for (key, value) in options {
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| refused == key) {
            return Err(CollectorError::Config(format!("source `{source}`: `{key}` can't be set in `{named}`: {why}")));
        }
        if !ALLOWED.contains(&key.as_str()) {
            let meant = nearest(key).map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
            return Err(CollectorError::Config(format!(
                "source `{source}`: `{key}` is none of the settings that `{named}` takes{meant}"
            )));
        }
        if matches!(key.as_str(), "sasl.mechanism" | "sasl.mechanisms") && !MECHANISMS.contains(&value.as_str()) {
            return Err(CollectorError::Config(format!(
                "source `{source}`: `{key}` in `{named}` is one of {}, not `{value}`",
                MECHANISMS.join(", ")
            )));
        }
        if SECRET.contains(&key.as_str()) && !secret::is_elsewhere(value) {
            return Err(CollectorError::Config(format!(
                "source `{source}`: `{key}` in `{named}` is a secret: write \"file:/path/to/it\" or \"env:NAME\", not the secret itself"
            )));
        }
    }
    Ok(())
}

/// The options with their secrets read.
pub fn read(
    source: &str,
    named: &str,
    options: &BTreeMap<String, String>,
) -> Result<Vec<(String, String)>, CollectorError> {
    check(source, named, options)?;
    options.iter().map(|(key, value)| Ok((key.clone(), secret::read(source, key, value)?))).collect()
}

/// The allowed name that differs least, where it is near enough to be meant.
fn nearest(key: &str) -> Option<&'static str> {
    let (distance, near) = ALLOWED.iter().map(|allowed| (distance(key, allowed), *allowed)).min()?;
    (distance <= 4).then_some(near)
}

/// How many letters must be added, removed or changed (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().take(100).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(key: &str, value: &str) -> String {
        let options = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        check("main", "options", &options).unwrap_err().to_string()
    }

    #[test]
    fn what_would_disturb_others_can_not_be_set() {
        assert!(refusal("group.id", "billing").contains("no group"));
        assert!(refusal("enable.auto.commit", "true").contains("never commits"));
        assert!(refusal("auto.offset.reset", "earliest").contains("`from`"));
    }

    #[test]
    fn a_misspelt_setting_is_told_with_what_was_meant() {
        assert!(refusal("sasl.mecanism", "PLAIN").contains("did you mean `sasl.mechanism`?"));
        assert!(!refusal("plugin.library.paths", "/tmp/evil.so").contains("did you mean"));
    }

    #[test]
    fn a_way_to_identify_that_there_is_not_is_told_with_those_that_there_are() {
        assert!(refusal("sasl.mechanism", "GSSAPI").contains("SCRAM-SHA-512"));
        assert!(refusal("sasl.mechanism", "scram-sha-256").contains("SCRAM-SHA-256"));
    }

    #[test]
    fn a_secret_in_the_file_itself_is_refused_without_being_shown() {
        let refusal = refusal("sasl.password", "hunter2");
        assert!(refusal.contains("file:") && !refusal.contains("hunter2"), "{refusal}");
    }
}
