//! The conventions by which frameworks write retries and dead letters, one after the other in the order in which they are asked.
//!
//! Each names the headers that prove it, what becomes of the event, and its headers with their encodings.
//! A new convention is one entry here, and its test in `tests.rs` beside.

use store::record::Fate;

use crate::correlate::header::{Encoding, Take};

/// What a header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// Nothing but that the convention is at work.
    Mark,
    /// The channel it was on.
    Topic,
    /// The same, as the last part of an address.
    Address,
    /// The partition it was on.
    Partition,
    /// The offset it was at.
    Offset,
    /// The time it had; milliseconds, or text.
    Timestamp,
    /// The group (or consumer) that failed.
    Group,
    /// The sink connector that failed; its group is called after it (kafka : connect/util/SinkUtils.java).
    Connector,
    /// How many attempts were made.
    Attempts,
    /// Which attempt comes next: one more than were made (spring-kafka counts so, from 1 on).
    NextAttempt,
    /// Not to be tried again before.
    NotBefore,
    /// The exception's type. Where there are two rows, the cause comes first: frameworks wrap.
    Exception,
    /// Its message.
    Message,
    /// Its stack trace.
    StackTrace,
    /// Type, message and stack trace in one, as .NET prints them.
    Dotnet,
    /// Type and message in one, as CAP writes them.
    Cap,
}

/// One header of a convention.
#[derive(Debug)]
pub struct Row {
    /// Its name, as it is written; compared without regard to case.
    pub name: &'static str,
    /// How it is read.
    pub reading: Reading,
}

/// How one header is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// What it says.
    pub slot: Slot,
    /// How it is written.
    pub encoding: Encoding,
    /// Which occurrence counts.
    pub take: Take,
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug)]
pub enum FateBy {
    /// Always this.
    Always(Fate),
    /// The headers are the same for both: the topic's name tells, and where it doesn't, it is a retry.
    Name,
}

/// One convention.
#[derive(Debug)]
pub struct Convention {
    /// What it is called.
    pub name: &'static str,
    /// The headers that prove it: all of these must be there; `a|b` for either.
    pub marks: &'static [&'static str],
    /// What becomes of the event.
    pub fate: FateBy,
    /// Its headers; where two say the same, the first that is there wins.
    pub rows: &'static [Row],
}

const fn text(name: &'static str, slot: Slot, take: Take) -> Row {
    Row { name, reading: Reading { slot, encoding: Encoding::Text, take } }
}

const fn binary(name: &'static str, slot: Slot, encoding: Encoding, take: Take) -> Row {
    Row { name, reading: Reading { slot, encoding, take } }
}

use Encoding::{BigInteger, Int32, Int64};
use Take::{First, Last};

const DEAD: FateBy = FateBy::Always(Fate::DeadLetter);
const RETRY: FateBy = FateBy::Always(Fate::Retry);

