//! One test a convention, with the bytes that the framework writes.

use bytes::Bytes;
use store::record::{Fate, Header};

use super::*;

fn header(name: &str, value: &[u8]) -> Header {
    Header { name: name.to_owned(), value: Some(Bytes::copy_from_slice(value)) }
}

fn check(channel: &str, headers: &[(&str, &[u8])]) -> Failure {
    let headers: Vec<Header> = headers.iter().map(|(name, value)| header(name, value)).collect();
    read(&[], channel, &headers).expect("recognised")
}

fn origin(failure: &Failure) -> (Option<&str>, Option<i32>, Option<i64>, Option<i64>) {
    let origin = failure.origin.as_ref().expect("an origin");
    (origin.channel.as_deref(), origin.partition, origin.offset, origin.timestamp.map(Timestamp::as_millis))
}

const MILLIS: i64 = 1_795_442_531_541;

/// Java's `BigInteger.valueOf(millis).toByteArray()`: today's times take six bytes.
fn big_integer(millis: i64) -> Vec<u8> {
    millis.to_be_bytes()[2..].to_vec()
}

#[test]
fn spring_dead_letters_name_their_first_origin_and_their_latest_cause() {
    let failure = check(
        "orders-dlt",
        &[
            ("kafka_dlt-original-topic", b"orders"),
            ("kafka_dlt-original-partition", &3_i32.to_be_bytes()),
            ("kafka_dlt-original-offset", &48_213_i64.to_be_bytes()),
            ("kafka_dlt-original-timestamp", &MILLIS.to_be_bytes()),
            ("kafka_dlt-original-timestamp-type", b"CreateTime"),
            ("kafka_dlt-original-consumer-group", b"billing"),
            ("kafka_dlt-exception-fqcn", b"org.springframework.kafka.listener.ListenerExecutionFailedException"),
            ("kafka_dlt-exception-cause-fqcn", b"com.acme.NoFunds"),
            ("kafka_dlt-exception-message", b"no funds"),
            ("kafka_dlt-exception-stacktrace", b"com.acme.NoFunds: no funds\n\tat com.acme.Billing"),
            // The second hop is appended: where it came from last.
            ("kafka_dlt-original-topic", b"orders-redo"),
            ("kafka_dlt-original-partition", &0_i32.to_be_bytes()),
            ("kafka_dlt-original-offset", &7_i64.to_be_bytes()),
        ],
    );
    assert_eq!(failure.fate, Fate::DeadLetter);
    assert_eq!(origin(&failure), (Some("orders"), Some(3), Some(48_213), Some(MILLIS)));
    assert_eq!(failure.group.as_deref(), Some("billing"));
    assert_eq!(failure.exception.as_deref(), Some("com.acme.NoFunds"), "the cause, not Spring's wrapper");
    assert_eq!(failure.message.as_deref(), Some("no funds"));
    assert!(failure.stack_trace.unwrap().contains("com.acme.Billing"));
    assert!(!failure.guessed && failure.convention.starts_with("Spring"));
}

#[test]
fn spring_key_failures_are_told_too() {
    let failure = check("a-dlt", &[("kafka_dlt-original-topic", b"a"), ("kafka_dlt-key-exception-fqcn", b"BadKey")]);
    assert_eq!(failure.exception.as_deref(), Some("BadKey"));
}

