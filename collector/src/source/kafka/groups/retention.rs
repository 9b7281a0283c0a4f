//! How long topics keep their records, as far as the broker lets us see: DESCRIBE_CONFIGS on the topics.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};
use store::board::Retention;
use tokio::runtime::Handle;

use crate::source::kafka::client::Hearing;

/// In how many rounds it is asked once: every five minutes.
pub const EVERY_ROUNDS: u32 = 30;

/// Of how many topics it is asked: as many as pages show. The first by name.
const TOPICS_MAX: usize = 1_000;

/// How many topics are asked for in one request.
const AT_ONCE: usize = 100;

/// How long these topics keep their records; those of which it can't be seen are left out. Blocks. The client lives for this one
/// question.
pub fn told<'a>(
    client_config: &ClientConfig,
    runtime: &Handle,
    topics: impl Iterator<Item = &'a str>,
    within: Duration,
) -> BTreeMap<String, Retention> {
    let mut told = BTreeMap::new();
    let admin: AdminClient<Hearing> = match client_config.create_with_context(Hearing::default()) {
        Ok(admin) => admin,
        Err(error) => {
            tracing::debug!(%error, "no client to ask for retention");
            return told;
        }
    };
    let options = AdminOptions::new().request_timeout(Some(within));
    let topics: Vec<ResourceSpecifier<'_>> = topics.take(TOPICS_MAX).map(ResourceSpecifier::Topic).collect();
    for some in topics.chunks(AT_ONCE) {
        let Ok(answers) = runtime.block_on(admin.describe_configs(some, &options)) else { return told };
        for answer in answers.into_iter().flatten() {
            if let (OwnedResourceSpecifier::Topic(topic), Some(retention)) = (&answer.specifier, read(&answer)) {
                told.insert(topic.clone(), retention);
            }
        }
    }
    told
}

fn read(resource: &ConfigResource) -> Option<Retention> {
    let value = |name: &str| resource.get(name).and_then(|entry| entry.value.as_deref());
    // -1 stands for no limit.
    let limit = |text: &str| text.parse::<i64>().ok().map(|limit| u64::try_from(limit).ok());
    let policy = value("cleanup.policy")?;
    let is_deleted = policy.contains("delete");
    Some(Retention {
        ms: limit(value("retention.ms")?)?.filter(|_| is_deleted),
        bytes: limit(value("retention.bytes")?)?.filter(|_| is_deleted),
        is_compacted: policy.contains("compact"),
    })
}

#[cfg(test)]
mod tests {
    use rdkafka::admin::{ConfigEntry, ConfigSource};

    use super::*;

    fn check(entries: &[(&str, &str)]) -> Option<Retention> {
        let entry = |(name, value): &(&str, &str)| ConfigEntry {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            source: ConfigSource::Default,
            is_read_only: false,
            is_default: true,
            is_sensitive: false,
        };
        let specifier = OwnedResourceSpecifier::Topic("orders".to_owned());
        read(&ConfigResource { specifier, entries: entries.iter().map(entry).collect() })
    }

    #[test]
    fn retention_is_what_the_topic_says_and_no_limit_is_none() {
        let week = [("cleanup.policy", "delete"), ("retention.ms", "604800000"), ("retention.bytes", "-1")];
        assert_eq!(check(&week), Some(Retention { ms: Some(604_800_000), bytes: None, is_compacted: false }));
        let compacted = [("cleanup.policy", "compact"), ("retention.ms", "604800000"), ("retention.bytes", "9")];
        assert_eq!(check(&compacted), Some(Retention { ms: None, bytes: None, is_compacted: true }));
        assert_eq!(check(&[]), None);
    }
}