/// All conventions, the more telling ones first.
pub const CONVENTIONS: &[Convention] = &[
    // spring-kafka : support/KafkaHeaders.java, listener/DeadLetterRecordManager.java. Original headers are appended at each hop: the
    // first is the origin. Of exception headers only the latest is kept.
    Convention {
        name: "Spring dead letter",
        marks: &["kafka_dlt-original-topic"],
        fate: DEAD,
        rows: &[
            text("kafka_dlt-original-topic", Slot::Topic, First),
            binary("kafka_dlt-original-partition", Slot::Partition, Int32, First),
            binary("kafka_dlt-original-offset", Slot::Offset, Int64, First),
            binary("kafka_dlt-original-timestamp", Slot::Timestamp, Int64, First),
            text("kafka_dlt-original-consumer-group", Slot::Group, Last),
            binary("retry_topic-attempts", Slot::NextAttempt, Int32, Last),
            text("kafka_dlt-exception-cause-fqcn", Slot::Exception, Last),
            text("kafka_dlt-exception-fqcn", Slot::Exception, Last),
            text("kafka_dlt-key-exception-fqcn", Slot::Exception, Last),
            text("kafka_dlt-exception-message", Slot::Message, Last),
            text("kafka_dlt-key-exception-message", Slot::Message, Last),
            text("kafka_dlt-exception-stacktrace", Slot::StackTrace, Last),
            text("kafka_dlt-key-exception-stacktrace", Slot::StackTrace, Last),
        ],
    },
    // spring-kafka : retrytopic/RetryTopicHeaders.java, DeadLetterPublishingRecovererFactory.java. Written once, never replaced; the
    // group keeps its `dlt-`. Retry topics and the dead-letter topic at their end have the same headers.
    Convention {
        name: "Spring retry topic",
        marks: &["kafka_original-topic|retry_topic-attempts"],
        fate: FateBy::Name,
        rows: &[
            text("kafka_original-topic", Slot::Topic, First),
            binary("kafka_original-partition", Slot::Partition, Int32, First),
            binary("kafka_original-offset", Slot::Offset, Int64, First),
            binary("kafka_original-timestamp", Slot::Timestamp, Int64, First),
            binary("retry_topic-original-timestamp", Slot::Timestamp, BigInteger, First),
            text("kafka_dlt-original-consumer-group", Slot::Group, Last),
            binary("retry_topic-attempts", Slot::NextAttempt, Int32, Last),
            binary("retry_topic-backoff-timestamp", Slot::NotBefore, BigInteger, Last),
            text("kafka_exception-cause-fqcn", Slot::Exception, Last),
            text("kafka_exception-fqcn", Slot::Exception, Last),
            text("kafka_key-exception-fqcn", Slot::Exception, Last),
            text("kafka_exception-message", Slot::Message, Last),
            text("kafka_key-exception-message", Slot::Message, Last),
            text("kafka_exception-stacktrace", Slot::StackTrace, Last),
            text("kafka_key-exception-stacktrace", Slot::StackTrace, Last),
        ],
    },
    // spring-cloud-stream : KafkaMessageChannelBinder.java. Many write the same names by hand, with numbers as text; the exception's type under
    // this name only Spring does.
    Convention {
        name: "Spring Cloud Stream",
        marks: &["x-original-topic", "x-exception-fqcn"],
        fate: DEAD,
        rows: &[
            text("x-original-topic", Slot::Topic, First),
            binary("x-original-partition", Slot::Partition, Int32, First),
            binary("x-original-offset", Slot::Offset, Int64, First),
            binary("x-original-timestamp", Slot::Timestamp, Int64, First),
            text("x-exception-fqcn", Slot::Exception, Last),
            text("x-exception-message", Slot::Message, Last),
            text("x-exception-stacktrace", Slot::StackTrace, Last),
        ],
    },
    // kafka : connect/runtime/errors/DeadLetterQueueReporter.java.
    Convention {
        name: "Kafka Connect",
        marks: &["__connect.errors.topic|__connect.errors.exception.class.name|__connect.errors.connector.name"],
        fate: DEAD,
        rows: &[
            text("__connect.errors.topic", Slot::Topic, Last),
            text("__connect.errors.partition", Slot::Partition, Last),
            text("__connect.errors.offset", Slot::Offset, Last),
            text("__connect.errors.connector.name", Slot::Connector, Last),
            text("__connect.errors.exception.class.name", Slot::Exception, Last),
            text("__connect.errors.exception.message", Slot::Message, Last),
            text("__connect.errors.exception.stacktrace", Slot::StackTrace, Last),
        ],
    },
    // kafka-streams 4.2 : errors/internals/ExceptionHandlerUtils.java.
    Convention {
        name: "Kafka Streams",
        marks: &["__streams.errors.topic|__streams.errors.exception"],
        fate: DEAD,
        rows: &[
            text("__streams.errors.topic", Slot::Topic, Last),
            text("__streams.errors.partition", Slot::Partition, Last),
            text("__streams.errors.offset", Slot::Offset, Last),
            text("__streams.errors.exception", Slot::Exception, Last),
            text("__streams.errors.message", Slot::Message, Last),
            text("__streams.errors.stacktrace", Slot::StackTrace, Last),
        ],
    },
    // smallrye-reactive-messaging : kafka/fault/KafkaDeadLetterQueue.java. New headers come first, the old ones are copied behind.
    Convention {
        name: "SmallRye dead letter",
        marks: &["dead-letter-topic", "dead-letter-reason|dead-letter-offset|dead-letter-exception-class-name"],
        fate: DEAD,
        rows: &[
            text("dead-letter-topic", Slot::Topic, First),
            text("dead-letter-partition", Slot::Partition, First),
            text("dead-letter-offset", Slot::Offset, First),
            text("dead-letter-exception-class-name", Slot::Exception, First),
            text("dead-letter-cause-class-name", Slot::Exception, First),
            text("dead-letter-reason", Slot::Message, First),
            text("dead-letter-cause", Slot::Message, First),
        ],
    },
    // smallrye-reactive-messaging : kafka/fault/KafkaDelayedRetryTopic.java.
    Convention {
        name: "SmallRye retry topic",
        marks: &["delayed-retry-count|delayed-retry-topic"],
        fate: RETRY,
        rows: &[
            text("delayed-retry-topic", Slot::Topic, First),
            text("delayed-retry-partition", Slot::Partition, First),
            text("delayed-retry-offset", Slot::Offset, First),
            text("delayed-retry-original-timestamp", Slot::Timestamp, First),
            text("delayed-retry-count", Slot::Attempts, First),
            text("delayed-retry-exception-class-name", Slot::Exception, First),
            text("delayed-retry-cause-class-name", Slot::Exception, First),
            text("delayed-retry-reason", Slot::Message, First),
            text("delayed-retry-cause", Slot::Message, First),
        ],
    },
    // MassTransit : src/MassTransit.Abstractions/MessageHeaders.cs.
    Convention {
        name: "MassTransit",
        marks: &["MT-Fault-ExceptionType|MT-Fault-Message|MT-Reason"],
        fate: DEAD,
        rows: &[
            text("MT-Reason", Slot::Mark, Last),
            text("MT-Fault-InputAddress", Slot::Address, Last),
            text("MT-Fault-ConsumerType", Slot::Group, Last),
            text("MT-Fault-RetryCount", Slot::Attempts, Last),
            text("MT-Fault-RedeliveryCount", Slot::Attempts, Last),
            text("MT-Redelivery-Count", Slot::Attempts, Last),
            text("MT-Fault-ExceptionType", Slot::Exception, Last),
            text("MT-Fault-Message", Slot::Message, Last),
            text("MT-Fault-StackTrace", Slot::StackTrace, Last),
        ],
    },
    Convention {
        name: "MassTransit",
        marks: &["MT-Redelivery-Count"],
        fate: RETRY,
        rows: &[text("MT-Redelivery-Count", Slot::Attempts, Last)],
    },
    // NServiceBus : src/NServiceBus.Core/Recoverability/Faults/FaultsHeaderKeys.cs, Headers.cs.
    Convention {
        name: "NServiceBus",
        marks: &["NServiceBus.FailedQ"],
        fate: DEAD,
        rows: &[
            text("NServiceBus.FailedQ", Slot::Topic, Last),
            text("NServiceBus.Retries", Slot::Attempts, Last),
            text("NServiceBus.FLRetries", Slot::Attempts, Last),
            text("NServiceBus.ExceptionInfo.ExceptionType", Slot::Exception, Last),
            text("NServiceBus.ExceptionInfo.Message", Slot::Message, Last),
            text("NServiceBus.ExceptionInfo.StackTrace", Slot::StackTrace, Last),
        ],
    },
    Convention {
        name: "NServiceBus",
        marks: &["NServiceBus.Retries"],
        fate: RETRY,
        rows: &[text("NServiceBus.Retries", Slot::Attempts, Last)],
    },
    // Rebus : Rebus/Messages/Headers.cs.
    Convention {
        name: "Rebus",
        marks: &["rbs2-error-details"],
        fate: DEAD,
        rows: &[
            text("rbs2-source-queue", Slot::Topic, Last),
            text("rbs2-delivery-count", Slot::Attempts, Last),
            text("rbs2-defer-count", Slot::Attempts, Last),
            text("rbs2-error-details", Slot::Dotnet, Last),
        ],
    },
    Convention {
        name: "Rebus",
        marks: &["rbs2-defer-count"],
        fate: RETRY,
        rows: &[text("rbs2-defer-count", Slot::Attempts, Last)],
    },
    // karafka : lib/karafka/pro/processing/strategies/dlq/default.rb. `source_trace_id` is an error's id, and no trace.
    Convention {
        name: "Karafka",
        marks: &["source_topic", "source_offset"],
        fate: DEAD,
        rows: &[
            text("source_topic", Slot::Topic, Last),
            text("source_partition", Slot::Partition, Last),
            text("source_offset", Slot::Offset, Last),
            text("source_consumer_group", Slot::Group, Last),
            text("source_attempts", Slot::Attempts, Last),
        ],
    },
    // watermill : message/router/middleware/poison.go.
    Convention {
        name: "Watermill",
        marks: &["reason_poisoned|topic_poisoned"],
        fate: DEAD,
        rows: &[
            text("topic_poisoned", Slot::Topic, Last),
            text("handler_poisoned", Slot::Group, Last),
            text("subscriber_poisoned", Slot::Group, Last),
            text("_watermill_requeuer_retries", Slot::Attempts, Last),
            text("reason_poisoned", Slot::Message, Last),
        ],
    },
    // watermill : components/requeuer, components/delay.
    Convention {
        name: "Watermill",
        marks: &["_watermill_requeuer_retries|_watermill_delayed_until"],
        fate: RETRY,
        rows: &[
            text("_watermill_requeuer_retries", Slot::Attempts, Last),
            text("_watermill_delayed_until", Slot::NotBefore, Last),
        ],
    },
    // dotnetcore/CAP : Headers.cs.
    Convention {
        name: "CAP",
        marks: &["cap-exception"],
        fate: DEAD,
        rows: &[text("cap-exception", Slot::Cap, Last), text("cap-msg-group", Slot::Group, Last)],
    },
    // wolverine : tests/Transports, its dead-letter queues.
    Convention {
        name: "Wolverine",
        marks: &["exception-type", "exception-message"],
        fate: DEAD,
        rows: &[text("exception-type", Slot::Exception, Last), text("exception-message", Slot::Message, Last)],
    },
];
