//! How long topics keep their records, as far as the broker lets us see: DESCRIBE_CONFIGS on the topics.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::client::Client;
use store::board::Retention;

use crate::source::kafka::admin::{self, Settings};
use crate::source::kafka::client::Hearing;

/// In how many rounds it is asked once: every five minutes.
pub const EVERY_ROUNDS: u32 = 30;

/// Of how many topics it is asked: as many as pages show. The first by name.
const TOPICS_MAX: usize = 1_000;

/// How many topics are asked for in one request.
const AT_ONCE: usize = 100;

/// How long these topics keep their records; those of which it can't be seen are left out. Blocks.
pub fn told<'a>(
    client: &Client<Hearing>,
    topics: impl Iterator<Item = &'a str>,
    within: Duration,
) -> BTreeMap<String, Retention> {
    let until = Instant::now() + within;
    let topics: Vec<&str> = topics.take(TOPICS_MAX).collect();
    let mut told = BTreeMap::new();
    for some in topics.chunks(AT_ONCE) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let settings = admin::topic_settings(client, some, left);
        told.extend(settings.into_iter().filter_map(|(topic, settings)| Some((topic, read(&settings)?))));
    }
    told
}

fn read(settings: &Settings) -> Option<Retention> {
    // -1 stands for no limit.
    let limit = |name| settings.get(name)?.parse::<i64>().ok().map(|limit| u64::try_from(limit).ok());
    let policy = settings.get("cleanup.policy")?;
    let is_deleted = policy.contains("delete");
    Some(Retention {
        ms: limit("retention.ms")?.filter(|_| is_deleted),
        bytes: limit("retention.bytes")?.filter(|_| is_deleted),
        is_compacted: policy.contains("compact"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entries: &[(&str, &str)]) -> Option<Retention> {
        read(&entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
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
