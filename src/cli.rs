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
    /// Tell what died, why, and in which consumer
    DeadLetters(DeadLetters),
    /// Take entries out of the data folder for good; without --yes only tell what would go
    Forget(Forget),
    /// Verify a data folder, say what is in it, make its index anew, or copy it
    Store(StoreCommand),
}

/// What every command takes.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// The configuration file; without it ./sillage.toml is read if it is there
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// What to log to stderr, such as `debug` or `collector=debug,info`; RUST_LOG does the same
    #[arg(long, value_name = "FILTER", global = true)]
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

/// `sillage dead-letters`.
#[derive(Args, Debug)]
pub struct DeadLetters {
    #[command(flatten)]
    pub common: Common,
    /// The folder that the data is kept in; [store] path
    #[arg(long, value_name = "FOLDER", global = true)]
    pub data: Option<String>,
    /// Where the console of the process listens that uses the folder, if one does; [web] listen
    #[arg(long, value_name = "ADDRESS", global = true)]
    pub listen: Option<String>,
    /// What to do with them
    #[command(subcommand)]
    pub task: DeadLettersTask,
}

/// What to do with dead letters.
#[derive(Subcommand, Debug)]
pub enum DeadLettersTask {
    /// Their causes, and the newest of them
    List(Letters),
    /// One of them in full: headers, stack trace, payload
    Show {
        /// Which, as `list` names it: SOURCE/TOPIC/PLACE
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// What would be sent back, where to, and which groups would get it again; with --send it is sent
    Redrive(Redrive),
}

/// What would be sent back, and where to.
#[derive(Args, Debug)]
pub struct Redrive {
    /// Only these, as `list` names them: SOURCE/TOPIC/PLACE
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub letters: Letters,
    /// To this topic; without it, the failed group's retry topic where it has one, else where each came from
    #[arg(long, value_name = "TOPIC")]
    pub to: Option<String>,
    /// Also what was redriven as often as [redrive] max_redrives allows, or was sent back already
    #[arg(long = "override")]
    pub overrides: bool,
    /// Send them; [redrive] enabled = true allows it
    #[arg(long)]
    pub send: bool,
    /// A group that may get messages again; may be repeated
    #[arg(long, value_name = "GROUP", requires = "send")]
    pub again: Vec<String>,
    /// Also send what nobody knows who gets it again
    #[arg(long, requires = "send")]
    pub again_unknown: bool,
    /// Send the one message that is named with the value in this file in place of its own; `-` for what is piped in
    #[arg(long, value_name = "FILE")]
    pub value_file: Option<PathBuf>,
    /// So many a second at most; without it, as [redrive] rate has it
    #[arg(long, value_name = "MESSAGES", requires = "send")]
    pub rate: Option<u32>,
}

/// Which dead letters.
#[derive(Args, Debug)]
pub struct Letters {
    /// Only on this topic
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Only of this consumer group
    #[arg(long, value_name = "GROUP")]
    pub consumer: Option<String>,
    /// Only of this event type
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// Only of this cause, by its id
    #[arg(long, value_name = "ID")]
    pub cause: Option<String>,
    /// `open`, `redriven`, `dismissed` or `any`
    #[arg(long, value_name = "STATE", default_value = "open")]
    pub state: String,
    /// How many to name
    #[arg(long, value_name = "MANY", default_value_t = 20)]
    pub limit: u16,
    /// Print what the API answers
    #[arg(long)]
    pub json: bool,
}

/// `sillage forget`.
#[derive(Args, Debug)]
pub struct Forget {
    #[command(flatten)]
    pub common: Common,
    /// The folder that the data is kept in; [store] path
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<String>,
    /// Where the console of the process listens that uses the folder, if one does; [web] listen
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    #[command(flatten)]
    pub wanted: Wanted,
    /// Do it
    #[arg(long)]
    pub yes: bool,
}

/// What is to be forgotten: one of these.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct Wanted {
    /// The key of records, and of spans that name it
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// An event id, of what it is and what refers to it
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// A trace id
    #[arg(long, value_name = "ID")]
    pub trace: Option<String>,
    /// Everything that a query finds
    #[arg(long, value_name = "QUERY")]
    pub query: Option<String>,
}

/// `sillage store`.
#[derive(Args, Debug)]
pub struct StoreCommand {
    #[command(flatten)]
    pub common: Common,
    /// The folder that the data is kept in; [store] path
    #[arg(long, value_name = "FOLDER", global = true)]
    pub data: Option<String>,
    /// What to do with it
    #[command(subcommand)]
    pub task: StoreTask,
}

/// What to do with a data folder.
#[derive(Subcommand, Debug)]
pub enum StoreTask {
    /// Read every byte, and tell what is damaged; changes nothing
    Check,
    /// Say what is in it; changes nothing
    Stats,
    /// Make every segment anew from its bodies, those that were set aside too; Sillage must not be running
    Rebuild,
    /// Copy it to a new folder, while Sillage runs or not
    Backup {
        /// Where to
        #[arg(value_name = "FOLDER")]
        to: PathBuf,
    },
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
        let store = ["sillage", "store", "--config", "x.toml", "backup", "to"];
        assert!(Cli::try_parse_from(store).is_ok());
        let forget = ["sillage", "forget", "--config", "x.toml", "--key", "a"];
        assert!(Cli::try_parse_from(forget).is_ok());
        assert!(Cli::try_parse_from(&forget[..4]).is_err(), "what is to be forgotten must be said");
        assert!(Cli::try_parse_from([&forget[..], &["--trace", "b"]].concat()).is_err(), "one thing at a time");
        let list = ["sillage", "dead-letters", "list", "--topic", "orders.DLT", "--config", "x.toml"];
        assert!(Cli::try_parse_from(list).is_ok());
        assert!(Cli::try_parse_from(["sillage", "dead-letters", "show"]).is_err(), "which one must be said");
        let redrive = ["sillage", "dead-letters", "redrive", "main/orders.DLT/0@1", "--to", "orders", "--override"];
        assert!(Cli::try_parse_from(redrive).is_ok());
        for command in ["demo", "serve"] {
            let given = ["sillage", command, "--listen", "127.0.0.1:0", "--data", "d"];
            assert!(Cli::try_parse_from(given).is_ok(), "{command}");
        }
    }
}
