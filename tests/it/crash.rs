//! kill -9 under load, again and again. The oracle is outside the process: what was acknowledged to us over OTLP, and what the broker
//! acknowledged, must be found exactly once and whole; what was never sent must not be there.

mod load; // what is sent meanwhile

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};
use store::Timestamp;

use self::load::{RECORDS_FROM_MS, Sent, has_failed, payload, send_logs, send_records, send_spans};
use crate::rig::home::{Home, Sillage};
use crate::rig::kafka;
use crate::rig::unique;

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

    let (sent, logs, records) = std::thread::scope(|scope| {
        let spans = scope.spawn(|| send_spans(&home, &service, &stop, &up));
        let logs = scope.spawn(|| send_logs(&home, &service, &stop, &up));
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
        let sent = (spans.join(), logs.join(), records.join());
        last.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).stop();
        (sent.0.unwrap(), sent.1.unwrap(), sent.2.unwrap())
    });

    let rate = sent.acknowledged.len() as f64 / up_time.lock().unwrap().as_secs_f64();
    println!(
        "{KILLS} kills, {amid_seal} amid a seal, {amid_merge} amid a merge; {} spans acknowledged ({rate:.0} a second of up time), \
         {} given up, {} batches sent more than once; {} logs acknowledged; {records} records",
        sent.acknowledged.len(),
        sent.given_up.len(),
        sent.repeated,
        logs.acknowledged.len()
    );
    let acknowledged = sent.acknowledged.len();
    assert!(acknowledged >= ACKNOWLEDGED, "the load was too light to prove anything: {acknowledged} spans in all");

    assert!(amid_seal >= KILLS_AMID, "only {amid_seal} kills amid a seal");
    assert!(amid_merge >= KILLS_AMID, "only {amid_merge} kills amid a merge");

    let sillage = home.serve();
    judge_spans(&home, &sillage, &service, &sent);
    judge_logs(&sillage, &service, &logs);
    judge_records(&sillage, &topic, records);
    // And by the way in which people ask: the flow of a trace holds its four spans, each once.
    for span in sent.acknowledged.values().step_by(997) {
        let flow = sillage.api(&format!("flow/{}", hex::encode(&span.trace_id)));
        assert_eq!(flow["spans"].as_array().unwrap().len(), 4, "{flow}");
    }
}

fn nanos(nanos: u64) -> Value {
    json!(Timestamp::from_nanos(nanos as i64).to_string())
}

/// All that was acknowledged is there at once: nothing has to be waited for. And nothing else is.
fn judge_spans(home: &Home, sillage: &Sillage, service: &str, sent: &Sent<Span>) {
    let spans = found(sillage.search_all(&format!("service:{service} kind:span")), |span| {
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
        assert_eq!(kept["startedAt"], nanos(span.start_time_unix_nano), "{kept}");
        assert_eq!(kept["endedAt"], nanos(span.end_time_unix_nano), "{kept}");
        assert_eq!(kept["status"] == "error", has_failed(*number), "{kept}");
        let says = if has_failed(*number) { json!(format!("refused {number}")) } else { Value::Null };
        assert_eq!(kept["statusMessage"], says, "{kept}");
    }
    assert!(spans.keys().all(|number| sent.knows(*number)), "a span was never sent");
}

fn judge_logs(sillage: &Sillage, service: &str, sent: &Sent<LogRecord>) {
    let logs = found(sillage.search_all(&format!("service:{service} kind:log")), |log| {
        (log["attributes"]["number"].as_u64().unwrap() as usize, log["body"].as_str().unwrap().to_owned())
    });
    assert!(!sent.acknowledged.is_empty());
    let lost: Vec<&usize> = sent.acknowledged.keys().filter(|number| !logs.contains_key(number)).collect();
    assert!(lost.is_empty(), "{} acknowledged logs are not found: {}", lost.len(), runs(&lost));
    for (number, log) in &sent.acknowledged {
        let kept = &logs[number];
        assert_eq!(kept["timestamp"], nanos(log.time_unix_nano), "{kept}");
        assert_eq!(kept["severityNumber"], log.severity_number, "{kept}");
        assert_eq!(kept["traceId"], hex::encode(&log.trace_id), "{kept}");
        assert_eq!(kept["spanId"], hex::encode(&log.span_id), "{kept}");
    }
    assert!(logs.keys().all(|number| sent.knows(*number)), "a log was never sent");
}

fn judge_records(sillage: &Sillage, topic: &str, records: usize) {
    let kept = found(sillage.records_when(topic, records, Duration::from_secs(120)), |record| {
        let body = &record["body"];
        (body["number"].as_u64().unwrap() as usize, body["payload"].as_str().unwrap().to_owned())
    });
    assert!(kept.keys().copied().eq(1..=records), "records 1 to {records}, each once; found {}", kept.len());
    for (number, record) in &kept {
        let at = Timestamp::from_millis(RECORDS_FROM_MS + *number as i64);
        assert_eq!(record["timestamp"], at.to_string(), "{record}");
        assert_eq!(record["key"], format!("key-{}", number % 97), "{record}");
        assert_eq!(record["headers"], json!([["load-number", number.to_string()], ["load-empty", null]]), "{record}");
        assert_eq!(record["position"]["place"]["partition"], number % 4, "{record}");
    }
}
