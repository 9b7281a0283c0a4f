//! The `sillage` program: reads the configuration, opens the store, starts the console and the collector, and stops them in order.

mod cli; // the command line
mod config; // file, variables and flags
mod failure;
mod log; // what Sillage says of itself, on stderr // why a command ended, and its exit code

mod console; // the store, the collector and the console together
mod signal; // when to stop
mod telemetry; // Sillage's own traces and logs, for others to collect

mod check; // `sillage check`
mod data; // `sillage store`
mod dead_letters; // `sillage dead-letters`
mod demo; // `sillage demo`
mod forget; // `sillage forget`
mod serve; // `sillage serve`

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

/// Many short-lived allocations of many sizes: mimalloc gives memory back where glibc's arenas keep it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Before anything else: two TLS libraries in one process must not each choose their own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match cli.command {
        Command::Demo(demo) => demo::run(demo),
        Command::Serve(serve) => serve::run(serve),
        Command::Check(check) => check::run(check),
        Command::Forget(forget) => forget::run(forget),
        Command::DeadLetters(command) => dead_letters::run(command),
        Command::Store(store) => data::run(store),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
