//! Questions over HTTP: a flow by its trace, entries by a key, an event id, a field, and the pages that count.

use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::rig::home::Home;
use crate::saga::{Load, event_id, order_id};
use crate::table::{Table, percentile_ms, percentiles};

/// How often a page that counts over everything is asked for: it may take a tenth of a second.
const PAGE_LOOKS: usize = 20;

/// What is asked about a saga, or what the answer must show.
type AboutSaga = fn(usize) -> String;

/// Asks for flows by trace id, each of 12 spans: the whole walk, in JSON.
pub fn flows(load: &Load, home: &Home, lookups: usize) -> Vec<Duration> {
    let mut connection = Connection::open(home.web).unwrap();
    let any = || rand::random_range(0..load.traces.len());
    (0..lookups)
        .map(|_| time(&mut connection, &format!("/api/v1/flow/{}", hex::encode(load.traces[any()])), ""))
        .collect()
}

/// Asks, one question after the other over one connection. `before` is what flows took at a tenth of the data.
pub fn asked(table: &mut Table, load: &Load, home: &Home, lookups: usize, before: &[Duration]) {
    let times = flows(load, home, lookups);
    let remark = format!("{lookups} lookups of 12 spans each, in JSON, over {} spans", load.spans);
    table.add_bound("flow by trace id, p50 / p99 ms", &percentiles(&times), "0.75 / 4.5", &remark);
    let ratio = percentile_ms(&times, 99) / percentile_ms(before, 99);
    let remark = format!("over a tenth of the data it took {} ms", percentiles(before));
    table.add_bound("  its p99 over that at a tenth of the data", &format!("x{ratio:.1}"), "x2 / x1.3", &remark);

    let mut connection = Connection::open(home.web).unwrap();
    let any = || rand::random_range(0..load.traces.len());
    let questions: [(&str, AboutSaga, AboutSaga); 3] = [
        ("search by key", |saga| format!("key:{}", order_id(saga)), order_id),
        ("search by event id", |saga| format!("event:{}", event_id(saga, 3)), |saga| event_id(saga, 3)),
        ("search by a field", |saga| format!("attr.order.id:{}", order_id(saga)), order_id),
    ];
    for (what, query, shows) in questions {
        let path = |saga| format!("/api/v1/search?limit=20&q={}", query(saga));
        let times: Vec<Duration> =
            (0..lookups / 4).map(|_| any()).map(|saga| time(&mut connection, &path(saga), &shows(saga))).collect();
        table.add_bound(&format!("{what}, p50 / p99 ms"), &percentiles(&times), "1 / 10", "");
    }
    for (what, query) in
        [("a word", "declined"), ("a prefix", "attr.order.id:order-00001*"), ("failures", "status:failed")]
    {
        let path = format!("/api/v1/search?limit=20&q={query}");
        let times: Vec<Duration> = (0..PAGE_LOOKS).map(|_| time(&mut connection, &path, "\"entries\"")).collect();
        table.add(&format!("search by {what}, p50 / p99 ms"), &percentiles(&times), "the newest 20 of many");
    }
    for (what, path) in [("overview", "/"), ("flows", "/flows"), ("topics", "/topics")] {
        let times: Vec<Duration> = (0..PAGE_LOOKS).map(|_| time(&mut connection, path, "</html>")).collect();
        table.add(&format!("page: {what}, p50 / p99 ms"), &percentiles(&times), "");
    }
}

/// How long an answer takes that shows what it must.
fn time(connection: &mut Connection, path: &str, must_show: &str) -> Duration {
    let started = Instant::now();
    let answer = connection.get(path).unwrap();
    let took = started.elapsed();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert!(answer.text().contains(must_show), "{path} lacks {must_show}");
    took
}