#[test]
fn spring_retry_topics_count_attempts_in_their_last_header() {
    let headers: &[(&str, &[u8])] = &[
        ("kafka_original-topic", b"orders"),
        ("kafka_original-partition", &3_i32.to_be_bytes()),
        ("kafka_original-offset", &48_213_i64.to_be_bytes()),
        ("kafka_original-timestamp", &MILLIS.to_be_bytes()),
        ("kafka_dlt-original-consumer-group", b"billing"),
        ("kafka_exception-fqcn", b"org.springframework.kafka.listener.ListenerExecutionFailedException"),
        ("kafka_exception-cause-fqcn", b"com.acme.Timeout"),
        ("kafka_exception-message", b"late"),
        ("retry_topic-attempts", &2_i32.to_be_bytes()),
        ("retry_topic-original-timestamp", &big_integer(MILLIS)),
        ("retry_topic-backoff-timestamp", &big_integer(MILLIS + 1_000)),
        ("retry_topic-attempts", &3_i32.to_be_bytes()),
        ("retry_topic-backoff-timestamp", &big_integer(MILLIS + 3_000)),
    ];
    let failure = check("orders-retry-2000", headers);
    assert_eq!(failure.fate, Fate::Retry);
    assert_eq!(origin(&failure), (Some("orders"), Some(3), Some(48_213), Some(MILLIS)));
    assert_eq!((failure.attempts, failure.attempts_from.as_deref()), (Some(2), Some("retry_topic-attempts")));
    assert_eq!(failure.not_before, Some(Timestamp::from_millis(MILLIS + 3_000)));
    assert_eq!(failure.exception.as_deref(), Some("com.acme.Timeout"));
    assert_eq!(failure.group.as_deref(), Some("billing"));
    assert_eq!(check("orders-dlt", headers).fate, Fate::DeadLetter, "the same headers at the end of the road");
    let old = check("orders-retry", &[("retry_topic-attempts", &[2])]);
    assert_eq!(old.attempts, Some(1), "old versions wrote one byte");
}

#[test]
fn spring_cloud_stream_writes_binary_places() {
    let failure = check(
        "error.orders.billing",
        &[
            ("x-original-topic", b"orders"),
            ("x-original-partition", &1_i32.to_be_bytes()),
            ("x-original-offset", &12_i64.to_be_bytes()),
            ("x-original-timestamp", &MILLIS.to_be_bytes()),
            ("x-exception-fqcn", b"com.acme.NoFunds"),
            ("x-exception-message", b"no funds"),
            ("x-exception-stacktrace", b"at x"),
        ],
    );
    assert_eq!(failure.fate, Fate::DeadLetter);
    assert_eq!(origin(&failure), (Some("orders"), Some(1), Some(12), Some(MILLIS)));
    assert_eq!(failure.exception.as_deref(), Some("com.acme.NoFunds"));
    assert!(!failure.guessed, "headers win over names");
}

#[test]
fn kafka_connect_writes_text_and_the_last_hop_counts() {
    let failure = check(
        "sink-problems",
        &[
            ("__connect.errors.topic", b"older"),
            ("__connect.errors.topic", b"orders"),
            ("__connect.errors.partition", b"4"),
            ("__connect.errors.offset", b"12345678"),
            ("__connect.errors.connector.name", b"warehouse"),
            ("__connect.errors.exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
            ("__connect.errors.exception.message", b"bad schema"),
            ("__connect.errors.exception.stacktrace", b"at y"),
        ],
    );
    assert_eq!(origin(&failure), (Some("orders"), Some(4), Some(12_345_678), None), "eight digits are text here");
    assert_eq!(failure.group.as_deref(), Some("connect-warehouse"), "what its consumer group is called");
    assert_eq!(failure.message.as_deref(), Some("bad schema"));
}

#[test]
fn a_message_that_breaks_off_before_the_reason_goes_on_with_the_innermost_cause() {
    let stack = "o.DataException: failed:\n\tat x\nCaused by: o.SerializationException: j.JsonParseException\n\tat y\n\
                 Caused by: j.JsonParseException: Unexpected character ('t')\n\tat z\n\t... 20 more";
    let of = |message: &'static str| {
        let headers = [
            ("__connect.errors.topic", &b"orders"[..]),
            ("__connect.errors.exception.message", message.as_bytes()),
            ("__connect.errors.exception.stacktrace", stack.as_bytes()),
        ];
        check("sink-problems", &headers).message.unwrap()
    };
    assert_eq!(of("failed due to:"), "failed due to: j.JsonParseException: Unexpected character ('t')");
    assert_eq!(of("no stock"), "no stock");
}

#[test]
fn kafka_streams_has_names_of_its_own() {
    let failure = check(
        "streams-problems",
        &[
            ("__streams.errors.exception", b"java.lang.IllegalStateException"),
            ("__streams.errors.message", b"boom"),
            ("__streams.errors.stacktrace", b"at z"),
            ("__streams.errors.topic", b"orders"),
            ("__streams.errors.partition", b"0"),
            ("__streams.errors.offset", b"9"),
        ],
    );
    assert_eq!(origin(&failure), (Some("orders"), Some(0), Some(9), None));
    assert_eq!(failure.exception.as_deref(), Some("java.lang.IllegalStateException"));
}

