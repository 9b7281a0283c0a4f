//! The OTLP receiver from outside: a real gRPC client, and HTTP as it is on the wire.

#![expect(clippy::unwrap_used, reason = "in a test that can't go on, the panic is the report")]

#[path = "otlp/rig.rs"]
mod rig; // a receiver to send to, stores that refuse, and plain HTTP

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use serde_json::json;
use store::StoreError;
use store::board::SourceState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tonic::Code;
use tonic::codec::CompressionEncoding;

use rig::{Given, JSON, PROTOBUF, Reluctant, gzip, logs, metrics, post, raw, span, traces};

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_by_grpc_is_kept_compressed_or_not() {
    let rig = Given::default().start().await;
    let channel = rig.channel().await;
    for (number, compression) in [(1, None), (2, Some(CompressionEncoding::Gzip))] {
        let mut client = TraceServiceClient::new(channel.clone());
        let mut log_client = LogsServiceClient::new(channel.clone());
        if let Some(encoding) = compression {
            client = client.send_compressed(encoding).accept_compressed(encoding);
            log_client = log_client.send_compressed(encoding).accept_compressed(encoding);
        }
        let answer = client.export(traces(vec![span(number)])).await.unwrap().into_inner();
        assert_eq!(answer.partial_success, None, "a full success says nothing more");
        let answer = log_client.export(logs(number)).await.unwrap().into_inner();
        assert_eq!(answer.partial_success, None);
    }
    let entries = rig.entries().await;
    assert_eq!(entries.iter().filter(|entry| entry.as_span().is_some()).count(), 2);
    assert_eq!(entries.iter().filter(|entry| entry.as_log().is_some()).count(), 2);
    assert_eq!(rig.status().received, 4);
    assert_eq!(rig.status().state, SourceState::Up);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_by_http_is_kept_and_answered_in_its_own_encoding() {
    let rig = Given::default().start().await;
    let request = traces(vec![span(1)]).encode_to_vec();
    for (content_type, body) in [(PROTOBUF, request), (JSON, serde_json::to_vec(&rig::span_json(2)).unwrap())] {
        for (encoding, body) in [("identity", body.clone()), ("gzip", gzip(&body))] {
            let headers = [("content-type", content_type), ("content-encoding", encoding)];
            let answer = post(rig.http, "/v1/traces", &headers, &body).await;
            assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)));
            let empty = if content_type == JSON { &b"{}"[..] } else { b"" };
            assert_eq!(answer.body, empty);
        }
    }
    assert_eq!(rig.entries().await.len(), 2, "sent again is not kept again");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ports_understand_both_protocols() {
    let rig = Given::default().start().await;
    let channel = rig::channel(rig.http).await;
    TraceServiceClient::new(channel).export(traces(vec![span(1)])).await.unwrap();
    let body = traces(vec![span(2)]).encode_to_vec();
    assert_eq!(post(rig.grpc, "/v1/traces", &[("content-type", PROTOBUF)], &body).await.status, 200);
    assert_eq!(rig.entries().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_request_is_a_success() {
    let rig = Given::default().start().await;
    let channel = rig.channel().await;
    TraceServiceClient::new(channel.clone()).export(ExportTraceServiceRequest::default()).await.unwrap();
    MetricsServiceClient::new(channel).export(ExportMetricsServiceRequest::default()).await.unwrap();
    for (content_type, body) in [(PROTOBUF, &b""[..]), (JSON, b"{}")] {
        for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] {
            assert_eq!(post(rig.http, path, &[("content-type", content_type)], body).await.status, 200, "{path}");
        }
    }
    assert!(rig.entries().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_without_valid_ids_are_rejected_by_number_and_the_others_are_kept() {
    let rig = Given::default().start().await;
    let mut bad = span(2);
    bad.trace_id = vec![0; 16];
    let request = traces(vec![span(1), bad]);
    let by_grpc = TraceServiceClient::new(rig.channel().await).export(request.clone()).await.unwrap().into_inner();
    let body = request.encode_to_vec();
    let answer = post(rig.http, "/v1/traces", &[("content-type", PROTOBUF)], &body).await;
    let by_http = ExportTraceServiceResponse::decode(answer.body.as_slice()).unwrap();
    for told in [by_grpc, by_http] {
        let partial = told.partial_success.unwrap();
        assert_eq!(partial.rejected_spans, 1);
        assert!(partial.error_message.contains("trace id"), "{}", partial.error_message);
    }
    let mut sent = rig::span_json(3);
    sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"] = json!("");
    let answer = post(rig.http, "/v1/traces", &[("content-type", JSON)], sent.to_string().as_bytes()).await;
    assert_eq!((answer.status, &answer.json()["partialSuccess"]["rejectedSpans"]), (200, &json!("1")));
    assert_eq!(rig.entries().await.len(), 1);
    assert_eq!(rig.board.refused()["otlp_invalid_ids"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_taken_with_a_warning_once_and_counted() {
    let rig = Given::default().start().await;
    let mut client = MetricsServiceClient::new(rig.channel().await);
    let first = client.export(metrics(3)).await.unwrap().into_inner().partial_success.expect("a warning");
    assert_eq!(first.rejected_data_points, 0, "a warning is no rejection");
    assert!(first.error_message.contains("OTEL_METRICS_EXPORTER"), "{}", first.error_message);
    let second = client.export(metrics(2)).await.unwrap().into_inner();
    assert_eq!(second.partial_success, None, "said once, not every minute");
    assert_eq!(rig.board.refused()["otlp_metrics_not_kept"], 5);
    assert!(rig.entries().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_cannot_keep_now_may_be_sent_again() {
    let full =
        || StoreError::Refused { reason: "the disk is full".to_owned(), retry_after: Duration::from_millis(2_500) };
    let rig = Given { store: Some(Reluctant::refusing(full)), ..Given::default() }.start().await;
    let refused = TraceServiceClient::new(rig.channel().await).export(traces(vec![span(1)])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("the disk is full"), "{}", refused.message());
    let status = rig::Status::decode(refused.details()).unwrap();
    assert_eq!((status.code, status.retry_delay()), (14, Some((2, 500_000_000))));

    let body = traces(vec![span(1)]).encode_to_vec();
    let answer = post(rig.http, "/v1/traces", &[("content-type", PROTOBUF)], &body).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("3")));
    assert_eq!(answer.header("content-type"), Some(PROTOBUF));
    let status = rig::Status::decode(answer.body.as_slice()).unwrap();
    assert_eq!((status.code, status.retry_delay()), (14, Some((2, 500_000_000))));

    let body = rig::span_json(1).to_string();
    let answer = post(rig.http, "/v1/traces", &[("content-type", JSON)], body.as_bytes()).await;
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!(14)));
    assert_eq!(answer.json()["details"][0]["retryDelay"], "2.5s");
    assert_eq!(rig.board.refused()["otlp_busy"], 3);
    assert_eq!(rig.status().received, 0, "what was refused was not received");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_costs_nobody_a_span_and_tells_no_paths() {
    let failed = || StoreError::File {
        what: "can't write",
        path: "log/000017".to_owned(),
        source: std::io::Error::other("input/output error"),
    };
    let rig = Given { store: Some(Reluctant::refusing(failed)), ..Given::default() }.start().await;
    let refused = TraceServiceClient::new(rig.channel().await).export(traces(vec![span(1)])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "exporters drop what comes back as INTERNAL");
    assert!(rig::Status::decode(refused.details()).unwrap().retry_delay().is_some());
    assert!(!refused.message().contains("000017"), "{}", refused.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_for_good_with_the_reason() {
    let rig = Given::default().start().await;
    let whole = traces(vec![span(1)]).encode_to_vec();
    let cases: [(&str, &str, Vec<u8>); 6] = [
        (PROTOBUF, "identity", b"\xff\xff\xff\xff not otlp".to_vec()),
        (PROTOBUF, "identity", whole[..whole.len() - 3].to_vec()),
        (PROTOBUF, "gzip", b"\x1f\x8b\x08\x00torn".to_vec()),
        (PROTOBUF, "gzip", whole.clone()),
        (JSON, "identity", b"{\"resourceSpans\": [".to_vec()),
        (JSON, "identity", whole.clone()),
    ];
    for (content_type, encoding, body) in cases {
        let headers = [("content-type", content_type), ("content-encoding", encoding)];
        let answer = post(rig.http, "/v1/traces", &headers, &body).await;
        assert_eq!((answer.status, answer.header("content-type")), (400, Some(content_type)));
        assert_eq!(answer.header("retry-after"), None);
        if content_type == PROTOBUF {
            let status = rig::Status::decode(answer.body.as_slice()).unwrap();
            assert_eq!((status.code, status.retry_delay()), (3, None));
            assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.BadRequest");
        } else {
            assert_eq!(answer.json()["code"], 3);
        }
    }
    // A request for traces whose bytes are none, through a real gRPC client.
    let refused = rig::call_with_bytes(rig.channel().await, b"\xff\xff\xff".to_vec()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("protobuf"), "{}", refused.message());
    assert_eq!(rig.board.refused()["otlp_invalid"], 7);

    let body = traces(vec![span(1)]).encode_to_vec();
    assert_eq!(
        post(rig.http, "/v1/traces", &[("content-type", PROTOBUF)], &body).await.status,
        200,
        "the rest goes on"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_are_told_apart() {
    let rig = Given::default().start().await;
    for (method, path, headers, status) in [
        ("POST", "/", &[("content-type", PROTOBUF)][..], 404),
        ("POST", "/v1/profiles", &[("content-type", PROTOBUF)], 404),
        ("GET", "/v1/traces", &[], 405),
        ("PUT", "/v1/logs", &[("content-type", JSON)], 405),
        ("OPTIONS", "/v1/traces", &[("origin", "http://localhost:3000")], 405),
        ("POST", "/v1/traces", &[("content-type", "text/plain")], 415),
        ("POST", "/v1/traces", &[], 415),
        ("POST", "/v1/traces", &[("content-type", PROTOBUF), ("content-encoding", "br")], 415),
        ("POST", "/v1/traces", &[("content-type", JSON), ("origin", "http://evil.example")], 403),
        ("POST", "/v1/traces", &[("content-type", "application/grpc")], 415),
    ] {
        let answer = raw(rig.http, method, path, headers, b"").await;
        assert_eq!(answer.status, status, "{method} {path} {headers:?}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let unknown = rig::call(rig.channel().await, "/opentelemetry.proto.collector.trace.v1.TraceService/Forget", vec![]);
    assert_eq!(unknown.await.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_for_good_over_every_way() {
    let rig = Given::default().start().await;
    // 65 MiB in a request that is otherwise fine.
    let mut big = span(1);
    big.name = "x".repeat(65 << 20);
    let request = traces(vec![big]);
    let body = request.encode_to_vec();
    let plain = post(rig.http, "/v1/traces", &[("content-type", PROTOBUF)], &body).await;
    assert_eq!((plain.status, plain.header("retry-after")), (413, None));
    let headers = [("content-type", PROTOBUF), ("content-encoding", "gzip")];
    assert_eq!(post(rig.http, "/v1/traces", &headers, &gzip(&body)).await.status, 413);
    let status = rig::Status::decode(plain.body.as_slice()).unwrap();
    assert_eq!((status.code, status.retry_delay()), (8, None));
    for compression in [None, Some(CompressionEncoding::Gzip)] {
        let mut client = TraceServiceClient::new(rig.channel().await).max_encoding_message_size(100 << 20);
        if let Some(encoding) = compression {
            client = client.send_compressed(encoding);
        }
        let refused = client.export(request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        assert_eq!(rig::Status::decode(refused.details()).unwrap().retry_delay(), None, "never to be sent again");
    }
    assert!(rig.entries().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_arrives_in_many_pieces_is_kept() {
    let rig = Given::default().start().await;
    let mut client = TraceServiceClient::new(rig.channel().await);
    // Many frames of HTTP/2, none of which but the first begins with the message's length.
    let mut big = span(1);
    big.name = "x".repeat(2 << 20);
    client.export(traces(vec![big])).await.unwrap();
    assert_eq!(rig.entries().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_request_is_taken_even_with_the_smallest_memory() {
    let rig = Given { memory_limit_bytes: 1, ..Given::default() }.start().await;
    let mut big = span(1);
    big.name = "x".repeat((64 << 20) - 1_000);
    let body = traces(vec![big]).encode_to_vec();
    assert!(body.len() > (64 << 20) - 1_000 && body.len() <= 64 << 20);
    let headers = [("content-type", PROTOBUF), ("content-encoding", "gzip")];
    assert_eq!(post(rig.http, "/v1/traces", &headers, &gzip(&body)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_is_bounded_and_more_may_come_again() {
    // A store that takes its time: requests pile up behind it.
    let slow = Reluctant::slow(Duration::from_secs(3));
    // Of these 2 GiB a thirty-second may be in flight.
    let rig = Given { store: Some(slow), memory_limit_bytes: 2 << 30, ..Given::default() }.start().await;
    let mut big = span(1);
    big.name = "x".repeat(30 << 20);
    let body = traces(vec![big]).encode_to_vec();
    let answers = futures_util::future::join_all((0..4).map(|_| {
        let body = body.clone();
        async move { post(rig.http, "/v1/traces", &[("content-type", PROTOBUF)], &body).await.status }
    }));
    let mut answers = answers.await;
    answers.sort_unstable();
    assert_eq!(answers, [200, 200, 503, 503], "two of 30 MiB fit into 64 MiB");
    assert_eq!(post(rig.http, "/v1/traces", &[("content-type", PROTOBUF)], &body).await.status, 200, "given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_others_reach_need_a_token() {
    let config = collector::otlp::Config {
        grpc: "0.0.0.0:0".parse().unwrap(),
        http: "127.0.0.1:0".parse().unwrap(),
        ..collector::otlp::Config::default()
    };
    let unprotected = Given { config: config.clone(), ..Given::default() }.start_error().await;
    assert!(unprotected.contains("[[access]]") && unprotected.contains("allow_unauthenticated"), "{unprotected}");

    let open = collector::otlp::Config { allow_unauthenticated: true, ..config.clone() };
    let rig = Given { config: open, ..Given::default() }.start().await;
    TraceServiceClient::new(rig.channel().await).export(traces(vec![span(1)])).await.unwrap();

    let allow: collector::otlp::Allow = Arc::new(|token| token == Some("secret"));
    let rig = Given { config, allow: Some(allow), ..Given::default() }.start().await;
    let channel = rig.channel().await;
    let refused = TraceServiceClient::new(channel.clone()).export(traces(vec![span(1)])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let body = traces(vec![span(1)]).encode_to_vec();
    let wrong = [("content-type", PROTOBUF), ("authorization", "Bearer wrong")];
    let answer = post(rig.grpc, "/v1/traces", &wrong, &body).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")));
    assert!(rig.entries().await.is_empty());

    let mut request = tonic::Request::new(traces(vec![span(1)]));
    request.metadata_mut().insert("authorization", "Bearer secret".parse().unwrap());
    TraceServiceClient::new(channel).export(request).await.unwrap();
    // The other port is loopback: nobody needs a token there.
    let body = traces(vec![span(2)]).encode_to_vec();
    assert_eq!(post(rig.http, "/v1/traces", &[("content-type", PROTOBUF)], &body).await.status, 200);
    assert_eq!(rig.entries().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_loris_clients_are_let_go_and_starve_nobody() {
    let limits = serve::Limits {
        header_timeout: Duration::from_millis(700),
        body_timeout: Duration::from_millis(700),
        connections_max: 100,
        ..serve::Limits::default()
    };
    let rig = Given { limits, ..Given::default() }.start().await;
    let mut half_open = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(rig.http).await.unwrap();
        let begun: &[u8] = match number % 3 {
            0 => b"POST /v1/traces HTTP/1.1\r\nhost: x\r\n",
            1 => b"",
            _ => b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 9\r\n\r\nabc",
        };
        // Some are asked to make room before they have written.
        let _ = stream.write_all(begun).await;
        half_open.push(stream);
    }
    let began = Instant::now();
    let body = traces(vec![span(1)]).encode_to_vec();
    assert_eq!(post(rig.http, "/v1/traces", &[("content-type", PROTOBUF)], &body).await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(2), "waited {:?} behind them", began.elapsed());
    for mut stream in half_open {
        let ended = timeout(Duration::from_secs(6), stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "still open");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_reported_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let http = taken.local_addr().unwrap();
    let config = collector::otlp::Config { http, ..rig::loopback() };
    let error = Given { config, ..Given::default() }.start_error().await;
    for told in [http.to_string().as_str(), "`http` in `[otlp]`", "Collector"] {
        assert!(error.contains(told), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_answers_what_is_under_way() {
    let slow = Reluctant::slow(Duration::from_millis(500));
    let rig = Given { store: Some(slow), ..Given::default() }.start().await;
    let mut client = TraceServiceClient::new(rig.channel().await);
    let under_way = tokio::spawn(async move { client.export(traces(vec![span(1)])).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    timeout(Duration::from_secs(5), rig.stop()).await.expect("stops in time");
    under_way.await.unwrap().expect("acknowledged before the stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_go_on_to_another_endpoint_whatever_the_encoding() {
    for by_grpc in [true, false] {
        let other = Given::default().start().await;
        let to = if by_grpc { other.grpc } else { other.http };
        // A path tells that it is HTTP where the port doesn't: here ports are random.
        let forward = if by_grpc { format!("http://{to}") } else { format!("http://{to}/v1/traces") };
        let config = collector::otlp::Config { forward, ..rig::loopback() };
        let rig = Given { config, ..Given::default() }.start().await;
        TraceServiceClient::new(rig.channel().await).export(traces(vec![span(1)])).await.unwrap();
        let body = rig::span_json(2).to_string();
        let headers = [("content-type", JSON), ("content-encoding", "gzip")];
        assert_eq!(post(rig.http, "/v1/traces", &headers, &gzip(body.as_bytes())).await.status, 200);
        let answer = MetricsServiceClient::new(rig.channel().await).export(metrics(4)).await.unwrap().into_inner();
        assert_eq!(answer.partial_success, None, "metrics go on, so there is nothing to warn about");
        rig.stop().await;
        other
            .until(|| other.status().received == 2 && other.board.refused().contains_key("otlp_metrics_not_kept"))
            .await;
        assert_eq!(other.board.refused()["otlp_metrics_not_kept"], 4, "by gRPC: {by_grpc}");
        assert_eq!(other.entries().await.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_takes_no_copies_delays_nothing_and_losses_are_counted() {
    // It answers nothing at all.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let forward = format!("http://{}", silent.local_addr().unwrap());
    let rig =
        Given { config: collector::otlp::Config { forward, ..rig::loopback() }, ..Given::default() }.start().await;
    let mut big = span(1);
    big.name = "x".repeat(10 << 20);
    let body = traces(vec![big]).encode_to_vec();
    for _ in 0..5 {
        let sent = post(rig.http, "/v1/traces", &[("content-type", PROTOBUF)], &body);
        assert_eq!(timeout(Duration::from_secs(5), sent).await.expect("not delayed").status, 200);
    }
    assert_eq!(rig.board.refused()["otlp_forward_full"], 2, "three of 10 MiB fit into 32 MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarding_to_oneself_is_refused_before_it_begins() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let grpc = taken.local_addr().unwrap();
    drop(taken);
    let config =
        collector::otlp::Config { grpc, forward: format!("http://localhost:{}", grpc.port()), ..rig::loopback() };
    let error = Given { config, ..Given::default() }.start_error().await;
    assert!(error.contains("itself"), "{error}");
}
