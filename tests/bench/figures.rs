//! What is measured.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use serde_json::json;
use tonic::transport::Channel;

use crate::connection::Connection;
use crate::rig::home::Home;
use crate::rig::kafka::{Draft, Kafka, block_on, source};
use crate::rig::otlp;
use crate::rig::waiting::until;
use crate::saga::Load;
use crate::table::{Table, grouped};

/// Requests under way at once, as a collector with a few exporters has them.
const CONNECTIONS: usize = 4;

/// Background work (sealing, merging) belongs to what was sent: it is over when the server has been idle this long.
const IDLE: Duration = Duration::from_secs(2);

/// How many spans are sent one by one to see when each is found.
const FRESHNESS_PROBES: usize = 400;

/// CPU seconds that a process has used: fields 14 and 15 of /proc/PID/stat (proc(5)), in ticks of 10 ms.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name in parentheses may hold spaces; what follows it does not.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// The same once it has done what it still had to do.
fn settled_cpu_seconds(pid: u32) -> f64 {
    let mut last = cpu_seconds(pid);
    until("the server is idle", Duration::from_secs(120), || {
        std::thread::sleep(IDLE);
        let now = cpu_seconds(pid);
        let idle = now - last < 0.1;
        last = now;
        idle.then_some(())
    });
    last
}

fn bytes_on_disk(folder: &Path) -> u64 {
    fs::read_dir(folder).unwrap().flatten().fold(0, |sum, entry| {
        let path = entry.path();
        sum + if path.is_dir() { bytes_on_disk(&path) } else { fs::metadata(path).unwrap().len() }
    })
}

fn percentile(sorted: &[Duration], percent: usize) -> String {
    let at = (sorted.len() * percent / 100).min(sorted.len() - 1);
    format!("{:.2}", sorted[at].as_secs_f64() * 1_000.0)
}

/// The least that the work could cost, measured in this very run.
pub fn floors(table: &mut Table, load: &Load) {
    let encoded: Vec<Vec<u8>> = load.requests.iter().map(Message::encode_to_vec).collect();
    let me = std::process::id();

    let before = cpu_seconds(me);
    let mut decoded = 0;
    for bytes in &encoded {
        decoded += ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap().resource_spans.len();
    }
    assert!(decoded > 0);
    let spent = (cpu_seconds(me) - before).max(0.01);
    let size = load.bytes / load.spans;
    table.add(
        "floor: decode into owned structs, spans a CPU second",
        grouped(load.spans as f64 / spent),
        format!("{size} bytes a span in OTLP"),
    );

    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut file = File::create(folder.path().join("floor")).unwrap();
    let (before, started) = (cpu_seconds(me), Instant::now());
    for bytes in &encoded {
        file.write_all(bytes).unwrap();
        file.sync_data().unwrap();
    }
    let (spent, took) = ((cpu_seconds(me) - before).max(0.01), started.elapsed().as_secs_f64());
    table.add(
        "floor: write raw, fdatasync a request, spans a CPU second",
        grouped(load.spans as f64 / spent),
        format!("{} a second by the clock", grouped(load.spans as f64 / took)),
    );
}

