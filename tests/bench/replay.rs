//! A start after a crash: how soon everything that was only in the log is back.
//!
//! A log goes as soon as its entries are in a segment. So the server is given memory enough to put that off, and spans that don't pack. Even so a live set is
//! sealed when its file has 64 MiB (`LOG_BYTES_MAX` of the store), so a log of a gibibyte doesn't exist: the figure for one is the
//! figure here, multiplied.

use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use rand::RngCore;

use crate::rig::home::Home;
use crate::rig::otlp::{span, string, traces};
use crate::spans::{bytes_on_disk, send};
use crate::table::{Table, grouped};

/// So much memory, and so many entries, that the whole log is from one live set, which is not sealed meanwhile.
const PUT_OFF: &str = "memory_limit = \"24GiB\"\nseal_entries = 10000000\nseal_age = \"1h\"\n";

/// How many random bytes a span carries, in hex.
const RANDOM_BYTES: usize = 8 << 10;

const SPANS_PER_REQUEST: usize = 64;

/// How many requests are made before they are sent.
const REQUESTS_AT_ONCE: usize = 64;

/// The longest log that one live set has, less what comes in one go.
const LOG_MIB_MAX: usize = 56;

/// Fills a log of so many MiB, kills, and starts again.
pub fn replay(table: &mut Table, log_mib: usize) {
    assert!(log_mib <= LOG_MIB_MAX, "--log-mib is {LOG_MIB_MAX} at most: beyond that the log is sealed");
    let home = Home::new(PUT_OFF);
    let sillage = home.serve();
    let log = home.data().join("log");
    let mut spans = 0;
    while bytes_on_disk(&log) < (log_mib as u64) << 20 {
        let requests: Vec<_> = (0..REQUESTS_AT_ONCE).map(|_| request()).collect();
        spans += requests.len() * SPANS_PER_REQUEST;
        send(requests, &home);
    }
    let bytes = bytes_on_disk(&log);
    sillage.kill_9();
    let started = Instant::now();
    let sillage = home.serve();
    let took = started.elapsed().as_secs_f64();
    let remark = format!("with a log of {} MB, {} spans", grouped(bytes as f64 / 1e6), grouped(spans as f64));
    table.add("ready after kill -9, seconds", &format!("{took:.2}"), &remark);
    let a_gibibyte = took * f64::from(1 << 30) / bytes as f64;
    let remark = "from the row above; a log is 64 MiB a live set at most";
    table.add_bound("  the same for 1 GiB of log", &format!("{a_gibibyte:.1}"), "10 / 3", remark);
    let kept = sillage.api("status")["store"]["entries"].as_u64();
    assert_eq!(kept, Some(spans as u64), "what was acknowledged is back");
    sillage.kill_9();
}

fn request() -> ExportTraceServiceRequest {
    let spans = (0..SPANS_PER_REQUEST).map(|_| {
        let mut random = vec![0; RANDOM_BYTES];
        rand::rng().fill_bytes(&mut random);
        let mut span = span(rand::random(), rand::random(), "send orders.placed");
        span.attributes = vec![string("order.document", hex::encode(random))];
        span
    });
    traces("shop-api", spans.collect())
}
