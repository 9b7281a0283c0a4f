//! Why a command ended, what to do about it, and its exit code: 1 failed, 2 usage or configuration.

use std::process::ExitCode;

use crate::config::Refused;

/// Why a command ended.
#[derive(Debug)]
pub enum Failure {
    /// The configuration can't be used.
    Configuration(Refused),
    /// Something failed, with what caused it.
    Failed(anyhow::Error),
}

impl Failure {
    /// Tells it on stderr, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        match self {
            Failure::Configuration(refused) => {
                eprint!("{refused}");
                ExitCode::from(2)
            }
            Failure::Failed(error) => {
                eprintln!("error: {error:#}");
                ExitCode::from(1)
            }
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        Failure::Configuration(refused)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Failed(error)
    }
}
