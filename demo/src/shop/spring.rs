//! Retry and dead-letter headers as Spring for Apache Kafka writes them, byte for byte.
//!
//! Two writers share a shop like this one. `@RetryableTopic` writes `kafka_original-*` once and never replaces it,
//! replaces `kafka_exception-*`, and appends one more `retry_topic-*` at every hop, the dead-letter topic included.
//! The plain `DeadLetterPublishingRecoverer` writes `kafka_dlt-*`. Numbers are big-endian: partitions and attempts in
//! 4 bytes, offsets and timestamps in 8, except the two `retry_topic-*-timestamp`, which are `BigInteger` bytes.
//!
//! Sources: spring-projects/spring-kafka : support/KafkaHeaders.java, retrytopic/RetryTopicHeaders.java,
//! retrytopic/DeadLetterPublishingRecovererFactory.java, listener/DeadLetterPublishingRecoverer.java.

use super::record::{Headers, Record};

const ATTEMPTS: &str = "retry_topic-attempts";
const BACKOFF_TIMESTAMP: &str = "retry_topic-backoff-timestamp";
const ORIGINAL_TIMESTAMP: &str = "retry_topic-original-timestamp";

/// The wrapper that Spring reports as the exception; the reason is its cause.
const WRAPPER: &str = "org.springframework.kafka.listener.ListenerExecutionFailedException";

/// What made a listener fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exception's class.
    pub(crate) class: &'static str,
    pub(crate) message: String,
    /// The innermost frames, as `class.method(File.java:line)`.
    pub(crate) frames: &'static [&'static str],
}

impl Failure {
    fn stack_trace(&self) -> String {
        let mut trace = format!("{WRAPPER}: Listener failed");
        trace.push_str("\n\tat org.springframework.kafka.listener.KafkaMessageListenerContainer$ListenerConsumer.decorateException(KafkaMessageListenerContainer.java:2994)");
        trace.push_str(&format!("\nCaused by: {}: {}", self.class, self.message));
        for frame in self.frames {
            trace.push_str("\n\tat ");
            trace.push_str(frame);
        }
        trace.push_str("\n\t... 11 more\n");
        trace
    }
}

/// The headers of a record's next stop after a failed attempt: the retry topic or the dead-letter topic.
///
/// `not_before_ms` is when the next attempt is due, in ms since the epoch; for a dead letter it is now.
pub(crate) fn forwarded(record: &Record, failure: &Failure, group: &str, not_before_ms: i64) -> Headers {
    let mut headers = record.headers.clone();
    let original_timestamp = match headers.last(ORIGINAL_TIMESTAMP) {
        Some(bytes) => bytes.to_vec(),
        None => big_integer(record.timestamp_ms),
    };
    if headers.last("kafka_original-topic").is_none() {
        headers.push("kafka_original-topic", record.topic.as_bytes());
        headers.push("kafka_original-partition", record.partition.to_be_bytes());
        headers.push("kafka_original-offset", record.offset.to_be_bytes());
        headers.push("kafka_original-timestamp", record.timestamp_ms.to_be_bytes());
        headers.push("kafka_original-timestamp-type", *b"CreateTime");
        headers.push("kafka_dlt-original-consumer-group", group.as_bytes());
    }
    write_failure(&mut headers, "kafka_exception-", failure);
    let next_attempt = attempt(record) + 1;
    headers.push(ORIGINAL_TIMESTAMP, original_timestamp);
    headers.push(ATTEMPTS, next_attempt.to_be_bytes());
    headers.push(BACKOFF_TIMESTAMP, big_integer(not_before_ms));
    headers
}

/// The headers of a dead letter that was never retried, as `DeadLetterPublishingRecoverer` alone writes them.
pub(crate) fn dead_letter(record: &Record, failure: &Failure, group: &str) -> Headers {
    let mut headers = record.headers.clone();
    headers.push("kafka_dlt-original-topic", record.topic.as_bytes());
    headers.push("kafka_dlt-original-partition", record.partition.to_be_bytes());
    headers.push("kafka_dlt-original-offset", record.offset.to_be_bytes());
    headers.push("kafka_dlt-original-timestamp", record.timestamp_ms.to_be_bytes());
    headers.push("kafka_dlt-original-timestamp-type", *b"CreateTime");
    headers.push("kafka_dlt-original-consumer-group", group.as_bytes());
    write_failure(&mut headers, "kafka_dlt-exception-", failure);
    headers
}

/// Which attempt this delivery is: 1 for a record that was never retried.
pub(crate) fn attempt(record: &Record) -> i32 {
    match record.headers.last(ATTEMPTS) {
        Some([one]) => i32::from(*one), // as old versions wrote it
        Some(bytes) => bytes.try_into().map_or(1, i32::from_be_bytes).max(1),
        None => 1,
    }
}

/// When a retry is due, in ms since the epoch.
pub(crate) fn not_before_ms(record: &Record) -> Option<i64> {
    record.headers.last(BACKOFF_TIMESTAMP).and_then(from_big_integer)
}

fn write_failure(headers: &mut Headers, prefix: &str, failure: &Failure) {
    headers.replace(&format!("{prefix}fqcn"), WRAPPER);
    headers.replace(&format!("{prefix}cause-fqcn"), failure.class);
    headers.replace(&format!("{prefix}message"), format!("Listener failed; {}", failure.message));
    headers.replace(&format!("{prefix}stacktrace"), failure.stack_trace());
}

/// Java's `BigInteger.toByteArray`: two's complement, big-endian, as few bytes as hold the number and its sign.
fn big_integer(number: i64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let sign = if number < 0 { 0xff } else { 0x00 };
    let redundant = bytes.windows(2).take_while(|pair| pair[0] == sign && (pair[1] ^ sign) & 0x80 == 0).count();
    bytes[redundant..].to_vec()
}

