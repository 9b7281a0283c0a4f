//! `tests/bench/run`: what the built program does on this machine, as one table.
//!
//! Each figure stands beside a floor measured in the same run (the least that the work could cost), because this machine's
//! seconds are not another's. CPU seconds are the server's own, from the operating system, its background work included.
//! `--spans N`, `--records N` and `--lookups N` make it longer or shorter.
#![expect(clippy::unwrap_used, reason = "in a benchmark that can't go on, the panic is the report")]

#[path = "../it/rig"]
#[expect(dead_code, reason = "the rig is the tests'; a benchmark needs a part of it")]
mod rig {
    pub mod home;
    pub mod http;
    pub mod kafka;
    pub mod otlp;
    pub mod parts;
    pub mod waiting;
}
mod asked; // questions, by the clock
mod connection; // a connection that is kept
mod floors; // the least that the work could cost
mod process; // CPU time and memory of a process
mod records; // records from a broker
mod saga; // the load: order sagas as OpenTelemetry describes them
mod spans; // spans over gRPC
mod table; // how it is printed

use table::Table;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // `cargo test --all-targets` runs benches too, with this argument missing: then there is nothing to do.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let setting = |name: &str, default: usize| match arguments.iter().position(|argument| argument == name) {
        Some(at) => arguments[at + 1].parse().unwrap_or_else(|_| panic!("{name} takes a number")),
        None => default,
    };
    let mut table = Table::default();
    let load = saga::Load::new(setting("--spans", 240_000));
    let decoded = floors::floors(&mut table, &load);
    spans::spans(&mut table, &load, setting("--lookups", 2_000), decoded);
    let count = setting("--records", 100_000);
    if count > 0 {
        records::records(&mut table, count);
    }
    println!("{table}");
}
