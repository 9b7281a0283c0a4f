use bytes::Bytes;
use store::position::Incarnation;
use store::record::{Header, TimestampKind};
use store::{Place, Position, Timestamp, Value};

use super::*;
use crate::decode::Decoder;
use crate::decode::opened::Room;
use crate::source::raw::Raw;

fn rule(text: &str) -> Config {
    serde_json::from_str(text).unwrap()
}

fn with(rules: &[&str]) -> Redactor {
    Redactor::new(&rules.iter().map(|text| rule(text)).collect::<Vec<_>>()).unwrap()
}

#[track_caller]
fn check(redactor: &Redactor, given: &str, expected: &str) {
    let told = redactor.bytes(given.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(told.as_deref().unwrap_or(given), expected);
    assert_eq!(told.is_none(), given == expected, "what stays as it is is not copied");
}

#[test]
fn credentials_and_cards_are_taken_out_of_json_without_any_rule() {
    let redactor = Redactor::default();
    check(
        &redactor,
        r#"{"user":"ada","password":"hunter2","auth":{"accessToken":"abc","Refresh_Token": "d\"ef"},"n":[{"cvv":123}]}"#,
        r#"{"user":"ada","password":"[redacted]","auth":{"accessToken":"[redacted]","Refresh_Token": "[redacted]"},"n":[{"cvv":"[redacted]"}]}"#,
    );
    check(
        &redactor,
        r#"{"card":4111111111111111,"says":"paid with 5500 0000 0000 0004 today","password":{"deep":["x"]},"token":null}"#,
        r#"{"card":"[redacted]","says":"paid with [redacted] today","password":"[redacted]","token":null}"#,
    );
    check(&redactor, r#"{"pass\u0077ord":"x"}"#, r#"{"pass\u0077ord":"[redacted]"}"#);
    check(
        &redactor,
        r#"{"at":1763941000000000000,"tokens":17,"passwordless":true}"#,
        r#"{"at":1763941000000000000,"tokens":17,"passwordless":true}"#,
    );
}

#[test]
fn json_in_a_text_of_json_is_looked_into() {
    let inner = serde_json::to_string(r#"{"password":"hunter2","a":"é"}"#).unwrap();
    let expected = serde_json::to_string(r#"{"password":"[redacted]","a":"é"}"#).unwrap();
    check(&Redactor::default(), &format!(r#"{{"payload":{inner}}}"#), &format!(r#"{{"payload":{expected}}}"#));
}

#[test]
fn broken_json_and_bytes_hide_nothing() {
    let redactor = Redactor::default();
    check(&redactor, r#"{"a":1,"password":"hunt"#, r#"{"a":1,"password":"[redacted]""#);
    check(
        &redactor,
        r#"{"a":1,,"token":"x" "card":"4111111111111111"}"#,
        r#"{"a":1,,"token":"[redacted]" "card":"[redacted]"}"#,
    );
    check(&redactor, r#"[INFO] login password="hunter2" ok"#, r#"[INFO] login password="[redacted]" ok"#);
    check(&redactor, r#"{"a": b password="hunter2" }"#, r#"{"a": b password="[redacted]" }"#);
    let framed = b"\x00\x00\x00\x00\x07{\"password\":\"hunter2\"}\xff";
    let told = redactor.bytes(framed).unwrap();
    assert_eq!(told, b"\x00\x00\x00\x00\x07{\"password\":\"[redacted]\"}\xff");
    let deep = format!("{}\"password\":\"hunter2\"", "{\"a\":".repeat(5_000) + "{");
    assert!(!String::from_utf8(redactor.bytes(deep.as_bytes()).unwrap()).unwrap().contains("hunter2"));
}

#[test]
fn texts_lose_what_they_name() {
    let redactor = Redactor::default();
    check(&redactor, "GET /a?token=abc&b=c HTTP/1.1", "GET /a?token=[redacted]&b=c HTTP/1.1");
    check(&redactor, "Authorization: Bearer abc.def\nHost: x", "Authorization: [redacted]\nHost: x");
    check(&redactor, "cookie: a=b; c=d", "cookie: [redacted]");
    check(&redactor, "sent {'password': 'a b', 'n': 1}", "sent {'password': '[redacted]', 'n': 1}");
    check(&redactor, r#"sent "{\"password\":\"a b\",\"n\":1}""#, r#"sent "{\"password\":\"[redacted]\",\"n\":1}""#);
    check(&redactor, "invalid token: it has expired", "invalid token: it has expired");
    check(&redactor, "at 14:02:11 a=b", "at 14:02:11 a=b");
}

#[test]
fn rules_come_by_name_by_header_and_by_pattern() {
    let redactor = with(&[
        r#"{"field":"customer.email","action":"hash"}"#,
        r#"{"field":"iban","action":"drop"}"#,
        r#"{"regex":"[a-z]+@example\\.org"}"#,
        r#"{"field":"page.token","action":"keep"}"#,
    ]);
    check(
        &redactor,
        r#"{"customer":{"email":"ada","iban":"DE1"},"email":"ada","to":["x ada@example.org y"],"page":{"token":"t"}}"#,
        // printf %s ada | sha256sum | cut -c-16
        r#"{"customer":{"email":"redacted-fdee430d40bd57de"},"email":"ada","to":["x [redacted] y"],"page":{"token":"t"}}"#,
    );
    check(&redactor, r#"{"a":1, "iban":2, "iban":3}"#, r#"{"a":1}"#);
    check(&redactor, r#"{"iban":2, "a":1}"#, r#"{"a":1}"#);
    check(&redactor, r#"{"iban":2}"#, "{}");
    check(&redactor, r#"{"a":1,"iban":[1,{"x":"]"}],"b":2,"iban":null}"#, r#"{"a":1,"b":2}"#);
}

#[test]
fn a_pattern_reaches_over_values_and_into_numbers() {
    let redactor = with(&[r#"{"regex":"\"pin\":\"[0-9]+\"","action":"drop"}"#, r#"{"regex":"4711[0-9]*"}"#]);
    check(&redactor, r#"{"pin":"12","n":471199}"#, r#"{,"n":"[redacted]"}"#);
}

#[test]
fn a_record_is_redacted_before_anything_is_read_out_of_it() {
    let header = |name: &str, value: &[u8]| Header { name: name.into(), value: Some(Bytes::copy_from_slice(value)) };
    let raw = Raw {
        position: Position {
            source: "main".into(),
            channel: "orders".into(),
            incarnation: Incarnation(0),
            place: Place::Offset { partition: 0, offset: 1 },
        },
        cluster: None,
        timestamp: None,
        timestamp_kind: TimestampKind::Unknown,
        received_at: Timestamp::now(),
        key: Some(Bytes::from_static(b"ada@example.org")),
        body: Some(Bytes::from_static(br#"{"eventId":"ada@example.org"}"#)),
        headers: vec![
            header("Authorization", b"Bearer abc"),
            header("x-user", b"ada"),
            header("x-trace", b"1"),
            header("exception", b"login failed for password=hunter2"),
        ],
        transaction: None,
        problem: None,
    };
    let redactor = with(&[r#"{"regex":"[a-z]+@example\\.org"}"#, r#"{"header":"X-User","action":"drop"}"#]);
    let record = Decoder::new(redactor.into(), None).record(raw, &mut Room::of_batch());
    assert_eq!(record.key_text(), Some(MASK));
    assert_eq!(record.event.id.as_deref(), Some(MASK));
    let headers: Vec<(&str, &[u8])> =
        record.headers.iter().map(|header| (header.name.as_str(), header.value.as_deref().unwrap())).collect();
    assert_eq!(
        headers,
        [
            ("Authorization", &b"[redacted]"[..]),
            ("x-trace", b"1"),
            ("exception", b"login failed for password=[redacted]")
        ]
    );
}

#[test]
fn attributes_are_known_by_the_end_of_their_names() {
    let text = |text: &str| Value::Text(text.into());
    let mut attributes = vec![
        ("http.request.header.authorization".into(), Value::List(vec![text("Bearer abc")])),
        ("http.request.header.x_user".into(), text("ada")),
        ("x_user".into(), text("ada")),
        ("enduser".into(), Value::Map(vec![("password".into(), text("hunter2")), ("id".into(), text("7"))])),
        ("db.statement".into(), text("select 1")),
        ("card".into(), Value::Int(4_111_111_111_111_111)),
        ("url.full".into(), text("https://x/?api_key=abc")),
    ];
    with(&[r#"{"header":"x-user"}"#]).attributes(&mut attributes);
    let told: Vec<String> = attributes.iter().map(|(_, value)| value.to_string()).collect();
    assert_eq!(
        told,
        [MASK, MASK, "ada", r#"{"id":"7","password":"[redacted]"}"#, "select 1", MASK, "https://x/?api_key=[redacted]"]
    );
}

#[test]
fn a_rule_that_can_t_work_is_told() {
    for (text, says) in [
        (r#"{}"#, "says nothing"),
        (r#"{"field":"a","regex":"b"}"#, "more than one"),
        (r#"{"field":"a..b"}"#, "`field`"),
        (r#"{"header":""}"#, "`header`"),
        (r#"{"regex":"("}"#, "`regex`"),
        (r#"{"regex":"a*"}"#, "everywhere"),
        (r#"{"regex":"a","action":"keep"}"#, "`action`"),
    ] {
        let error = rule(text).check().unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_can_be_looked_at_and_twice_is_as_once(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let redactor = Redactor::default();
        let once = redactor.bytes(&bytes).unwrap_or_else(|| bytes.clone());
        proptest::prop_assert_eq!(redactor.bytes(&once).unwrap_or_else(|| once.clone()), once);
    }

    #[test]
    fn what_was_json_is_json_afterwards(text in r#"(\{|\[|"|,|:|password|token|x|\\|1|4111111111111111|\}|\]| |null){0,24}"#) {
        let redactor = with(&[r#"{"field":"token","action":"drop"}"#]);
        let told = redactor.bytes(text.as_bytes()).unwrap_or_else(|| text.clone().into_bytes());
        // A number alone is looked at as text, like any word.
        if text.starts_with(['{', '[']) && serde_json::from_str::<serde_json::Value>(&text).is_ok() {
            proptest::prop_assert!(serde_json::from_slice::<serde_json::Value>(&told).is_ok(), "{} became {}", text, String::from_utf8_lossy(&told));
        }
    }
}
