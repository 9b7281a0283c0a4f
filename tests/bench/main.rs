//! `cargo bench --bench figures`: what the built program does on this machine, as one table.
//!
//! Each figure stands beside a floor measured in the same run (the least that the work could cost), because this machine's
//! seconds are not another's. CPU seconds are the server's own, from the operating system, its background work included.
//! `FIGURES_SPANS`, `FIGURES_RECORDS` and `FIGURES_LOOKUPS` make it longer or shorter.
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
mod connection; // a connection that is kept
mod figures; // what is measured
mod saga; // the load: order sagas as OpenTelemetry describes them
mod table; // how it is printed

use table::Table;

fn main() {
    // `cargo test --all-targets` runs benches too, with this argument missing: then there is nothing to do.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mut table = Table::default();
    let load = saga::Load::new(setting("FIGURES_SPANS", 240_000));
    figures::floors(&mut table, &load);
    figures::spans(&mut table, &load, setting("FIGURES_LOOKUPS", 3_000));
    figures::records(&mut table, setting("FIGURES_RECORDS", 200_000));
    println!("{table}");
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}