#[test]
fn smallrye_puts_the_latest_hop_first() {
    let failure = check(
        "dead-letter-topic-prices",
        &[
            ("dead-letter-reason", b"no price"),
            ("dead-letter-exception-class-name", b"com.acme.NoPrice"),
            ("dead-letter-topic", b"prices"),
            ("dead-letter-partition", b"2"),
            ("dead-letter-offset", b"77"),
            ("dead-letter-topic", b"older"),
            ("dead-letter-offset", b"1"),
        ],
    );
    assert_eq!(failure.fate, Fate::DeadLetter);
    assert_eq!(origin(&failure), (Some("prices"), Some(2), Some(77), None));
    assert_eq!(
        (failure.exception.as_deref(), failure.message.as_deref()),
        (Some("com.acme.NoPrice"), Some("no price"))
    );
}

#[test]
fn smallrye_retries_are_counted() {
    let failure = check(
        "prices_retry_10000",
        &[
            ("delayed-retry-count", b"2"),
            ("delayed-retry-original-timestamp", b"1795442531541"),
            ("delayed-retry-reason", b"no price"),
            ("delayed-retry-exception-class-name", b"com.acme.NoPrice"),
            ("delayed-retry-topic", b"prices"),
            ("delayed-retry-partition", b"2"),
            ("delayed-retry-offset", b"77"),
        ],
    );
    assert_eq!(failure.fate, Fate::Retry);
    assert_eq!(origin(&failure), (Some("prices"), Some(2), Some(77), Some(MILLIS)));
    assert_eq!((failure.attempts, failure.attempts_from.as_deref()), (Some(2), Some("delayed-retry-count")));
}

#[test]
fn masstransit_faults_name_their_queue_by_address() {
    let failure = check(
        "billing_error",
        &[
            ("MT-Reason", b"fault"),
            ("MT-Fault-ExceptionType", b"System.TimeoutException"),
            ("MT-Fault-Message", b"late"),
            ("MT-Fault-ConsumerType", b"Acme.BillingConsumer"),
            ("MT-Fault-InputAddress", b"rabbitmq://localhost/shop/billing?durable=true"),
            ("MT-Fault-StackTrace", b"at Acme"),
            ("MT-Fault-RetryCount", b"3"),
        ],
    );
    assert_eq!(failure.fate, Fate::DeadLetter);
    assert_eq!(failure.origin.as_ref().unwrap().channel.as_deref(), Some("billing"));
    assert_eq!((failure.attempts, failure.group.as_deref()), (Some(3), Some("Acme.BillingConsumer")));
    assert_eq!(failure.exception.as_deref(), Some("System.TimeoutException"));
    assert_eq!(check("billing", &[("MT-Redelivery-Count", b"1")]).fate, Fate::Retry);
}

#[test]
fn nservicebus_failures_name_their_queue_and_their_delayed_retries() {
    let failure = check(
        "error",
        &[
            ("NServiceBus.FailedQ", b"billing"),
            ("NServiceBus.TimeOfFailure", b"2026-11-23 14:02:11:541000 Z"),
            ("NServiceBus.ExceptionInfo.ExceptionType", b"System.Exception"),
            ("NServiceBus.ExceptionInfo.Message", b"boom"),
            ("NServiceBus.ExceptionInfo.StackTrace", b"at Billing"),
            ("NServiceBus.Retries", b"3"),
            ("NServiceBus.FLRetries", b"5"),
        ],
    );
    assert_eq!(failure.fate, Fate::DeadLetter);
    assert_eq!(failure.origin.as_ref().unwrap().channel.as_deref(), Some("billing"));
    assert_eq!((failure.attempts, failure.attempts_from.as_deref()), (Some(3), Some("NServiceBus.Retries")));
    assert_eq!(check("billing", &[("NServiceBus.Retries", b"1")]).fate, Fate::Retry);
}

