//! Which headers conventions add to a dead letter. Without them a redriven message has the headers that its origin had.
//!
//! Names that belong to one framework only go from every dead letter. Those that an application might use for itself go only where that
//! convention was recognised.

use crate::record::Header;

/// The header that counts how often a message was redriven.
pub const REDRIVE_COUNT: &str = "sillage-redrive-count";

/// The header that says which redrive sent a message, and as which of its messages: `18b2c09f3a1d/7`.
pub const REDRIVE_ID: &str = "sillage-redrive-id";

/// Beginnings that one framework has for itself, in lower case: each framework adds more headers than those that tell us something.
const BEGINNINGS: [&str; 12] = [
    "kafka_dlt-",
    "kafka_original-",
    "kafka_exception-",
    "kafka_key-exception-",
    "retry_topic-",
    "__connect.errors.",
    "__streams.errors.",
    "delayed-retry-",
    "mt-fault-",
    "nservicebus.exceptioninfo.",
    "rbs2-error-",
    "sillage-redrive-",
];

/// What one convention adds, in lower case; `*` at the end stands for anything.
const BY_CONVENTION: &[(&str, &[&str])] = &[
    ("Spring Cloud Stream", &["x-original-*", "x-exception-*"]),
    (
        "By hand",
        &[
            "x-original-*",
            "x-error*",
            "x-exception*",
            "x-dlq-*",
            "dlq-*",
            "x-failed-*",
            "x-failure-*",
            "x-dead-letter-*",
            "x-consumer-group",
            "x-retry-count",
            "x-attempts",
            "x-stack*",
            "original_*",
            "original-*",
            "error_*",
            "error-*",
            "retry_count",
            "retry-count",
            "failed_at",
        ],
    ),
    ("SmallRye dead letter", &["dead-letter-*"]),
    ("MassTransit", &["mt-reason", "mt-redelivery-count"]),
    (
        "NServiceBus",
        &["nservicebus.failedq", "nservicebus.retries", "nservicebus.retries.timestamp", "nservicebus.flretries"],
    ),
    ("Rebus", &["rbs2-source-queue", "rbs2-delivery-count", "rbs2-defer-count"]),
    (
        "Karafka",
        &[
            "source_topic",
            "source_partition",
            "source_offset",
            "source_consumer_group",
            "source_attempts",
            "source_trace_id",
        ],
    ),
    (
        "Watermill",
        &[
            "reason_poisoned",
            "topic_poisoned",
            "handler_poisoned",
            "subscriber_poisoned",
            "_watermill_requeuer_retries",
            "_watermill_delayed_until",
            "_watermill_delayed_for",
        ],
    ),
    ("CAP", &["cap-exception"]),
    ("Wolverine", &["exception-type", "exception-message"]),
];

/// Whether a convention, or an earlier redrive, added a header of that name.
pub fn is_added(convention: &str, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let own = BY_CONVENTION.iter().filter(|(of, _)| *of == convention).flat_map(|(_, names)| names.iter());
    let matches = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == **pattern,
    };
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) || own.into_iter().any(matches)
}

/// What [`REDRIVE_ID`] says of one message of a redrive.
pub fn id_of(id: &str, number: usize) -> Header {
    Header { name: REDRIVE_ID.to_owned(), value: Some(format!("{id}/{number}").into()) }
}

/// Which message of a redrive headers say that this is; `None` where they say it of another one, or nothing.
pub fn number_in(headers: &[Header], id: &str) -> Option<usize> {
    let told = headers.iter().filter(|header| header.name == REDRIVE_ID);
    let texts = told.filter_map(|header| std::str::from_utf8(header.value.as_ref()?).ok());
    texts.filter_map(|text| text.strip_prefix(id)?.strip_prefix('/')?.parse().ok()).next_back()
}

/// Whether headers say that a redrive sent a message.
pub fn is_redriven(headers: &[Header]) -> bool {
    headers.iter().any(|header| header.name == REDRIVE_ID)
}

/// How often headers say that a message was redriven; 0 where they say nothing that can be read.
pub fn redrives(headers: &[Header]) -> u32 {
    let told = headers.iter().rev().find(|header| header.name == REDRIVE_COUNT);
    let text = told.and_then(|header| std::str::from_utf8(header.value.as_ref()?).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}
