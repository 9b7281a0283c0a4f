//! What is asked of a registry, and what becomes of its answers; asked over real connections. The answers are Confluent's, as its
//! documentation and Apicurio 3.0.9 have them; `tests/it/registry.rs` asks a real Apicurio.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use store::board::SourceState;
use store::position::Incarnation;
use store::record::{BodyEncoding, TimestampKind};
use store::{Place, Position, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::decode::Decoder;

/// Answers by path: a status line and a body. Counts what it is asked.
async fn answering(answers: &[(&str, &str, &str)]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers: HashMap<String, String> = answers
        .iter()
        .map(|(path, status, body)| {
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            ((*path).to_owned(), answer)
        })
        .collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4_096];
            let length = stream.read(&mut request).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&request[..length]).into_owned();
            let path = text.split(' ').nth(1).unwrap_or_default();
            counted.fetch_add(1, Ordering::Relaxed);
            let none = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned();
            let _ = stream.write_all(answers.get(path).unwrap_or(&none).as_bytes()).await;
        }
    });
    (url, asked)
}

const TYPES: (&str, &str, &str) = ("/schemas/types", "200 OK", r#"["JSON","PROTOBUF","AVRO"]"#);

async fn document(answers: &[(&str, &str, &str)], id: SchemaId) -> Result<crate::decode::contract::Document, String> {
    let (url, _) = answering(answers).await;
    let config = Config { url: Some(url), ..Config::default() };
    config.connect().unwrap().unwrap().document(&id).await.map_err(|failed| failed.to_string())
}

#[tokio::test]
async fn a_schema_comes_with_its_subjects_and_with_all_that_it_refers_to() {
    let guid = SchemaId::read("guid", "00112233-4455-6677-8899-aabbccddeeff").unwrap();
    let told =
        r#"{"schema":"import","schemaType":"PROTOBUF","references":[{"name":"a.proto","subject":"a/b","version":2}]}"#;
    let answers = [
        ("/schemas/guids/00112233-4455-6677-8899-aabbccddeeff", "200 OK", told),
        ("/schemas/guids/00112233-4455-6677-8899-aabbccddeeff/ids", "200 OK", r#"[{"context":".","id":7}]"#),
        ("/schemas/ids/7", "200 OK", told),
        ("/schemas/ids/7/versions", "200 OK", r#"[{"subject":"orders-value","version":3}]"#),
        (
            "/subjects/a%2Fb/versions/2",
            "200 OK",
            // Refers to itself, which must not go round for ever.
            r#"{"subject":"a/b","version":2,"id":1,"schema":"A","references":[{"name":"c.proto","subject":"c","version":1},{"name":"a.proto","subject":"a/b","version":2}]}"#,
        ),
        ("/subjects/c/versions/1", "200 OK", r#"{"subject":"c","version":1,"id":2,"schema":"C","references":null}"#),
    ];
    for id in [SchemaId::Number(7), guid] {
        let document = document(&answers, id).await.unwrap();
        assert_eq!((document.kind.as_str(), document.text.as_str()), ("PROTOBUF", "import"));
        assert_eq!(
            document.references,
            [("a.proto", "A"), ("c.proto", "C")].map(|(name, text)| (name.into(), text.into()))
        );
        assert_eq!(document.subjects, [("orders-value".to_owned(), "3".to_owned())]);
    }
    let avro =
        document(&[("/schemas/ids/1", "200 OK", r#"{"schema":"\"string\""}"#)], SchemaId::Number(1)).await.unwrap();
    assert_eq!(avro.kind, "AVRO", "which is left out");
}

#[tokio::test]
async fn an_answer_that_is_none_says_what_is_wrong_and_what_to_do() {
    let long = format!("{{\"schema\":\"{}\"}}", "x".repeat(2 << 20));
    for (status, body, says) in [
        ("404 Not Found", r#"{"error_code":40403}"#, "isn't known to the registry at http://127.0.0.1"),
        ("401 Unauthorized", "", "refuses us (401 Unauthorized): check `username` and `password` in [registry]"),
        ("302 Found\r\nlocation: https://elsewhere/", "", "sends us on to https://elsewhere/"),
        ("503 Service Unavailable", "", "answers 503 Service Unavailable"),
        ("200 OK", "<html>", "is `url` in [registry] right?"),
        ("200 OK", &long, "has a text of more than 1048576 bytes"),
        (
            "200 OK",
            r#"{"schema":"A","references":[{"name":"a","subject":"gone","version":1}]}"#,
            "`gone`, which the registry doesn't know",
        ),
    ] {
        let told = document(&[("/schemas/ids/7", status, body)], SchemaId::Number(7)).await.unwrap_err();
        assert!(told.contains(says), "{told}");
    }
    let told = document(&[], SchemaId::GlobalId(7)).await.unwrap_err();
    assert!(told.contains("one of Apicurio's"), "{told}");
    let (url, _) = answering(&[]).await;
    let probe = Config { url: Some(url), ..Config::default() }.connect().unwrap().unwrap().probe().await;
    assert!(probe.unwrap_err().to_string().contains("/apis/ccompat/v7"));
}

fn raw(offset: i64, id: u32) -> Raw {
    Raw {
        position: Position {
            source: "main".into(),
            channel: "orders".into(),
            incarnation: Incarnation(0),
            place: Place::Offset { partition: 0, offset },
        },
        cluster: None,
        timestamp: None,
        timestamp_kind: TimestampKind::Unknown,
        received_at: Timestamp::from_nanos(0),
        key: None,
        body: Some(Bytes::from([&[0][..], &id.to_be_bytes(), b"\x02a"].concat())),
        headers: Vec::new(),
        transaction: None,
        problem: None,
    }
}

/// A decoder with a registry at that address, and its board.
fn decoder(url: &str) -> (Arc<Decoder>, Arc<Board>, CancellationToken) {
    let (board, stop) = (Arc::new(Board::default()), CancellationToken::new());
    let config = Config { url: Some(url.to_owned()), ..Config::default() };
    let setup = Setup { config, board: board.clone(), stop: stop.clone() };
    let (registry, _) = Registry::start(setup).unwrap().unwrap();
    (Arc::new(Decoder::new(Arc::default(), Some(registry))), board, stop)
}

async fn standing(board: &Board, state: SourceState) -> store::board::SourceStatus {
    for _ in 0..1_000 {
        if let Some(status) = board.sources().into_iter().find(|status| status.state == state) {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", board.sources());
}

#[tokio::test]
async fn a_batch_waits_for_a_new_schema_and_asks_for_it_once() {
    let (url, asked) = answering(&[TYPES, ("/schemas/ids/7", "200 OK", r#"{"schema":"\"string\""}"#)]).await;
    let (decoder, board, stop) = decoder(&url);
    standing(&board, SourceState::Up).await;
    let told = decoder.records(vec![raw(0, 7), raw(1, 7)]).await;
    assert!(told.iter().all(|record| record.encoding == BodyEncoding::Avro), "{told:?}");
    let before = asked.load(Ordering::Relaxed);
    decoder.records(vec![raw(2, 7)]).await;
    assert_eq!(asked.load(Ordering::Relaxed), before, "it is at hand");
    let unknown = decoder.records(vec![raw(3, 8)]).await.remove(0);
    assert!(unknown.problem.unwrap().contains("id 8, isn't known to the registry"));
    assert_eq!(standing(&board, SourceState::Up).await.received, 1, "one schema");
    stop.cancel();
}

#[tokio::test]
async fn nobody_waits_for_a_registry_that_is_down() {
    // A port on which nobody listens.
    let url = format!("http://{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let (decoder, board, stop) = decoder(&url);
    let error = standing(&board, SourceState::Down).await.error.unwrap();
    assert!(error.contains("can't be reached") && error.contains("is it running"), "{error}");
    let began = Instant::now();
    for offset in 0..20 {
        let told = decoder.records(vec![raw(offset, 7)]).await.remove(0);
        let problem = told.problem.clone().unwrap();
        assert!(
            problem.contains("its schema, id 7, can't be had now") && problem.contains("can't be reached"),
            "{problem}"
        );
        assert_eq!(told.body_schema().unwrap().id, SchemaId::Number(7));
    }
    assert!(began.elapsed() < WAIT_MAX, "{:?}", began.elapsed());
    stop.cancel();
}

#[tokio::test]
async fn a_registry_that_hangs_costs_one_wait_and_then_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (decoder, _, stop) = decoder(&url);
    let began = Instant::now();
    for offset in 0..20 {
        assert!(decoder.records(vec![raw(offset, 7)]).await.remove(0).problem.is_some());
    }
    assert!(began.elapsed() < WAIT_MAX * 2, "{:?}", began.elapsed());
    stop.cancel();
}
