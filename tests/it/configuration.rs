//! Bad files, bad flags, taken ports: what a person reads before anything runs.

use std::fs;
use std::net::TcpListener;
use std::process::Output;
use std::time::{Duration, Instant};

use crate::rig::home::{Home, free_address, program};

/// Runs a command that must end by itself.
fn ends(arguments: &[&str], home: &Home) -> (i32, String) {
    let started = Instant::now();
    let mut child = program(arguments)
        .current_dir(home.folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            let Output { stdout, stderr, .. } = child.wait_with_output().unwrap();
            panic!(
                "{arguments:?} did not end: {}{}",
                String::from_utf8_lossy(&stdout),
                String::from_utf8_lossy(&stderr)
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(!said.contains("panicked"), "a panic is not an error message: {said}");
    (status.code().expect("not ended by a signal"), said)
}

/// A file that must be refused with exit code 2; the answer must have every part.
fn refused(text: &str, parts: &[&str]) {
    let home = Home::new("");
    fs::write(home.file(), text).unwrap();
    let file = home.file();
    for command in ["serve", "check", "demo"] {
        let (code, said) = ends(&[command, "--config", file.to_str().unwrap()], &home);
        assert_eq!(code, 2, "{command} with {text:?}: {said}");
        for part in parts {
            assert!(said.contains(part), "{command} with {text:?} must say {part:?}: {said}");
        }
    }
}

#[test]
fn an_unknown_key_is_shown_with_line_column_caret_and_what_was_probably_meant() {
    refused(
        "[web]\nlisten = \"127.0.0.1:0\"\n\n[otlp]\ngrpcc = \"127.0.0.1:4317\"\n",
        &["sillage.toml", "5:1", "^", "grpcc", "`grpc`"],
    );
    refused("[stor]\npath = \"x\"\n", &["sillage.toml", "1:2", "^", "`store`"]);
}

#[test]
fn a_bad_value_is_shown_where_it_stands_and_says_what_would_be_good() {
    refused("[web]\nlisten = \"localhost\"\n", &["sillage.toml", "2:10", "^", "listen"]);
    refused("[store]\nretention = \"soon\"\n", &["sillage.toml", "2:13", "^", "soon"]);
    refused("[store]\ndurability = \"maybe\"\n", &["sillage.toml", "2:14", "^", "fsync"]);
    refused("[web]\nlisten = \n", &["sillage.toml", "2:", "^"]);
    refused("[[source]]\nname = \"main\"\ntype = \"kafak\"\n", &["sillage.toml", "3:8", "^", "kafka"]);
}

#[test]
fn a_bad_alert_rule_is_shown_where_it_stands_and_says_what_was_meant() {
    let rule = |keys: &str| format!("[[alert]]\nname = \"late\"\nkind = \"lag_time\"\n{keys}\n");
    refused(&rule("above = \"30s\"\nfro = \"2m\""), &["sillage.toml", "5:1", "^", "did you mean `for`?"]);
    refused(&rule("above = \"half an hour\""), &["4:9", "^", "`half an hour` is no length of time"]);
    refused(&rule("above = \"30s\"\ngroup = \"bill[ing]\""), &["5:9", "^", "is no pattern", "`*`"]);
    refused(&rule("above = \"30s\"\npercentile = 99"), &["5:14", "^", "says nothing in a rule of kind lag_time"]);
    refused(&rule("above = \"30s\"\nwebhooks = [\"ops\"]"), &["5:13", "^", "no [[webhook]] is called `ops`"]);
    refused(&rule(""), &["3:8", "^", "lag_time needs the key above"]);
    refused("[[alert]]\nname = \"late\"\nkind = \"lag_tme\"\n", &["3:8", "^", "did you mean `lag_time`?"]);
    refused("[alerting]\ninterval = \"1ms\"\n", &["2:12", "^", "must be from 100ms to 30d"]);
}

#[test]
fn a_console_for_everybody_needs_access_rules_or_an_explicit_word() {
    refused("[web]\nlisten = \"0.0.0.0:7455\"\n", &["sillage.toml", "[[access]]", "allow_unauthenticated"]);
    refused("[otlp]\ngrpc = \"0.0.0.0:4317\"\n", &["sillage.toml", "[[access]]", "allow_unauthenticated"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let home = Home::new("");
    let (code, said) = ends(&["serve", "--config", "nowhere.toml"], &home);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("nowhere.toml"), "{said}");
}

#[test]
fn check_accepts_a_good_file_and_opens_nothing() {
    let home = Home::new("[[source]]\nname = \"main\"\ntype = \"kafka\"\nbrokers = [\"localhost:9092\"]\n");
    let _taken = TcpListener::bind(home.web).unwrap();
    let (code, said) = ends(&["check", "--config", home.file().to_str().unwrap()], &home);
    assert_eq!(code, 0, "{said}");
    assert!(!home.data().exists(), "check only reads");
}

#[test]
fn every_source_type_is_known_to_check() {
    let home = Home::new(
        "[[source]]\nname = \"a\"\ntype = \"rabbitmq\"\nurl = \"amqp://localhost\"\n\
         [[source]]\nname = \"b\"\ntype = \"nats\"\nurl = \"nats://localhost\"\n\
         [[source]]\nname = \"c\"\ntype = \"pulsar\"\nurl = \"pulsar://localhost\"\n\
         [[source]]\nname = \"d\"\ntype = \"sqs\"\nregion = \"eu-west-1\"\n",
    );
    let (code, said) = ends(&["check", "--config", home.file().to_str().unwrap()], &home);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_taken_port_is_named_with_what_to_do() {
    for taken in ["web", "grpc", "http"] {
        let home = Home::new("");
        let address = match taken {
            "web" => home.web,
            "grpc" => home.grpc,
            _ => home.http,
        };
        let _listener = TcpListener::bind(address).unwrap();
        let (code, said) = ends(&["serve", "--config", home.file().to_str().unwrap()], &home);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(&address.to_string()), "{taken}: {said}");
        assert!(said.contains(if taken == "web" { "listen" } else { taken }), "names the key to change: {said}");
    }
}

#[test]
fn the_environment_and_the_flags_win_over_the_file() {
    let home = Home::new("");
    let (by_flag, by_environment) = (free_address(), free_address());
    let mut child = program(&["serve", "--config", home.file().to_str().unwrap(), "--listen", &by_flag.to_string()])
        .env("SILLAGE_OTLP__HTTP", by_environment.to_string())
        .current_dir(home.folder.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let ready = |address, path: &str| crate::rig::http::get(address, path).is_ok_and(|answer| answer.status < 500);
    crate::rig::until("both addresses answer", Duration::from_secs(30), || {
        (ready(by_flag, "/readyz") && ready(by_environment, "/v1/traces")).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
}
