//! Spans over gRPC: what they cost, what they take in memory and on disk, how soon they are found.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tonic::Code;
use tonic::transport::Channel;

use crate::asked;
use crate::connection::Connection;
use crate::process::{cpu_seconds, memory_mib, settled_cpu_seconds};
use crate::rig::home::{Home, Sillage};
use crate::rig::kafka::block_on;
use crate::rig::otlp;
use crate::saga::Load;
use crate::table::{Table, grouped, percentiles};

/// Requests under way at once, as a collector with a few exporters has them.
const CONNECTIONS: usize = 4;

/// In how many portions the load is sent: after the first, flows are asked for, to compare with ten times the data.
pub const PORTIONS: usize = 10;

/// How many spans are sent one by one to see when each is found.
const FRESHNESS_PROBES: usize = 400;

/// Sends a load in portions, asks for it, stops, and starts again. `first` is its first portion; `decoded` is what prost decodes.
pub fn spans(table: &mut Table, mut load: Load, first: Vec<ExportTraceServiceRequest>, decoded: f64, lookups: usize) {
    let home = Home::new("");
    let sillage = home.serve();
    let idle = memory_mib(sillage.pid(), "VmRSS");
    table.add_bound("memory before anything came, MiB", &format!("{idle:.0}"), "40 / 30", "");

    let portion = load.spans;
    let mut cost = Cost::default();
    cost.send(first, &home, &sillage);
    let before = asked::flows(&load, &home, lookups);
    for _ in 1..PORTIONS {
        let requests = load.portion(portion);
        cost.send(requests, &home, &sillage);
    }
    let remark = format!(
        "{} spans, {} a second by the clock",
        grouped(load.spans as f64),
        grouped(load.spans as f64 / cost.seconds)
    );
    let kept = load.spans as f64 / cost.cpu_seconds;
    table.add("spans kept a CPU second (gRPC, fsynced before the answer)", &grouped(kept), &remark);
    table.add_bound("  as a share of what prost decodes", &format!("{:.2}", kept / decoded), "0.23 / 0.36", "");

    asked::asked(table, &load, &home, lookups, &before);
    found(table, &home);
    let memory = format!("{:.0} / {:.0}", memory_mib(sillage.pid(), "VmHWM"), memory_mib(sillage.pid(), "VmRSS"));
    table.add_bound("memory at the most / at the end, MiB", &memory, "400 / 250", "");

    sillage.stop();
    let bytes = bytes_on_disk(&home.data());
    let remark = format!("{} MB in all, after a stop", grouped(bytes as f64 / 1e6));
    table.add_bound("bytes a span on disk", &format!("{:.0}", bytes as f64 / load.spans as f64), "140 / 115", &remark);
    for file in ["bodies", "terms", "ids", "knots", "columns"] {
        let bytes = file_bytes(&home.data(), file) as f64 / load.spans as f64;
        table.add(&format!("  of these in `{file}`"), &format!("{bytes:.1}"), "");
    }
    let started = Instant::now();
    let sillage = home.serve();
    let took = started.elapsed().as_secs_f64();
    table.add_bound("ready after a clean stop, seconds", &format!("{took:.2}"), "1 / 0.3", "until /readyz says yes");
    sillage.stop();
}

/// What the server needed for what was sent, its background work included.
#[derive(Default)]
struct Cost {
    cpu_seconds: f64,
    seconds: f64,
}

impl Cost {
    fn send(&mut self, requests: Vec<ExportTraceServiceRequest>, home: &Home, sillage: &Sillage) {
        let before = cpu_seconds(sillage.pid());
        let started = Instant::now();
        send(requests, home);
        self.seconds += started.elapsed().as_secs_f64();
        self.cpu_seconds += settled_cpu_seconds(sillage.pid()) - before;
    }
}

/// Sends requests over a few connections.
pub fn send(requests: Vec<ExportTraceServiceRequest>, home: &Home) {
    let mut lanes: Vec<Vec<ExportTraceServiceRequest>> = (0..CONNECTIONS).map(|_| Vec::new()).collect();
    for (number, request) in requests.into_iter().enumerate() {
        lanes[number % CONNECTIONS].push(request);
    }
    std::thread::scope(|scope| {
        for lane in lanes {
            scope.spawn(move || {
                block_on(async {
                    let channel =
                        Channel::from_shared(format!("http://{}", home.grpc)).unwrap().connect().await.unwrap();
                    let mut client = TraceServiceClient::new(channel).max_encoding_message_size(64 << 20);
                    for request in lane {
                        while let Err(refused) = client.export(request.clone()).await {
                            // A busy server may ask to wait; an exporter does, and so do we.
                            assert_eq!(refused.code(), Code::Unavailable, "{refused}");
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    }
                });
            });
        }
    });
}

fn found(table: &mut Table, home: &Home) {
    let mut connection = Connection::open(home.web).unwrap();
    let times: Vec<Duration> = (0..FRESHNESS_PROBES)
        .map(|_| {
            let trace: [u8; 16] = rand::random();
            let request = otlp::traces("probe", vec![otlp::span(trace, rand::random(), "probe")]);
            otlp::post_all(home.http, "traces", &request);
            let acknowledged = Instant::now();
            let path = format!("/api/v1/flow/{}", hex::encode(trace));
            while connection.get(&path).unwrap().status != 200 {
                assert!(acknowledged.elapsed() < Duration::from_secs(10), "acknowledged, and not found after 10 s");
            }
            acknowledged.elapsed()
        })
        .collect();
    let remark = format!("{FRESHNESS_PROBES} probes, the lookup included");
    table.add_bound("found after the acknowledgement, p50 / p99 ms", &percentiles(&times), "2 / 10", &remark);
}

pub fn bytes_on_disk(folder: &Path) -> u64 {
    fs::read_dir(folder).unwrap().flatten().fold(0, |sum, entry| {
        let path = entry.path();
        sum + if path.is_dir() { bytes_on_disk(&path) } else { fs::metadata(path).unwrap().len() }
    })
}

/// The bytes of this file in all segments.
fn file_bytes(data: &Path, name: &str) -> u64 {
    let segments = fs::read_dir(data.join("segments")).unwrap().flatten();
    segments.filter_map(|segment| fs::metadata(segment.path().join(name)).ok()).map(|file| file.len()).sum()
}
