//! What is sent while the process is killed again and again: spans and logs over OTLP, records through the broker. Each has a number, and
//! all that it says follows from the number, so that whatever was changed, mixed up or cut shows.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde_json::json;

use crate::rig::home::Home;
use crate::rig::http::Answer;
use crate::rig::kafka::{Draft, Kafka};
use crate::rig::otlp;

/// Of spans and of records, while the process is up: the promise is tested at 2,000 a second, so a little more is sent.
const PER_SECOND: usize = 2_400;

/// Of logs, beside them.
const LOGS_PER_SECOND: usize = 200;

/// Small batches often, as exporters send them.
const TICK: Duration = Duration::from_millis(50);

const TICKS_PER_SECOND: usize = 20;

/// When the first record was made, in milliseconds; each later one is a millisecond younger.
pub const RECORDS_FROM_MS: i64 = 1_795_442_400_000;

/// What became of what was sent, by its number.
pub struct Sent<T> {
    /// Acknowledged: must be found exactly once.
    pub acknowledged: BTreeMap<usize, T>,
    /// Never acknowledged and given up: may be found once or not at all.
    pub given_up: BTreeMap<usize, T>,
    /// How many batches were sent more than once until they were acknowledged.
    pub repeated: usize,
}

impl<T> Sent<T> {
    /// Whether it was sent at all.
    pub fn knows(&self, number: usize) -> bool {
        self.acknowledged.contains_key(&number) || self.given_up.contains_key(&number)
    }
}

/// Text that follows from a number, so that a changed, mixed-up or cut payload shows.
pub fn payload(number: usize) -> String {
    let mut seed = number as u64 + 1;
    let mut text = format!("{number}:");
    while text.len() < 180 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("{:x}-", seed >> 40));
    }
    text
}

/// Whether the span of a number failed.
pub fn has_failed(number: usize) -> bool {
    number.is_multiple_of(7)
}

/// Sends spans at the pace until told to stop, four to a trace.
pub fn send_spans(home: &Home, service: &str, stop: &AtomicBool, up: &AtomicBool) -> Sent<Span> {
    let mut trace = rand::random();
    let make = |number: usize| {
        if number % 4 == 1 {
            trace = rand::random();
        }
        let mut span = otlp::span(trace, rand::random(), &format!("work {}", number % 5));
        span.attributes = vec![otlp::int("number", number as i64), otlp::string("payload", payload(number))];
        if has_failed(number) {
            span.status = Some(Status { code: 2, message: format!("refused {number}") });
        }
        span
    };
    let post = |to: SocketAddr, spans: &[Span]| otlp::post(to, "traces", &otlp::traces(service, spans.to_vec()));
    send(home.http, (stop, up), PER_SECOND / TICKS_PER_SECOND, make, post)
}

/// Sends logs at their pace until told to stop.
pub fn send_logs(home: &Home, service: &str, stop: &AtomicBool, up: &AtomicBool) -> Sent<LogRecord> {
    let make = |number: usize| {
        let mut log = otlp::log(rand::random(), rand::random(), &payload(number));
        log.severity_number = 1 + (number % 24) as i32;
        log.severity_text = String::new();
        log.attributes = vec![otlp::int("number", number as i64)];
        log
    };
    let post = |to: SocketAddr, logs: &[LogRecord]| otlp::post(to, "logs", &otlp::logs(service, logs.to_vec()));
    send(home.http, (stop, up), LOGS_PER_SECOND / TICKS_PER_SECOND, make, post)
}

/// A batch that fails is sent again until it is acknowledged, as exporters do; some are given up, as exporters do too.
fn send<T>(
    to: SocketAddr,
    (stop, up): (&AtomicBool, &AtomicBool),
    per_tick: usize,
    mut make: impl FnMut(usize) -> T,
    post: impl Fn(SocketAddr, &[T]) -> io::Result<Answer>,
) -> Sent<T> {
    let mut sent = Sent { acknowledged: BTreeMap::new(), given_up: BTreeMap::new(), repeated: 0 };
    let mut number = 0;
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let first = number + 1;
        number += per_tick;
        let batch: Vec<T> = (first..=number).map(&mut make).collect();
        let mut tries = 0;
        let acknowledged = loop {
            tries += 1;
            match post(to, &batch) {
                Ok(answer) if answer.status == 200 => {
                    assert!(answer.body.is_empty(), "a partial success for good entries: {:?}", answer.body);
                    break true;
                }
                Ok(answer) => {
                    assert!(matches!(answer.status, 429 | 502 | 503 | 504), "{} {}", answer.status, answer.text())
                }
                Err(_) => {}
            }
            // Every third batch that met a dead process is given up.
            if (first / per_tick).is_multiple_of(3) || stop.load(Ordering::Relaxed) {
                break false;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let kept = (first..).zip(batch);
        if acknowledged {
            sent.acknowledged.extend(kept);
            sent.repeated += usize::from(tries > 1);
        } else {
            sent.given_up.extend(kept);
        }
        // While it is down there is nothing to keep pace with.
        next = if up.load(Ordering::Relaxed) { next + TICK } else { Instant::now() + TICK };
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    sent
}

/// Sends records at the pace until told to stop, whatever becomes of Sillage: the broker is not the one that is killed.
pub fn send_records(kafka: &Kafka, topic: &str, stop: &AtomicBool) -> usize {
    let sender = kafka.sender();
    let mut number = 0;
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let drafts: Vec<Draft> = (0..PER_SECOND / TICKS_PER_SECOND)
            .map(|_| {
                number += 1;
                let mut draft = Draft::json(
                    &format!("key-{}", number % 97),
                    &json!({"eventId": format!("{topic}-{number}"), "eventType": "LoadSent", "producer": "it",
                        "occurredAt": "2026-11-23T10:00:00Z", "version": 1, "number": number, "payload": payload(number)}),
                );
                draft.partition = Some((number % 4) as i32);
                draft.timestamp_ms = Some(RECORDS_FROM_MS + number as i64);
                draft.header("load-number", Some(number.to_string().as_bytes())).header("load-empty", None)
            })
            .collect();
        sender.send(topic, &drafts);
        next += TICK;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    number
}
