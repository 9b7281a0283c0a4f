//! The built program as a process of its own, in a folder of its own, on ports of its own.

use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::http::{self, Answer};
use super::waiting::until;

/// A start replays what the last run left; on two busy cores that takes its time.
const READY_MAX: Duration = Duration::from_secs(60);

/// A stop flushes and closes; longer than this is a hang.
const STOP_MAX: Duration = Duration::from_secs(20);

/// A page of the search answers, as large as its users ask for.
const PAGE: usize = 500;

/// A folder with a configuration and a data folder, and the ports that go with it: the program can be started there again and again.
pub struct Home {
    pub folder: TempDir,
    pub web: SocketAddr,
    pub grpc: SocketAddr,
    pub http: SocketAddr,
}

/// A running program. Dropped, it is killed.
pub struct Sillage {
    child: Child,
    pub web: SocketAddr,
    log: PathBuf,
}

/// A port on which nothing listens now. Below the range from which the kernel takes those of outgoing connections,
/// so that none of them takes it before the program does.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + ((std::process::id().wrapping_mul(97) + next) % 20_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// What the program tells by default, and when the store seals and merges.
const LOGGED: &str = "warn,sillage=info,collector=info,store=debug,web=info,serve=info,demo=info";

/// The program with a command, not started yet.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sillage"));
    command.args(arguments).stdin(Stdio::null()).env("RUST_LOG", LOGGED);
    // What the surroundings set must not decide a test.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SILLAGE_") {
            command.env_remove(&name);
        }
    }
    command
}

impl Home {
    /// `more` is TOML that follows `[web]`, `[otlp]` and `[store]`.
    pub fn new(more: &str) -> Home {
        let home = Home {
            folder: tempfile::tempdir().unwrap(),
            web: free_address(),
            grpc: free_address(),
            http: free_address(),
        };
        home.configure(more);
        home
    }

    /// Replaces what follows the listen addresses and the data folder.
    pub fn configure(&self, more: &str) {
        let Home { web, grpc, http, .. } = self;
        let data = self.data();
        let text = format!(
            "[web]\nlisten = \"{web}\"\n\n[otlp]\ngrpc = \"{grpc}\"\nhttp = \"{http}\"\n\n[store]\npath = {data:?}\n\n{more}\n"
        );
        fs::write(self.file(), text).unwrap();
    }

    /// Leaves a copy of the folder behind, for whoever looks into a failure.
    pub fn keep(&self) -> PathBuf {
        let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(super::waiting::unique("kept"));
        Command::new("cp").arg("-r").arg(self.folder.path()).arg(&kept).status().unwrap();
        kept
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("sillage.toml")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts `sillage serve` and waits until it is ready.
    pub fn serve(&self) -> Sillage {
        let mut sillage = self.spawn("serve");
        sillage.await_answer("/readyz");
        sillage
    }

    /// Starts a command and returns at once.
    pub fn spawn(&self, command: &str) -> Sillage {
        self.spawn_reading(command, Stdio::null())
    }

    /// The same for a command that is typed to.
    pub fn spawn_typing(&self, command: &str) -> Sillage {
        self.spawn_reading(command, Stdio::piped())
    }

    fn spawn_reading(&self, command: &str, stdin: Stdio) -> Sillage {
        let log = self.folder.path().join("log");
        let out = File::options().create(true).append(true).open(&log).unwrap();
        let child = program(&[command, "--config", self.file().to_str().unwrap()])
            .current_dir(self.folder.path())
            .stdin(stdin)
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Sillage { child, web: self.web, log }
    }
}

impl Sillage {
    /// Waits until `path` answers 200; fails with the end of the log if the program ends or takes too long.
    pub fn await_answer(&mut self, path: &str) {
        let started = Instant::now();
        loop {
            let answer = http::get(self.web, path);
            if answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                return;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("sillage ended with {status} before {path} answered\n{}", self.log());
            }
            let last = answer.map_or_else(|error| error.to_string(), |answer| answer.text());
            assert!(
                started.elapsed() < READY_MAX,
                "{path} did not answer 200 within {READY_MAX:?}: {last}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Everything that it has printed so far (over all starts in this folder).
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As a crash ends it: no handler runs, nothing is flushed. Returns all that it has printed.
    pub fn kill_9(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log()
    }

    /// As a person ends it, with SIGTERM; waits until it is gone.
    pub fn stop(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < STOP_MAX, "still running {STOP_MAX:?} after SIGTERM\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Types a line, as a person at the terminal.
    pub fn type_line(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().expect("started to be typed to"), "{line}").unwrap();
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// A GET of a page or of the API; fails with the log if nothing answers.
    pub fn get(&self, path: &str) -> Answer {
        http::get(self.web, path).unwrap_or_else(|error| panic!("GET {path}: {error}\n{}", self.log()))
    }

    /// A GET of `/api/v1/...` that must answer 200.
    pub fn api(&self, path: &str) -> Value {
        let answer = self.get(&format!("/api/v1/{path}"));
        assert_eq!(answer.status, 200, "GET /api/v1/{path}: {}\n{}", answer.text(), self.log());
        answer.json()
    }

    /// The flow of a trace, once it holds what the caller waits for.
    pub fn flow_when(&self, trace: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/api/v1/flow/{trace}");
        let mut last = String::new();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(20) {
            let answer = self.get(&path);
            last = answer.text();
            if answer.status == 200 && holds(&answer.json()) {
                return answer.json();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the flow {trace} never held {what}; last: {}\n{}", cut(&last), self.log());
    }

    /// Every entry that a query finds, page after page, to the last.
    pub fn search_all(&self, query: &str) -> Vec<Value> {
        let mut entries = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.api(&format!("search?q={}&limit={PAGE}{cursor}", encode(query)));
            let found = page["entries"].as_array().unwrap_or_else(|| panic!("no entries in {page}"));
            entries.extend(found.iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={}", encode(next)),
                None => return entries,
            }
            assert!(entries.len() < 2_000_000, "a cursor that never ends");
        }
    }

    /// The records of a topic, once there are at least so many. (Spans name topics too, and are left out.)
    pub fn records_when(&self, topic: &str, at_least: usize, patience: Duration) -> Vec<Value> {
        self.found_when(&format!("topic:{topic}"), at_least, patience, |entry| entry["kind"] == "record")
    }

    /// Every entry that a query finds, once there are at least so many.
    pub fn search_when(&self, query: &str, at_least: usize, patience: Duration) -> Vec<Value> {
        self.found_when(query, at_least, patience, |_| true)
    }

    fn found_when(&self, query: &str, at_least: usize, patience: Duration, counts: fn(&Value) -> bool) -> Vec<Value> {
        let mut most = 0;
        let started = Instant::now();
        loop {
            let mut entries = self.search_all(query);
            entries.retain(counts);
            if entries.len() >= at_least {
                return entries;
            }
            most = most.max(entries.len());
            assert!(
                started.elapsed() < patience,
                "`{query}` found {most} of {at_least} within {patience:?}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits for a line in what it prints.
    pub fn await_log(&self, part: &str) {
        until(&format!("`{part}` in the log"), READY_MAX, || self.log().contains(part).then_some(()));
    }
}

impl Drop for Sillage {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Percent-encodes a query parameter.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => (byte as char).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Long answers are shown in part.
pub fn cut(text: &str) -> String {
    text.chars().take(3_000).collect()
}