/// Spans over gRPC: what they cost, what they take on disk, how soon and how fast they are found.
pub fn spans(table: &mut Table, load: &Load, lookups: usize) {
    let home = Home::new("");
    let sillage = home.serve();
    let before = cpu_seconds(sillage.pid());
    let started = Instant::now();
    std::thread::scope(|scope| {
        for lane in 0..CONNECTIONS {
            let grpc = home.grpc;
            scope.spawn(move || {
                block_on(async {
                    let channel = Channel::from_shared(format!("http://{grpc}")).unwrap().connect().await.unwrap();
                    let mut client = TraceServiceClient::new(channel).max_encoding_message_size(64 << 20);
                    for request in load.requests.iter().skip(lane).step_by(CONNECTIONS) {
                        // A busy server may ask to wait; an exporter does, and so do we.
                        while client.export(request.clone()).await.is_err() {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    }
                });
            });
        }
    });
    let took = started.elapsed().as_secs_f64();
    let spent = settled_cpu_seconds(sillage.pid()) - before;
    table.add(
        "spans kept a CPU second (gRPC, fsynced before the answer)",
        grouped(load.spans as f64 / spent),
        format!("{} spans, {} a second by the clock", grouped(load.spans as f64), grouped(load.spans as f64 / took)),
    );

    let mut connection = Connection::open(home.web).unwrap();
    let mut times: Vec<Duration> = (0..lookups)
        .map(|_| {
            let trace = hex::encode(load.traces[rand::random_range(0..load.traces.len())]);
            let started = Instant::now();
            let answer = connection.get(&format!("/api/v1/flow/{trace}")).unwrap();
            let took = started.elapsed();
            assert_eq!(answer.status, 200, "{trace} is lost");
            took
        })
        .collect();
    times.sort_unstable();
    table.add(
        "flow by trace id over HTTP, p50 / p99 ms",
        format!("{} / {}", percentile(&times, 50), percentile(&times, 99)),
        format!("{lookups} lookups of 12 spans each, in JSON"),
    );

    let mut times: Vec<Duration> = (0..FRESHNESS_PROBES)
        .map(|_| {
            let trace: [u8; 16] = rand::random();
            otlp::post_all(
                home.http,
                "traces",
                &otlp::traces("probe", vec![otlp::span(trace, rand::random(), "probe")]),
            );
            let acknowledged = Instant::now();
            let path = format!("/api/v1/flow/{}", hex::encode(trace));
            while connection.get(&path).unwrap().status != 200 {
                assert!(acknowledged.elapsed() < Duration::from_secs(10), "acknowledged, and not found after 10 s");
            }
            acknowledged.elapsed()
        })
        .collect();
    times.sort_unstable();
    table.add(
        "found after the acknowledgement, p50 / p99 ms",
        format!("{} / {}", percentile(&times, 50), percentile(&times, 99)),
        format!("{FRESHNESS_PROBES} probes, the lookup included"),
    );

    sillage.stop();
    let bytes = bytes_on_disk(&home.data());
    table.add(
        "bytes a span on disk",
        format!("{:.0}", bytes as f64 / load.spans as f64),
        format!("{} MB in all, after a stop", grouped(bytes as f64 / 1e6)),
    );
    let started = Instant::now();
    let sillage = home.serve();
    table.add(
        "start on this folder, seconds",
        format!("{:.2}", started.elapsed().as_secs_f64()),
        "until /readyz says yes".to_owned(),
    );
    sillage.stop();
}

/// Records from a real Kafka: what they cost to read, decode, correlate and keep.
pub fn records(table: &mut Table, count: usize) {
    let kafka = Kafka::start("bench");
    let topic = kafka.topic("bench", 6);
    let mut bytes = 0;
    for chunk in 0..count.div_ceil(10_000) {
        let drafts: Vec<Draft> = (0..10_000.min(count - chunk * 10_000))
            .map(|number| {
                let number = chunk * 10_000 + number;
                let draft = Draft::json(
                    &format!("order-{number:08}"),
                    &json!({"eventId": format!("{:032x}", rand::random::<u128>()), "eventType": "OrderPlaced", "producer": "shop-api", "version": 2,
                        "occurredAt": "2026-11-23T10:00:00.123456Z", "orderId": format!("order-{number:08}"), "customer": {"id": number * 7 % 40_000,
                        "address": "12 Quai des Chartrons, Bordeaux"}, "lines": (0..6).map(|line| json!({"sku": format!("SKU-{:05}", (number + line) % 9_000),
                        "name": "A thing that one may order in this shop", "quantity": line + 1, "price": 1990 + line})).collect::<Vec<_>>()}),
                );
                let traceparent = format!("00-{:032x}-{:016x}-01", rand::random::<u128>(), rand::random::<u64>());
                let draft = draft.header("traceparent", Some(traceparent.as_bytes()));
                bytes += draft.value.as_ref().map_or(0, Vec::len);
                draft
            })
            .collect();
        kafka.send(&topic, &drafts);
    }
    let home = Home::new(&source(&kafka, &[&topic]));
    let sillage = home.serve();
    let started = Instant::now();
    until("all records are kept", Duration::from_secs(600), || {
        let kept = sillage.api("status")["store"]["entries"].as_u64()?;
        std::thread::sleep(Duration::from_millis(100));
        (kept >= count as u64).then_some(())
    });
    let took = started.elapsed().as_secs_f64();
    // The whole process: a start that finds nothing costs a few hundredths of a second.
    let spent = settled_cpu_seconds(sillage.pid());
    sillage.stop();
    let disk = bytes_on_disk(&home.data());
    table.add(
        "Kafka records kept a CPU second",
        grouped(count as f64 / spent),
        format!(
            "{} records of {} bytes, {} a second by the clock",
            grouped(count as f64),
            bytes / count,
            grouped(count as f64 / took)
        ),
    );
    table.add(
        "bytes a record on disk",
        format!("{:.0}", disk as f64 / count as f64),
        format!("{} MB in all", grouped(disk as f64 / 1e6)),
    );
    kafka.down();
}
