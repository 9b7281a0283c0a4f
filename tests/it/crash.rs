//! kill -9 under load, again and again. The oracle is outside the process: what was acknowledged to us over OTLP, and what the broker
//! acknowledged, must be found exactly once and whole; what was never sent must not be there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};

use crate::rig::home::{Home, Sillage};
use crate::rig::kafka::{self, Draft, Kafka};
use crate::rig::{otlp, unique};

/// How often the process is killed.
const KILLS: usize = 25;

/// So many of them at least while a segment is being sealed, and so many while segments are being merged.
const KILLS_AMID: usize = 3;

/// So many spans at least are acknowledged over all kills: with fewer, hardly any kill would have met one under way.
const ACKNOWLEDGED: usize = 20_000;

/// Small segments soon, so that some are sealed and merged in every life.
const STORE: &str = "seal_entries = 40000\nseal_age = \"500ms\"\n\n";

/// How long a life lasts at most until it seals or merges: then it is killed anyway.
const LIFE_MAX: Duration = Duration::from_secs(12);

/// Of each, while the process is up: the promise is tested at 2,000 a second, so a little more is sent.
const PER_SECOND: usize = 2_400;

/// Small batches often, as exporters send them.
const TICK: Duration = Duration::from_millis(50);

const PER_TICK: usize = PER_SECOND / 20;

/// What became of the spans that were sent, by their number.
#[derive(Default)]
struct Sent {
    /// Acknowledged: must be found exactly once.
    acknowledged: BTreeMap<usize, Span>,
    /// Never acknowledged and given up: may be found once or not at all.
    given_up: BTreeMap<usize, Span>,
    /// How many batches were sent more than once until they were acknowledged.
    repeated: usize,
}

/// Text that follows from a number, so that a changed, mixed-up or cut payload shows.
fn payload(number: usize) -> String {
    let mut seed = number as u64 + 1;
    let mut text = format!("{number}:");
    while text.len() < 180 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("{:x}-", seed >> 40));
    }
    text
}

fn load_span(number: usize, trace: [u8; 16]) -> Span {
    let mut span = otlp::span(trace, rand::random(), &format!("work {}", number % 5));
    span.attributes = vec![otlp::int("number", number as i64), otlp::string("payload", payload(number))];
    span
}

