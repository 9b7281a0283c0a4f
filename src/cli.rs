//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Follows every event of an event-driven system from the service that published it to the last one that reacted.
#[derive(Parser, Debug)]
#[command(name = "sillage", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Show everything on a small shop that runs inside: no broker, no configuration needed
    Demo(Demo),
    /// Watch brokers, receive spans and logs, and show them
    Serve(Serve),
    /// Tell whether the configuration is right, without starting anything
    Check(Check),
}

/// What every command takes.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// The configuration file; without it ./sillage.toml is read if it is there
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to log to stderr, such as `debug` or `collector=debug,info`; RUST_LOG does the same
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

/// What `serve` and `demo` take both.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Where the console listens, such as 127.0.0.1:7455; [web] listen
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// The folder that the data is kept in; [store] path
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<String>,
}

/// `sillage serve`.
#[derive(Args, Debug)]
pub struct Serve {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub place: Place,
}

/// `sillage demo`.
#[derive(Args, Debug)]
pub struct Demo {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub place: Place,
    /// Don't start this service of the shop, to see what its absence looks like; may be repeated
    #[arg(long, value_name = "SERVICE")]
    pub without: Vec<String>,
    /// Orders a second
    #[arg(long, value_name = "ORDERS")]
    pub rate: Option<f64>,
}

/// `sillage check`.
#[derive(Args, Debug)]
pub struct Check {
    #[command(flatten)]
    pub common: Common,
    /// Also connect to each source, and say what was found there
    #[arg(long)]
    pub connect: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_takes_a_configuration_file() {
        for command in ["demo", "serve", "check"] {
            assert!(Cli::try_parse_from(["sillage", command, "--config", "x.toml"]).is_ok(), "{command}");
        }
        for command in ["demo", "serve"] {
            let given = ["sillage", command, "--listen", "127.0.0.1:0", "--data", "d"];
            assert!(Cli::try_parse_from(given).is_ok(), "{command}");
        }
    }
}
