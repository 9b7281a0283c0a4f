//! Which topics we may not read, or may not even see, and what to ask for.
//!
//! A broker leaves topics that we have no right to DESCRIBE out of its list, without a word; a fetch without the right to READ is
//! refused, without the topic's name. So named topics that aren't listed are asked for one by one, and after a refusal the broker is
//! asked for our rights.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use super::Observer;
use crate::source::kafka::admin;
use crate::source::kafka::client::Hearing;

/// How long a question may take. We don't poll meanwhile.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// How many named topics that aren't listed are asked for at one survey, and how many topics a sentence names.
const NAMED_MAX: usize = 5;

pub(super) const NO_GROUPS: &str =
    "we have no right to DESCRIBE consumer groups: grant it, so that their lag can be seen; records are read without";

impl Observer {
    /// What of the topics that are meant can't be read, in a sentence that says what to do; `None` where all of it can.
    pub(super) fn missing(
        &mut self,
        consumer: &BaseConsumer<Hearing>,
        listed: &BTreeMap<String, Vec<i32>>,
    ) -> Option<String> {
        let mut says = Vec::new();
        if self.refused {
            let names: Vec<&str> = listed.keys().map(String::as_str).collect();
            let unreadable = admin::unreadable(consumer.client(), &names, ANSWER_WITHIN);
            self.refused = !unreadable.is_empty();
            if self.refused {
                says.push(format!("we have no right to read {}: grant READ on it to our user", some(&unreadable)));
            }
        }
        let (mut unseen, mut absent) = (Vec::new(), Vec::new());
        let unlisted = self.watch.selection.named().filter(|name| !listed.contains_key(*name)).take(NAMED_MAX);
        for name in unlisted {
            let answer = consumer.fetch_metadata(Some(name), ANSWER_WITHIN);
            let error = answer.as_ref().ok().and_then(|metadata| metadata.topics().first()?.error());
            match error.map(RDKafkaErrorCode::from) {
                Some(RDKafkaErrorCode::TopicAuthorizationFailed) => unseen.push(name.to_owned()),
                Some(RDKafkaErrorCode::UnknownTopicOrPartition) => absent.push(name.to_owned()),
                _ => {} // it is being made, or nobody leads it now
            }
        }
        if !unseen.is_empty() {
            says.push(format!(
                "we have no right to see {}: grant DESCRIBE and READ on it to our user, or take it out of `topics`",
                some(&unseen)
            ));
        }
        if !absent.is_empty() {
            says.push(format!("there is no {}: correct `topics`, unless it is made later", some(&absent)));
        }
        (!says.is_empty()).then(|| says.join("; "))
    }
}

fn some(names: &[String]) -> String {
    let named: Vec<String> = names.iter().take(NAMED_MAX).map(|name| format!("topic `{name}`")).collect();
    let more = names.len().saturating_sub(NAMED_MAX);
    if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", ") }
}