#[test]
fn rebus_keeps_the_whole_failure_in_one_text() {
    let details = b"1 unhandled exceptions\nSystem.AggregateException: One or more (x) ---> System.InvalidOperationException: no stock\n   at Shop";
    let failure = check(
        "error",
        &[("rbs2-error-details", details), ("rbs2-source-queue", b"stock"), ("rbs2-delivery-count", b"5")],
    );
    assert_eq!(failure.exception.as_deref(), Some("System.InvalidOperationException"));
    assert_eq!(failure.message.as_deref(), Some("no stock"));
    assert_eq!(failure.origin.as_ref().unwrap().channel.as_deref(), Some("stock"));
    assert_eq!(failure.attempts, Some(5));
    assert_eq!(check("stock", &[("rbs2-defer-count", b"1")]).fate, Fate::Retry);
}

#[test]
fn karafka_names_its_source() {
    let failure = check(
        "problems",
        &[
            ("source_topic", b"orders"),
            ("source_partition", b"5"),
            ("source_offset", b"8"),
            ("source_consumer_group", b"billing"),
            ("source_attempts", b"4"),
            ("source_trace_id", b"not-a-trace"),
        ],
    );
    assert_eq!(origin(&failure), (Some("orders"), Some(5), Some(8), None));
    assert_eq!((failure.attempts, failure.group.as_deref()), (Some(4), Some("billing")));
    assert!(read(&[], "orders", &[header("source_topic", b"x")]).is_none(), "one usual name alone proves nothing");
}

#[test]
fn watermill_poisons_and_requeues() {
    let failure = check(
        "poison-queue",
        &[("reason_poisoned", b"boom"), ("topic_poisoned", b"orders"), ("handler_poisoned", b"bill")],
    );
    assert_eq!(failure.fate, Fate::DeadLetter);
    assert_eq!((failure.message.as_deref(), failure.group.as_deref()), (Some("boom"), Some("bill")));
    assert_eq!(failure.origin.as_ref().unwrap().channel.as_deref(), Some("orders"));
    let again = check(
        "orders",
        &[("_watermill_requeuer_retries", b"2"), ("_watermill_delayed_until", b"2026-11-23T14:02:11.541Z")],
    );
    assert_eq!(
        (again.fate, again.attempts, again.not_before),
        (Fate::Retry, Some(2), Some(Timestamp::from_millis(MILLIS)))
    );
}

#[test]
fn cap_joins_type_and_message_by_an_arrow() {
    let failure = check("orders", &[("cap-exception", b"System.Exception-->no stock")]);
    assert_eq!(
        (failure.exception.as_deref(), failure.message.as_deref()),
        (Some("System.Exception"), Some("no stock"))
    );
}

#[test]
fn wolverine_is_known_by_two_headers_together() {
    let headers: &[(&str, &[u8])] = &[("exception-type", b"System.Exception"), ("exception-message", b"boom")];
    assert_eq!(check("wolverine-dead-letter-queue", headers).exception.as_deref(), Some("System.Exception"));
}

#[test]
fn uber_style_names_are_guessed() {
    let failure = check("orders__dlq", &[]);
    assert!(failure.guessed && failure.fate == Fate::DeadLetter);
    assert_eq!(check("orders__retry", &[]).fate, Fate::Retry);
}

#[test]
fn a_dead_letter_that_was_sent_back_is_a_further_attempt() {
    let failure = check("orders", &[("kafka_dlt-original-topic", b"orders"), ("kafka_dlt-exception-message", b"boom")]);
    assert_eq!(failure.fate, Fate::Retry);
}

#[test]
fn header_names_are_known_whatever_their_case() {
    assert_eq!(check("x", &[("KAFKA_DLT-ORIGINAL-TOPIC", b"orders")]).fate, Fate::DeadLetter);
}

#[test]
fn an_ordinary_record_did_not_fail() {
    assert!(read(&[], "orders", &[header("traceparent", b"x"), header("eventId", b"1")]).is_none());
    assert!(read(&[], "orders", &[]).is_none());
}

#[test]
fn numbers_of_the_wrong_length_are_left_out_and_the_rest_is_told() {
    let failure = check("a-dlt", &[("kafka_dlt-original-topic", b"a"), ("kafka_dlt-original-offset", b"12")]);
    assert_eq!(origin(&failure), (Some("a"), None, None, None));
}

#[test]
fn every_convention_is_proved_by_headers_that_it_has() {
    for convention in CONVENTIONS {
        for name in convention.marks.iter().flat_map(|mark| mark.split('|')) {
            assert!(convention.rows.iter().any(|row| row.name == name), "{}: {name}", convention.name);
        }
    }
}
