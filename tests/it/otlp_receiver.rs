//! OTLP in every transport and encoding; and what the receiver answers to what it can't take.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use serde_json::{Value, json};
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;

use crate::rig::home::Home;
use crate::rig::kafka::block_on;
use crate::rig::{http, otlp};

fn ids() -> ([u8; 16], [u8; 8]) {
    (rand::random(), rand::random())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn channel(home: &Home) -> Channel {
    Channel::from_shared(format!("http://{}", home.grpc)).unwrap().connect().await.unwrap()
}

/// The one span of a flow, with the log beside it.
fn check_flow(flow: &Value, trace: [u8; 16], span: [u8; 8], service: &str, name: &str) {
    assert_eq!(flow["traceId"], hex::encode(trace), "{flow}");
    let spans = flow["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 1, "{flow}");
    assert_eq!(spans[0]["spanId"], hex::encode(span));
    assert_eq!(spans[0]["service"], service);
    assert_eq!(spans[0]["name"], name);
}

#[test]
fn what_comes_by_grpc_is_found_by_its_trace_id() {
    let home = Home::new("");
    let sillage = home.serve();
    let (trace, span) = ids();
    for compression in [None, Some(CompressionEncoding::Gzip)] {
        block_on(async {
            let channel = channel(&home).await;
            let mut traces = TraceServiceClient::new(channel.clone());
            let mut logs = LogsServiceClient::new(channel);
            if let Some(encoding) = compression {
                traces = traces.send_compressed(encoding);
                logs = logs.send_compressed(encoding);
            }
            // The second round sends the same again, compressed: an exporter's retry is not a second span.
            let taken = traces.export(otlp::traces("grpc", vec![fixed_span(trace, span)])).await.unwrap().into_inner();
            assert!(taken.partial_success.is_none_or(|partial| partial.rejected_spans == 0));
            if compression.is_none() {
                let log = otlp::log(trace, span, "by grpc");
                let taken = logs.export(otlp::logs("grpc", vec![log])).await.unwrap().into_inner();
                assert!(taken.partial_success.is_none_or(|partial| partial.rejected_log_records == 0));
            }
        });
    }
    let flow = sillage.flow_when(&hex::encode(trace), "a log", |flow| flow["logs"][0].is_object());
    check_flow(&flow, trace, span, "grpc", "placed");
    assert_eq!(flow["logs"].as_array().unwrap().len(), 1);
    assert_eq!(flow["logs"][0]["body"], "by grpc");
}

fn fixed_span(trace: [u8; 16], id: [u8; 8]) -> opentelemetry_proto::tonic::trace::v1::Span {
    let mut span = otlp::span(trace, id, "placed");
    span.start_time_unix_nano = 1_790_000_000_000_000_000;
    span.end_time_unix_nano = 1_790_000_000_001_000_000;
    span.attributes = vec![otlp::string("order.id", "o-1"), otlp::int("messaging.batch.message_count", 7)];
    span
}

#[test]
fn what_comes_by_http_in_any_encoding_is_found_with_its_attributes() {
    let home = Home::new("");
    let sillage = home.serve();
    for (name, compressed, as_json) in
        [("protobuf", false, false), ("protobuf-gzip", true, false), ("json", false, true), ("json-gzip", true, true)]
    {
        let (trace, span) = ids();
        let body = if as_json {
            // As the OTLP specification writes JSON: ids in hex, 64-bit numbers as strings, lowerCamelCase.
            json!({"resourceSpans": [{
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": name}}]},
                "scopeSpans": [{"scope": {"name": "it"}, "spans": [{
                    "traceId": hex::encode(trace), "spanId": hex::encode(span), "name": "placed", "kind": 2,
                    "startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000000001000000",
                    "attributes": [
                        {"key": "order.id", "value": {"stringValue": "o-1"}},
                        {"key": "messaging.batch.message_count", "value": {"intValue": "7"}}],
                    "status": {}}]}]}]})
            .to_string()
            .into_bytes()
        } else {
            otlp::traces(name, vec![fixed_span(trace, span)]).encode_to_vec()
        };
        let content_type = if as_json { "application/json" } else { "application/x-protobuf" };
        let mut headers = vec![("content-type", content_type)];
        let body = if compressed {
            headers.push(("content-encoding", "gzip"));
            gzip(&body)
        } else {
            body
        };
        let answer = http::post(home.http, "/v1/traces", &headers, &body).unwrap();
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert!(answer.header("content-type").unwrap().starts_with(content_type), "{name}: {:?}", answer.headers);
        let flow = sillage.flow_when(&hex::encode(trace), "a span", |flow| flow["spans"][0].is_object());
        check_flow(&flow, trace, span, name, "placed");
        assert_eq!(flow["spans"][0]["attributes"]["order.id"], "o-1", "{name}");
        assert_eq!(flow["spans"][0]["attributes"]["messaging.batch.message_count"], 7, "{name}");
        assert_eq!(flow["spans"][0]["durationMs"].as_f64(), Some(1.0), "{name}");
    }
}

#[test]
fn metrics_are_taken_politely_so_that_an_exporter_does_not_complain() {
    let home = Home::new("");
    let _sillage = home.serve();
    let empty = ExportMetricsServiceRequest::default();
    assert_eq!(otlp::post(home.http, "metrics", &empty).unwrap().status, 200);
    block_on(async {
        MetricsServiceClient::new(channel(&home).await).export(empty).await.unwrap();
    });
}

#[test]
fn what_cannot_be_read_is_refused_for_good_and_the_rest_goes_on() {
    let home = Home::new("");
    let sillage = home.serve();
    let protobuf = [("content-type", "application/x-protobuf")];
    let garbage = http::post(home.http, "/v1/traces", &protobuf, b"\xff\xff\xff\xff not otlp").unwrap();
    assert_eq!(garbage.status, 400, "{}", garbage.text());
    let not_json =
        http::post(home.http, "/v1/traces", &[("content-type", "application/json")], b"{\"resourceSpans\": [").unwrap();
    assert_eq!(not_json.status, 400, "{}", not_json.text());
    let torn =
        http::post(home.http, "/v1/traces", &[protobuf[0], ("content-encoding", "gzip")], b"\x1f\x8b\x08\x00torn")
            .unwrap();
    assert_eq!(torn.status, 400, "{}", torn.text());
    let strange = http::post(home.http, "/v1/traces", &[("content-type", "text/plain")], b"hello").unwrap();
    assert_eq!(strange.status, 415, "{}", strange.text());
    assert_eq!(http::get(home.http, "/v1/traces").unwrap().status, 405);
    assert_eq!(http::post(home.http, "/v1/nothing", &protobuf, b"").unwrap().status, 404);

    let (trace, span) = ids();
    otlp::post_all(home.http, "traces", &otlp::traces("after", vec![otlp::span(trace, span, "still here")]));
    sillage.flow_when(&hex::encode(trace), "a span", |flow| flow["spans"][0].is_object());
}

#[test]
fn spans_without_a_valid_id_are_rejected_by_number_and_their_neighbours_are_kept() {
    let home = Home::new("");
    let sillage = home.serve();
    let (trace, span) = ids();
    let good = otlp::span(trace, span, "good");
    let zero = otlp::span([0; 16], rand::random(), "no trace id");
    let mut short = otlp::span(rand::random(), rand::random(), "short span id");
    short.span_id.truncate(5);
    let request = otlp::traces("partly", vec![zero, good, short]);
    let partial = block_on(async { TraceServiceClient::new(channel(&home).await).export(request).await })
        .unwrap()
        .into_inner()
        .partial_success
        .expect("says what it did not take");
    assert_eq!(partial.rejected_spans, 2, "{partial:?}");
    assert!(!partial.error_message.is_empty());
    let flow = sillage.flow_when(&hex::encode(trace), "the good span", |flow| flow["spans"][0].is_object());
    check_flow(&flow, trace, span, "partly", "good");
}

#[test]
fn a_decompression_bomb_is_refused_without_eating_the_memory() {
    let home = Home::new("");
    let sillage = home.serve();
    let before = memory_kib(sillage.pid());
    // A gigabyte of zeros in about a megabyte, sent four times at once.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    (0..1024).for_each(|_| encoder.write_all(&zeros).unwrap());
    let bomb = encoder.finish().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "gzip")];
                let answer = http::post(home.http, "/v1/traces", &headers, &bomb).unwrap();
                assert_eq!(answer.status, 413, "{}", answer.text());
            });
        }
    });
    let grown = memory_kib(sillage.pid()).saturating_sub(before);
    assert!(grown < 512 * 1024, "grew by {grown} KiB");
    assert_eq!(sillage.get("/readyz").status, 200);
}

/// The most memory that a process has had so far.
fn memory_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_client_that_never_finishes_its_headers_is_let_go() {
    let home = Home::new("");
    let sillage = home.serve();
    for server in [home.http, home.web] {
        let mut slow = TcpStream::connect(server).unwrap();
        slow.write_all(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\n").unwrap();
        slow.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let started = Instant::now();
        let mut rest = Vec::new();
        // Either an answer (408) or a closed connection: both end the read before the test's own patience does.
        let ended = slow.read_to_end(&mut rest);
        assert!(
            ended.is_ok() || started.elapsed() < Duration::from_secs(55),
            "{server} kept a silent client: {ended:?}"
        );
    }
    assert_eq!(sillage.get("/readyz").status, 200);
}
