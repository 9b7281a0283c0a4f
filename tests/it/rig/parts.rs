//! Where `tests/parts/install` has put what the tests need, and what to do when it is not there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A script of `tests/parts`.
pub fn script(name: &str) -> PathBuf {
    repository().join("tests/parts").join(name)
}

/// An installed part; the test fails with what to run if it is missing.
pub fn installed(path: &str) -> PathBuf {
    let folder = std::env::var_os("SILLAGE_PARTS").map_or_else(|| repository().join("target/parts"), PathBuf::from);
    let part = folder.join(path);
    assert!(part.exists(), "this test needs {}: run tests/parts/install", part.display());
    // Not canonical: a virtual environment is one only by the path of its link.
    std::path::absolute(part).unwrap()
}

/// Runs a command to its end; its output is in the panic if it fails.
pub fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// `tests/recordings/wire.py` with the installed Python clients.
pub fn wire(arguments: &[&str]) -> String {
    let mut command = Command::new(installed("python/bin/python"));
    let output = run(command.arg(repository().join("tests/recordings/wire.py")).args(arguments));
    String::from_utf8(output.stdout).unwrap()
}
