//! Spans over gRPC: what they cost, what they take in memory and on disk, how soon they are found, and how soon they are back after a crash.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

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

/// How many spans are sent one by one to see when each is found.
const FRESHNESS_PROBES: usize = 400;

/// Sends a load, asks for it, stops, starts, kills and starts again.
pub fn spans(table: &mut Table, load: &Load, lookups: usize, decoded: f64) {
    let home = Home::new("");
    let sillage = home.serve();
    let idle = memory_mib(sillage.pid(), "VmRSS");
    table.add_bound("memory before anything came, MiB", &format!("{idle:.0}"), "40 / 30", "");

    kept(table, load, &home, &sillage, decoded);
    asked::asked(table, load, &home, lookups);
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

    send(load.requests.len().min(180), load, &home);
    let log_bytes = bytes_on_disk(&home.data().join("log"));
    sillage.kill_9();
    let started = Instant::now();
    let sillage = home.serve();
    let took = started.elapsed().as_secs_f64();
    let remark = format!("with a log of {} MB", grouped(log_bytes as f64 / 1e6));
    table.add_bound("ready after kill -9, seconds", &format!("{took:.2}"), "10 / 3 for 1 GiB", &remark);
    sillage.stop();
}

fn kept(table: &mut Table, load: &Load, home: &Home, sillage: &Sillage, decoded: f64) {
    let before = cpu_seconds(sillage.pid());
    let started = Instant::now();
    send(load.requests.len(), load, home);
    let took = started.elapsed().as_secs_f64();
    let kept = load.spans as f64 / (settled_cpu_seconds(sillage.pid()) - before);
    let remark =
        format!("{} spans, {} a second by the clock", grouped(load.spans as f64), grouped(load.spans as f64 / took));
    table.add("spans kept a CPU second (gRPC, fsynced before the answer)", &grouped(kept), &remark);
    table.add_bound("  as a share of what prost decodes", &format!("{:.2}", kept / decoded), "0.23 / 0.36", "");
}

/// Sends the first `n_requests` over a few connections.
fn send(n_requests: usize, load: &Load, home: &Home) {
    std::thread::scope(|scope| {
        for lane in 0..CONNECTIONS {
            scope.spawn(move || {
                block_on(async {
                    let channel =
                        Channel::from_shared(format!("http://{}", home.grpc)).unwrap().connect().await.unwrap();
                    let mut client = TraceServiceClient::new(channel).max_encoding_message_size(64 << 20);
                    for request in load.requests[..n_requests].iter().skip(lane).step_by(CONNECTIONS) {
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
    table.add_bound("found after the acknowledgement, p50 / p99 ms", &percentiles(times), "2 / 10", &remark);
}

fn bytes_on_disk(folder: &Path) -> u64 {
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