fn from_big_integer(bytes: &[u8]) -> Option<i64> {
    let first = *bytes.first()?;
    if bytes.len() > 8 {
        return None;
    }
    let mut whole = [if first & 0x80 == 0 { 0x00 } else { 0xff }; 8];
    whole[8 - bytes.len()..].copy_from_slice(bytes);
    Some(i64::from_be_bytes(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(headers: Headers) -> Record {
        Record {
            topic: "order.placed".into(),
            partition: 2,
            offset: 48_213,
            timestamp_ms: 1_764_000_000_000,
            key: Some("order-48213".into()),
            payload: b"{}".to_vec(),
            headers,
        }
    }

    fn failure(message: &str) -> Failure {
        Failure {
            class: "shop.GatewayTimeout",
            message: message.into(),
            frames: &["shop.Gateway.charge(Gateway.java:41)"],
        }
    }

    #[test]
    fn a_big_integer_takes_as_few_bytes_as_java_would_write() {
        let check = |number: i64, bytes: &[u8]| {
            assert_eq!(big_integer(number), bytes, "{number}");
            assert_eq!(from_big_integer(bytes), Some(number), "{bytes:?}");
        };
        check(0, &[0x00]);
        check(1, &[0x01]);
        check(127, &[0x7f]);
        check(128, &[0x00, 0x80]);
        check(255, &[0x00, 0xff]);
        check(256, &[0x01, 0x00]);
        check(-1, &[0xff]);
        check(-128, &[0x80]);
        check(-129, &[0xff, 0x7f]);
        check(1_764_000_000_000, &[0x01, 0x9a, 0xb6, 0x97, 0xe8, 0x00]);
        check(i64::MAX, &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        check(i64::MIN, &[0x80, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(from_big_integer(&[]), None);
        assert_eq!(from_big_integer(&[0; 9]), None);
    }

    #[test]
    fn the_first_retry_names_its_origin_in_spring_s_encodings() {
        let headers = forwarded(&record(Headers::default()), &failure("no answer"), "billing", 1_764_000_001_000);
        assert_eq!(headers.last("kafka_original-topic"), Some(&b"order.placed"[..]));
        assert_eq!(headers.last("kafka_original-partition"), Some(&[0, 0, 0, 2][..]));
        assert_eq!(headers.last("kafka_original-offset"), Some(&[0, 0, 0, 0, 0, 0, 0xbc, 0x55][..]));
        assert_eq!(headers.last("kafka_original-timestamp"), Some(&1_764_000_000_000_i64.to_be_bytes()[..]));
        assert_eq!(headers.last("kafka_dlt-original-consumer-group"), Some(&b"billing"[..]));
        assert_eq!(headers.last("retry_topic-attempts"), Some(&[0, 0, 0, 2][..]));
        assert_eq!(headers.last("retry_topic-original-timestamp").map(<[u8]>::len), Some(6));
        assert_eq!(headers.last("kafka_exception-cause-fqcn"), Some(&b"shop.GatewayTimeout"[..]));
        assert_eq!(headers.last("kafka_exception-message"), Some(&b"Listener failed; no answer"[..]));
        assert_eq!(not_before_ms(&record(headers)), Some(1_764_000_001_000));
    }

    #[test]
    fn further_attempts_keep_the_origin_and_append_their_number() {
        let first = forwarded(&record(Headers::default()), &failure("first"), "billing", 1);
        let mut retried = record(first);
        retried.topic = "order.placed-retry".into();
        retried.offset = 7;
        assert_eq!(attempt(&retried), 2);
        let second = forwarded(&retried, &failure("second"), "billing", 2);
        assert_eq!(second.all("kafka_original-topic"), [b"order.placed"]);
        assert_eq!(second.all("kafka_original-offset"), [48_213_i64.to_be_bytes()]);
        assert_eq!(second.all("retry_topic-attempts"), [2_i32.to_be_bytes(), 3_i32.to_be_bytes()]);
        assert_eq!(second.all("retry_topic-original-timestamp").len(), 2);
        assert_eq!(second.all("kafka_exception-message"), [b"Listener failed; second"]);
        assert_eq!(attempt(&record(second)), 3);
    }

    #[test]
    fn an_attempt_number_is_read_in_the_old_and_the_new_form() {
        let check = |value: &[u8], expected| {
            let mut headers = Headers::default();
            headers.push(ATTEMPTS, value);
            assert_eq!(attempt(&record(headers)), expected, "{value:?}");
        };
        check(&[3], 3);
        check(&[0, 0, 0, 3], 3);
        check(&[0, 0, 0, 0], 1);
        check(b"three", 1);
        assert_eq!(attempt(&record(Headers::default())), 1);
    }

    #[test]
    fn a_dead_letter_tells_class_message_and_stack_trace() {
        let headers = dead_letter(&record(Headers::default()), &failure("no JSON"), "inventory");
        assert_eq!(headers.last("kafka_dlt-original-partition"), Some(&[0, 0, 0, 2][..]));
        assert_eq!(headers.last("kafka_dlt-original-offset").map(<[u8]>::len), Some(8));
        let trace = String::from_utf8(headers.last("kafka_dlt-exception-stacktrace").unwrap().to_vec()).unwrap();
        assert!(
            trace.contains("Caused by: shop.GatewayTimeout: no JSON\n\tat shop.Gateway.charge(Gateway.java:41)"),
            "{trace}"
        );
        assert_eq!(headers.last("retry_topic-attempts"), None);
    }
}
