//! Questions over HTTP: a flow by its trace, entries by a key, an event id, a field, and the pages that count.

use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::rig::home::Home;
use crate::saga::{Load, event_id, order_id};
use crate::table::{Table, percentiles};

/// How often a page that counts over everything is asked for: it may take a tenth of a second.
const PAGE_LOOKS: usize = 20;

/// What is asked about a saga, or what the answer must show.
type AboutSaga = fn(usize) -> String;

/// Asks, one question after the other over one connection.
pub fn asked(table: &mut Table, load: &Load, home: &Home, lookups: usize) {
    let mut connection = Connection::open(home.web).unwrap();
    let mut time = |path: String, must_show: &str| {
        let started = Instant::now();
        let answer = connection.get(&path).unwrap();
        let took = started.elapsed();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(answer.text().contains(must_show), "{path} lacks {must_show}");
        took
    };
    let any = || rand::random_range(0..load.traces.len());

    let times = (0..lookups).map(|_| time(format!("/api/v1/flow/{}", hex::encode(load.traces[any()])), "")).collect();
    let remark = format!("{lookups} lookups of 12 spans each, in JSON");
    table.add_bound("flow by trace id, p50 / p99 ms", &percentiles(times), "0.75 / 4.5", &remark);

    let questions: [(&str, AboutSaga, AboutSaga); 3] = [
        ("search by key", |saga| format!("key:{}", order_id(saga)), order_id),
        ("search by event id", |saga| format!("event:{}", event_id(saga, 3)), |saga| event_id(saga, 3)),
        ("search by a field", |saga| format!("attr.order.id:{}", order_id(saga)), order_id),
    ];
    for (what, query, shows) in questions {
        let path = |saga| format!("/api/v1/search?limit=20&q={}", query(saga));
        let times: Vec<Duration> =
            (0..lookups / 4).map(any_of(&any)).map(|saga| time(path(saga), &shows(saga))).collect();
        table.add_bound(&format!("{what}, p50 / p99 ms"), &percentiles(times), "1 / 10", "");
    }
    for (what, path) in [("overview", "/"), ("flows", "/flows"), ("topics", "/topics")] {
        let times = (0..PAGE_LOOKS).map(|_| time(path.to_owned(), "</html>")).collect();
        table.add(&format!("page: {what}, p50 / p99 ms"), &percentiles(times), "");
    }
}

fn any_of(any: &impl Fn() -> usize) -> impl FnMut(usize) -> usize {
    move |_| any()
}
