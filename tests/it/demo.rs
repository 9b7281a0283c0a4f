//! `sillage demo` by itself: one command, nothing else installed, and the pages are full.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::rig::home::{Home, Sillage};
use crate::rig::kafka::tally;
use crate::rig::{http, until};

/// The promise: this long after it says that it is ready, the pages are full.
const FULL_MAX: Duration = Duration::from_secs(5);

fn kinds(sillage: &Sillage) -> BTreeMap<String, usize> {
    let entries = sillage.api("search?limit=500");
    tally(
        entries["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["kind"].as_str().unwrap_or_default().to_owned()),
    )
}

#[test]
fn five_seconds_after_it_is_ready_the_pages_are_full_of_real_flows() {
    let home = Home::new("");
    let mut sillage = home.spawn("demo");
    sillage.await_answer("/readyz");
    let ready = Instant::now();
    let full = |kinds: &BTreeMap<String, usize>| {
        ["record", "span", "log"].iter().all(|kind| kinds.get(*kind).is_some_and(|count| *count >= 20))
    };
    until("records, spans and logs are found", FULL_MAX, || full(&kinds(&sillage)).then_some(()));
    assert!(ready.elapsed() <= FULL_MAX);
    for page in ["/", "/flows", "/topics", "/groups", "/live", "/status"] {
        assert_eq!(sillage.get(page).status, 200, "{page}");
    }
    // An order's journey: several services on several topics under one trace.
    let journey = until("a flow with several services and topics", Duration::from_secs(20), || {
        let entries = sillage.api("search?limit=500");
        entries["entries"].as_array().unwrap().iter().filter_map(|entry| entry["traceId"].as_str()).take(20).find_map(
            |trace| {
                let answer = sillage.get(&format!("/api/v1/flow/{trace}"));
                let flow = if answer.status == 200 { answer.json() } else { return None };
                let services = tally(
                    flow["spans"].as_array()?.iter().filter_map(|span| span["service"].as_str().map(str::to_owned)),
                );
                let topics = tally(
                    flow["records"]
                        .as_array()?
                        .iter()
                        .filter_map(|record| record["position"]["channel"].as_str().map(str::to_owned)),
                );
                (services.len() >= 3 && topics.len() >= 3).then(|| trace.to_owned())
            },
        )
    });
    assert_eq!(sillage.get(&format!("/flow/{journey}")).status, 200);
    assert_eq!(sillage.get(&format!("/trace/{journey}")).status, 200);
}

/// When the newest span of a service began, as text that sorts by time.
fn newest(sillage: &Sillage, service: &str) -> String {
    let entries = sillage.api(&format!("search?q=service:{service}&limit=100"));
    let spans = entries["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "span");
    spans.filter_map(|span| span["startedAt"].as_str()).max().unwrap_or_default().to_owned()
}

#[test]
fn a_service_that_is_stopped_is_seen_to_stop_and_the_others_go_on() {
    let home = Home::new("");
    let mut sillage = home.spawn_typing("demo");
    sillage.await_answer("/readyz");
    until("billing works", Duration::from_secs(20), || (!newest(&sillage, "billing").is_empty()).then_some(()));
    sillage.type_line("stop billing");
    sillage.await_log("billing is stopped");
    // What was under way arrives within an exporter's delay; from then on nothing may come.
    std::thread::sleep(Duration::from_secs(5));
    let (billing, shop) = (newest(&sillage, "billing"), newest(&sillage, "shop-api"));
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(newest(&sillage, "billing"), billing, "nothing new from a service that is stopped");
    assert!(newest(&sillage, "shop-api") > shop, "the others go on");
}

/// Every record by its position and what it says, however often.
fn records(sillage: &Sillage) -> BTreeMap<String, usize> {
    let entries = sillage.search_all("");
    tally(
        entries
            .iter()
            .filter(|entry| entry["kind"] == "record")
            .map(|record: &Value| format!("{} {} {}", record["position"], record["eventId"], record["body"])),
    )
}

#[test]
fn started_twice_on_one_folder_it_loses_nothing_of_the_first_time() {
    let home = Home::new("");
    let mut first = home.spawn("demo");
    first.await_answer("/readyz");
    until("the first shop is busy", Duration::from_secs(30), || {
        (first.api("status")["store"]["records"].as_u64()? >= 100).then_some(())
    });
    let before = records(&first);
    first.kill_9();

    let mut second = home.spawn("demo");
    second.await_answer("/readyz");
    // The embedded broker starts anew: the same topics, the same offsets, other events.
    let after = until("the second shop is busy", Duration::from_secs(30), || {
        let after = records(&second);
        (after.values().sum::<usize>() >= before.values().sum::<usize>() + 100).then_some(after)
    });
    for (record, count) in &before {
        assert_eq!(after.get(record), Some(count), "of the first time: {record}");
    }
}

#[test]
fn on_taken_ports_it_picks_others_and_says_which() {
    let home = Home::new("");
    let _taken: Vec<TcpListener> =
        [home.web, home.grpc, home.http].into_iter().map(|address| TcpListener::bind(address).unwrap()).collect();
    let sillage = home.spawn("demo");
    let url = until("a URL", Duration::from_secs(60), || {
        let log = sillage.log();
        let start = log.find("http://127.0.0.1:")?;
        let rest = &log[start + "http://".len()..];
        let address = rest.split(|at: char| !at.is_ascii_digit() && at != '.' && at != ':').next()?;
        address.trim_end_matches(['.', ':']).parse::<SocketAddr>().ok()
    });
    assert_ne!(url, home.web);
    until("the picked address answers", Duration::from_secs(60), || {
        http::get(url, "/readyz").ok().filter(|answer| answer.status == 200)
    });
    until("the lines to paste", Duration::from_secs(10), || {
        sillage.log().contains("OTEL_EXPORTER_OTLP_ENDPOINT=").then_some(())
    });
}
