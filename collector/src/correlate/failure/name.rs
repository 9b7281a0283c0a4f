//! What a topic's name suggests, where no header speaks. A guess, and marked as one.
//!
//! The endings are those of Spring (`-dlt`, `.DLT`, `-retry-1000`), Uber (`__dlq`, `__retry`), MassTransit (`_error`), SmallRye
//! (`_retry_10000`) and of what teams call theirs; the beginnings those of SmallRye (`dead-letter-topic-<channel>`) and
//! Spring Cloud Stream (`error.<destination>.<group>`).

use store::record::{Failure, Fate, Origin};

/// Endings of dead-letter topics, in lower case, without what parts them from the topic they belong to.
const DEAD: [&str; 11] = [
    "dlt",
    "dlq",
    "deadletter",
    "dead-letter",
    "dead_letter",
    "dead.letter",
    "deadletters",
    "dead-letters",
    "error",
    "errors",
    "poison",
];

/// What may follow an ending that says "dead letter".
const DEAD_MORE: [&str; 4] = ["", "s", "-queue", "-topic"];

/// What the name of a topic suggests; `None` where it suggests nothing.
pub fn guess(channel: &str) -> Option<Failure> {
    let lower = channel.to_ascii_lowercase();
    if let Some(rest) = lower.strip_prefix("error.")
        && !rest.is_empty()
    {
        return Some(guessed(Fate::DeadLetter, None)); // destination and group can't be told apart
    }
    if lower.starts_with("dead-letter-topic-") {
        return Some(guessed(Fate::DeadLetter, None)); // what follows is SmallRye's channel, not a topic
    }
    if let Some(before) = dead(&lower) {
        return Some(guessed(Fate::DeadLetter, Some(&channel[..before])));
    }
    retry(&lower).map(|before| guessed(Fate::Retry, Some(&channel[..before])))
}

fn guessed(fate: Fate, origin: Option<&str>) -> Failure {
    let origin = origin.map(|channel| Origin { channel: Some(channel.to_owned()), ..Origin::default() });
    Failure {
        fate,
        origin,
        group: None,
        attempts: None,
        attempts_from: None,
        not_before: None,
        exception: None,
        message: None,
        stack_trace: None,
        convention: "topic name".into(),
        guessed: true,
    }
}

/// Where the name of the topic that a dead-letter topic belongs to ends.
fn dead(lower: &str) -> Option<usize> {
    DEAD.iter().find_map(|ending| {
        DEAD_MORE.iter().find_map(|more| {
            let before = lower.strip_suffix(more)?.strip_suffix(ending)?;
            // `dlq-topic` is one, `dltx` none; only the words that spell it out take a `-queue` or `-topic`.
            (more.is_empty() || ending.starts_with("dead") || *ending == "dlq").then_some(())?;
            parted(before)
        })
    })
}

/// Where the name of the topic that a retry topic belongs to ends: `retry`, then up to two numbers.
fn retry(lower: &str) -> Option<usize> {
    let mut rest = lower;
    for _ in 0..2 {
        let shorter = rest.trim_end_matches(|letter: char| letter.is_ascii_digit());
        if shorter.len() == rest.len() {
            break;
        }
        rest = shorter.strip_suffix(['-', '_', '.'])?;
    }
    parted(rest.strip_suffix("retry")?)
}

/// The length of a name without what parts it from its ending; `None` where nothing parts them, or nothing is left.
fn parted(before: &str) -> Option<usize> {
    let name = before.strip_suffix("__").or_else(|| before.strip_suffix(['-', '_', '.']))?;
    (!name.is_empty()).then_some(name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(channel: &str) -> Option<(Fate, Option<String>)> {
        guess(channel).map(|failure| {
            assert!(failure.guessed);
            (failure.fate, failure.origin.and_then(|origin| origin.channel))
        })
    }

    #[test]
    fn dead_letter_topics_are_guessed_by_their_endings() {
        for channel in [
            "orders-dlt",
            "orders.DLT",
            "orders_dlq",
            "orders__dlq",
            "orders.dead-letter",
            "orders-dead_letter",
            "orders-deadletters",
            "orders-dead-letter-queue",
            "orders-dead-letter-topic",
            "orders.errors",
            "orders_error",
            "orders-poison",
        ] {
            assert_eq!(check(channel), Some((Fate::DeadLetter, Some("orders".to_owned()))), "{channel}");
        }
    }

    #[test]
    fn two_frameworks_say_it_at_the_beginning() {
        assert_eq!(check("error.orders.billing"), Some((Fate::DeadLetter, None)));
        assert_eq!(check("dead-letter-topic-prices"), Some((Fate::DeadLetter, None)));
    }

    #[test]
    fn retry_topics_are_guessed_with_their_numbers() {
        for channel in [
            "orders-retry",
            "orders-retry-0",
            "orders-retry-1000",
            "orders-retry-1000-1",
            "orders_retry_10000",
            "orders__retry",
        ] {
            assert_eq!(check(channel), Some((Fate::Retry, Some("orders".to_owned()))), "{channel}");
        }
    }

    #[test]
    fn ordinary_topics_are_left_alone() {
        for channel in [
            "orders",
            "terror",
            "retry",
            "dlq",
            "-dlt",
            "orders-retrying",
            "adult",
            "errors",
            "orders-retry-a",
            "über-x",
            "__dlq",
        ] {
            assert_eq!(check(channel), None, "{channel}");
        }
    }
}