/// Sends spans at the pace until told to stop. A batch that fails is sent again until it is acknowledged, as exporters do;
/// some are given up, as exporters do too.
fn send_spans(home: &Home, service: &str, stop: &AtomicBool, up: &AtomicBool) -> Sent {
    let mut sent = Sent::default();
    let mut number = 0;
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let mut spans = Vec::new();
        for _ in 0..PER_TICK / 4 {
            let trace = rand::random();
            spans.extend((0..4).map(|_| {
                number += 1;
                load_span(number, trace)
            }));
        }
        let first = number + 1 - spans.len();
        let request = otlp::traces(service, spans.clone());
        let mut tries = 0;
        let acknowledged = loop {
            tries += 1;
            match otlp::post(home.http, "traces", &request) {
                Ok(answer) if answer.status == 200 => {
                    assert!(answer.body.is_empty(), "a partial success for good spans: {:?}", answer.body);
                    break true;
                }
                Ok(answer) => {
                    assert!(matches!(answer.status, 429 | 502 | 503 | 504), "{} {}", answer.status, answer.text())
                }
                Err(_) => {}
            }
            // Every third batch that met a dead process is given up.
            if (first / PER_TICK).is_multiple_of(3) || stop.load(Ordering::Relaxed) {
                break false;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let kept = spans.into_iter().enumerate().map(|(index, span)| (first + index, span));
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
fn send_records(kafka: &Kafka, topic: &str, stop: &AtomicBool) -> usize {
    let sender = kafka.sender();
    let mut number = 0;
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let drafts: Vec<Draft> = (0..PER_TICK)
            .map(|_| {
                number += 1;
                let mut draft = Draft::json(
                    &format!("key-{}", number % 97),
                    &json!({"eventId": format!("{topic}-{number}"), "eventType": "LoadSent", "producer": "it",
                        "occurredAt": "2026-11-23T10:00:00Z", "version": 1, "number": number, "payload": payload(number)}),
                );
                draft.partition = Some((number % 4) as i32);
                draft
            })
            .collect();
        sender.send(topic, &drafts);
        next += TICK;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    number
}

/// Numbers as `1..=120, 481..=600`.
fn runs(numbers: &[&usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == **number => *last = **number,
            _ => runs.push((**number, **number)),
        }
    }
    runs.iter().map(|(first, last)| format!("{first}..={last}")).collect::<Vec<_>>().join(", ")
}

/// What a search found, by the number that it carries; a number that is there twice fails.
fn found(entries: Vec<Value>, read: impl Fn(&Value) -> (usize, String)) -> BTreeMap<usize, Value> {
    let mut by_number = BTreeMap::new();
    for entry in entries {
        let (number, text) = read(&entry);
        assert_eq!(text, payload(number), "a payload that was not sent like this");
        if let Some(before) = by_number.insert(number, entry.clone()) {
            panic!("number {number} is there twice:\n{before}\n{entry}");
        }
    }
    by_number
}

/// When a life ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// While it replays what the life before left.
    AtTheStart,
    /// At any time.
    Whenever,
    /// After a log line that says what has begun.
    Amid(&'static str),
}

/// What has begun, and what ends it.
const SEAL: (&str, &str) = ("sealing segment", "sealed segment");
const MERGE: (&str, &str) = ("merging ", "merged ");

/// Which moment is whose: all of them again and again.
const MOMENTS: [Moment; 5] =
    [Moment::Whenever, Moment::Amid(SEAL.0), Moment::Amid(MERGE.0), Moment::AtTheStart, Moment::Amid(MERGE.0)];

/// Whether a log shows that something began and did not end.
fn is_amid(log: &str, (begins, ends): (&str, &str)) -> bool {
    log.rfind(begins).is_some_and(|begun| log.rfind(ends).is_none_or(|ended| ended < begun))
}

/// Waits until the log, from `since` on, says it, or for as long as a life may last.
fn await_line(sillage: &Sillage, since: usize, part: &str) {
    let started = Instant::now();
    while started.elapsed() < LIFE_MAX && !sillage.log()[since..].contains(part) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn many_kills_under_load_lose_nothing_and_double_nothing() {
    let kafka = kafka::shared();
    let topic = kafka.topic("load", 4);
    let service = unique("load");
    let home = Home::new(&format!("{STORE}{}", kafka::source(kafka, &[&topic])));
    let (mut amid_seal, mut amid_merge) = (0, 0);
    let stop = AtomicBool::new(false);
    let up = AtomicBool::new(false);
    let up_time = Arc::new(Mutex::new(Duration::ZERO));

    let (sent, records) = std::thread::scope(|scope| {
        let spans = scope.spawn(|| send_spans(&home, &service, &stop, &up));
        let records = scope.spawn(|| send_records(kafka, &topic, &stop));
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut told = 0;
            for kill in 0..KILLS {
                let moment = MOMENTS[kill % MOMENTS.len()];
                let sillage = if moment == Moment::AtTheStart { home.spawn("serve") } else { home.serve() };
                up.store(moment != Moment::AtTheStart, Ordering::Relaxed);
                let began = Instant::now();
                match moment {
                    Moment::AtTheStart => std::thread::sleep(Duration::from_millis(rand::random_range(5..400))),
                    Moment::Whenever => std::thread::sleep(Duration::from_millis(rand::random_range(800..3_000))),
                    Moment::Amid(begins) => {
                        await_line(&sillage, told, begins);
                        std::thread::sleep(Duration::from_micros(rand::random_range(0..20_000)));
                    }
                }
                if moment != Moment::AtTheStart {
                    *up_time.lock().unwrap() += began.elapsed();
                }
                up.store(false, Ordering::Relaxed);
                let log = sillage.kill_9();
                amid_seal += usize::from(is_amid(&log[told..], SEAL));
                amid_merge += usize::from(is_amid(&log[told..], MERGE));
                told = log.len();
            }
        }));
        // Whatever happened above, the senders must end, or the scope never would.
        let last = run.map(|()| home.serve());
        stop.store(true, Ordering::Relaxed);
        let sent = (spans.join(), records.join());
        last.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).stop();
        (sent.0.unwrap(), sent.1.unwrap())
    });

    let rate = sent.acknowledged.len() as f64 / up_time.lock().unwrap().as_secs_f64();
    println!(
        "{KILLS} kills, {amid_seal} amid a seal, {amid_merge} amid a merge; {} spans acknowledged ({rate:.0} a second of up time), \
         {} given up, {} batches sent more than once; {records} records",
        sent.acknowledged.len(),
        sent.given_up.len(),
        sent.repeated
    );
    let acknowledged = sent.acknowledged.len();
    assert!(acknowledged >= ACKNOWLEDGED, "the load was too light to prove anything: {acknowledged} spans in all");

    assert!(amid_seal >= KILLS_AMID, "only {amid_seal} kills amid a seal");
    assert!(amid_merge >= KILLS_AMID, "only {amid_merge} kills amid a merge");

    let sillage = home.serve();
    // All that was acknowledged is there at once: nothing has to be waited for.
    let spans = found(sillage.search_all(&format!("service:{service}")), |span| {
        let attributes = &span["attributes"];
        (attributes["number"].as_u64().unwrap() as usize, attributes["payload"].as_str().unwrap().to_owned())
    });
    let lost: Vec<(&usize, &Span)> =
        sent.acknowledged.iter().filter(|(number, _)| !spans.contains_key(number)).collect();
    if let Some((first, span)) = lost.first() {
        let by_trace = sillage.get(&format!("/api/v1/flow/{}", hex::encode(&span.trace_id)));
        let numbers: Vec<&usize> = lost.iter().map(|(number, _)| *number).collect();
        let kept = home.keep();
        panic!(
            "{} acknowledged spans are not found by search: {}; the flow of number {first} answers {}; the folder is {}\n{}",
            lost.len(),
            runs(&numbers),
            by_trace.status,
            kept.display(),
            sillage.log()
        );
    }
    for (number, span) in &sent.acknowledged {
        let kept = &spans[number];
        assert_eq!(kept["traceId"], hex::encode(&span.trace_id));
        assert_eq!(kept["spanId"], hex::encode(&span.span_id));
        assert_eq!(kept["name"], span.name);
    }
    for number in spans.keys() {
        assert!(
            sent.acknowledged.contains_key(number) || sent.given_up.contains_key(number),
            "span {number} was never sent"
        );
    }

    let kept = found(sillage.records_when(&topic, records, Duration::from_secs(120)), |record| {
        let body = &record["body"];
        (body["number"].as_u64().unwrap() as usize, body["payload"].as_str().unwrap().to_owned())
    });
    assert!(kept.keys().copied().eq(1..=records), "records 1 to {records}, each once; found {}", kept.len());

    // And by the way in which people ask: the flow of a trace holds its four spans, each once.
    for span in sent.acknowledged.values().step_by(997) {
        let flow = sillage.api(&format!("flow/{}", hex::encode(&span.trace_id)));
        assert_eq!(flow["spans"].as_array().unwrap().len(), 4, "{flow}");
    }
}
