//! When to stop: the first Ctrl-C or SIGTERM stops in order, a second one at once. When to read the configuration again: SIGHUP.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What shells give as the exit code of a program that Ctrl-C ended.
const EXIT_INTERRUPTED: i32 = 130;

/// The signal that asks to read the configuration again.
pub struct Reloads(Signal);

impl Reloads {
    /// Begins to listen; from now on the end of a terminal ends the process no more.
    pub fn listen() -> anyhow::Result<Reloads> {
        Ok(Reloads(signal(SignalKind::hangup()).context("can't listen for signals")?))
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// The signals that stop us.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to listen; from now on the signals no longer end the process by themselves.
    pub fn listen() -> anyhow::Result<Signals> {
        let listen = |kind| signal(kind).context("can't listen for signals");
        Ok(Signals { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// From now on the next one ends the process at once: whoever asks twice doesn't want to wait. What was acknowledged is durable anyway.
    pub fn next_one_ends_all(mut self) {
        tokio::spawn(async move {
            self.next().await;
            eprintln!("stopped at once");
            std::process::exit(EXIT_INTERRUPTED);
        });
    }
}
