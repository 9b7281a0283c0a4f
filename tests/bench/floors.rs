//! The least that the work could cost, measured in the same run: decoding, packing and syncing the very requests that are then sent.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::process::own_cpu_seconds;
use crate::saga::Load;
use crate::table::{Table, grouped, median};

/// How often the floor is measured that others are told in shares of: its median counts.
const ROUNDS: usize = 5;

/// Measures the floors over `requests`, all that there is of `load`, and gives the first: spans a CPU second that prost decodes.
pub fn floors(table: &mut Table, load: &Load, requests: &[ExportTraceServiceRequest]) -> f64 {
    let encoded: Vec<Vec<u8>> = requests.iter().map(Message::encode_to_vec).collect();
    let spans = load.spans as f64;

    let decode = || {
        for bytes in &encoded {
            std::hint::black_box(ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap());
        }
    };
    let decoded = spans / median((0..ROUNDS).map(|_| own_cpu_seconds(decode)).collect());
    let size = load.bytes / load.spans;
    table.add(
        "floor: prost decodes, spans a CPU second",
        &grouped(decoded),
        &format!("{size} bytes a span in OTLP; median of {ROUNDS}"),
    );

    let mut packed_bytes = 0;
    let spent = own_cpu_seconds(|| {
        for bytes in &encoded {
            packed_bytes += zstd::bulk::compress(bytes, 1).unwrap().len();
        }
    });
    let remark = format!("{} bytes a span, a request of 480 spans at a time", packed_bytes / load.spans);
    table.add("floor: zstd 1 packs, spans a CPU second", &grouped(spans / spent), &remark);

    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut file = File::create(folder.path().join("floor")).unwrap();
    let started = Instant::now();
    let spent = own_cpu_seconds(|| {
        for bytes in &encoded {
            file.write_all(bytes).unwrap();
            file.sync_data().unwrap();
        }
    });
    let remark = format!("{} a second by the clock", grouped(spans / started.elapsed().as_secs_f64()));
    table.add("floor: raw file, fdatasync a request, spans a CPU second", &grouped(spans / spent), &remark);
    decoded
}
