//! Sillage's own traces and logs, sent to an OTLP endpoint: another Sillage, or whatever listens.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use crate::rig::home::{Home, Sillage};
use crate::rig::{http, otlp, until};

const PATIENCE: Duration = Duration::from_secs(20);

fn sending_to(endpoint: &str) -> String {
    format!("[telemetry]\nendpoint = \"{endpoint}\"\n")
}

/// How many of Sillage's own spans with a name there are.
fn own_spans(sillage: &Sillage, name: &str) -> usize {
    sillage.search_all("service:sillage kind:span").iter().filter(|span| span["name"] == name).count()
}

#[test]
fn a_page_that_was_asked_for_is_a_trace_with_what_the_store_took_and_log_lines_come_too_by_grpc_and_http() {
    for by_http in [false, true] {
        let receiving = Home::new("");
        let receiver = receiving.serve();
        let endpoint =
            if by_http { format!("http://{}/v1/traces", receiving.http) } else { format!("http://{}", receiving.grpc) };
        let watched = Home::new(&sending_to(&endpoint)).serve();
        assert_eq!(watched.get("/flows?q=nothing").status, 200);
        assert_eq!(watched.get("/no-such-page").status, 404);
        let spans = receiver.search_when("service:sillage kind:span", 3, PATIENCE);
        let span =
            |name: &str| spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("{name}: {spans:?}"));
        let page = span("GET /flows");
        assert_eq!((&page["spanKind"], &page["attributes"]["http.route"]), (&"server".into(), &"/flows".into()));
        assert_eq!(page["attributes"]["http.response.status_code"], 200, "{page}");
        let search = span("search");
        assert_eq!((&search["traceId"], &search["parentSpanId"]), (&page["traceId"], &page["spanId"]));
        assert!(!spans.iter().any(|span| span["name"].as_str().unwrap().contains("readyz")), "probes are no traces");
        let logs = receiver.search_when("service:sillage kind:log", 1, PATIENCE);
        assert!(logs.iter().any(|log| log["body"] == "receiving OTLP"), "{logs:?}");
        watched.stop();
    }
}

#[test]
fn two_that_send_to_each_other_come_to_rest() {
    let (one, other) = (Home::new(""), Home::new(""));
    one.configure(&sending_to(&format!("http://{}", other.grpc)));
    other.configure(&sending_to(&format!("http://{}", one.grpc)));
    let (a, b) = (one.serve(), other.serve());
    // What others send is worth a span, on the way to the other one.
    let (trace, span) = (rand::random(), rand::random());
    otlp::post_all(one.http, "traces", &otlp::traces("shop", vec![otlp::span(trace, span, "placed")]));
    until("a span about receiving it", PATIENCE, || (own_spans(&b, "receive /v1/traces") == 1).then_some(()));
    until("what the store took of it", PATIENCE, || (own_spans(&b, "append") == 1).then_some(()));
    // Several times as long as they wait before they send: were there a span about a span, it would be here.
    let entries = || [&a, &b].map(|sillage| sillage.api("status")["store"]["entries"].clone());
    std::thread::sleep(Duration::from_secs(2));
    let resting = entries();
    std::thread::sleep(Duration::from_secs(4));
    // The two questions that were asked meanwhile are traces of their own: `GET /api/v1/status`, and nothing else.
    let grown: i64 =
        entries().iter().zip(&resting).map(|(now, then)| now.as_i64().unwrap() - then.as_i64().unwrap()).sum();
    assert!(grown <= 4, "{grown} entries more while nothing happened");
    assert_eq!(own_spans(&b, "receive /v1/traces"), 1);
}

#[test]
fn headers_go_along_and_an_endpoint_that_refuses_or_is_gone_costs_nothing_but_its_telemetry() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_ascii_lowercase());
        }
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap();
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        head
    });
    let more = format!("{}headers = {{ \"X-Scope\" = \"shop\" }}\n", sending_to(&format!("http://{address}/otlp")));
    let home = Home::new(&more);
    let sillage = home.serve();
    let head = answering.join().unwrap();
    assert!(head[0] == "post /otlp/v1/logs http/1.1" || head[0] == "post /otlp/v1/traces http/1.1", "{head:?}");
    assert!(head.contains(&"x-scope: shop".to_owned()), "{head:?}");
    // From now on nobody listens there.
    assert_eq!(sillage.get("/flows").status, 200);
    until("what was lost is counted", PATIENCE, || {
        let refused = sillage.api("status")["refused"].clone();
        (refused["telemetry_spans_lost"].as_u64()? > 0 && refused["telemetry_logs_lost"].as_u64()? > 0).then_some(())
    });
    assert!(sillage.log().contains("[telemetry] endpoint doesn't take"), "{}", sillage.log());
    assert_eq!(http::get(home.web, "/readyz").unwrap().status, 200);
    assert!(sillage.stop().success(), "it stops in time all the same");
}
