//! `tests/bench/run`: what the built program does on this machine, as one table.
//!
//! Each figure stands beside a floor measured in the same run (the least that the work could cost), because this machine's
//! seconds are not another's. CPU seconds are the server's own, from the operating system, its background work included.
//! `--spans N`, `--lookups N`, `--log-mib N` and `--records N` make it longer or shorter; with `--log-mib 0` and `--records 0` those are left out.
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
mod replay; // a start after a crash
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
    let mut load = saga::Load::default();
    let first = load.portion(setting("--spans", 1_200_000) / spans::PORTIONS);
    let decoded = floors::floors(&mut table, &load, &first);
    spans::spans(&mut table, load, first, decoded, setting("--lookups", 2_000));
    let log_mib = setting("--log-mib", 56);
    if log_mib > 0 {
        replay::replay(&mut table, log_mib);
    }
    let count = setting("--records", 100_000);
    if count > 0 {
        records::records(&mut table, count);
    }
    println!("{table}");
}
