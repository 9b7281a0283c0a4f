use proptest::prelude::*;

use super::*;

fn read(schema: &str) -> Schema {
    Schema::read(schema, &[]).unwrap()
}

#[track_caller]
fn check(schema: &str, bytes: &[u8], expected: &str) {
    let told = decode(&read(schema), bytes, 1 << 20).map_err(|problem| problem.to_string());
    assert_eq!(told.as_deref().unwrap_or_else(|says| says), expected);
    assert_eq!(told.is_ok(), serde_json::from_str::<serde_json::Value>(expected).is_ok(), "{told:?}");
}

#[test]
fn every_type_is_read_as_the_specification_writes_it() {
    check(r#""null""#, b"", "null");
    check(r#""boolean""#, b"\x01", "true");
    check(r#""int""#, b"\x03", "-2");
    check(r#""long""#, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "-9223372036854775808");
    check(r#""float""#, &1.5_f32.to_le_bytes(), "1.5");
    check(r#""double""#, &(-0.1_f64).to_le_bytes(), "-0.1");
    check(r#""bytes""#, b"\x04\xff\x00", r#""ff00""#);
    check(r#""string""#, b"\x06foo", r#""foo""#);
    check(r#"{"type":"fixed","name":"F","size":2}"#, b"\xff\x01", r#""ff01""#);
    check(r#"{"type":"enum","name":"E","symbols":["A","B"]}"#, b"\x02", r#""B""#);
    check(r#"{"type":"array","items":"long"}"#, b"\x04\x06\x36\x00", "[3,27]");
    // A block that tells its length, then another.
    check(r#"{"type":"array","items":"long"}"#, b"\x01\x02\x06\x02\x36\x00", "[3,27]");
    check(r#"{"type":"map","values":"int"}"#, b"\x02\x02a\x02\x00", r#"{"a":1}"#);
    check(r#"["null","string"]"#, b"\x02\x02a", r#""a""#);
    check(r#"["null","string"]"#, b"\x00", "null");
    check(
        r#"{"type":"record","name":"test","fields":[{"name":"a","type":"long"},{"name":"b","type":"string"}]}"#,
        b"\x36\x06foo",
        r#"{"a":27,"b":"foo"}"#,
    );
    check("string", b"\x02a", r#""a""#);
}

#[test]
fn logical_types_are_shown_as_people_write_them() {
    let logical = |base: &str, kind: &str| format!(r#"{{"type":"{base}","logicalType":"{kind}"}}"#);
    check(&logical("int", "date"), b"\x02", r#""1970-01-02""#);
    check(&logical("int", "time-millis"), b"\xd0\x0f", r#""00:00:01""#);
    check(&logical("long", "timestamp-millis"), b"\xd0\x0f", r#""1970-01-01T00:00:01Z""#);
    check(&logical("long", "timestamp-micros"), b"\x02", r#""1970-01-01T00:00:00.000001Z""#);
    check(&logical("long", "local-timestamp-millis"), b"\xd0\x0f", r#""1970-01-01T00:00:01""#);
    check(&logical("string", "uuid"), b"\x02a", r#""a""#);
    check(r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#, b"\x04\x01\x00", "2.56");
    check(r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#, b"\x02\xff", "-0.01");
    check(r#"{"type":"bytes","logicalType":"decimal","precision":9}"#, b"\x02\x7f", "127");
    check(
        r#"{"type":"fixed","name":"D","size":12,"logicalType":"duration"}"#,
        b"\x01\0\0\0\x02\0\0\0\x03\0\0\0",
        r#"{"months":1,"days":2,"millis":3}"#,
    );
    let far = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    check(&logical("long", "timestamp-millis"), far, "-9223372036854775808");
}

#[test]
fn names_are_found_in_their_namespace_and_in_schemas_that_are_referred_to() {
    let money = r#"{"type":"record","name":"Money","namespace":"shop","fields":[{"name":"amount","type":"long"},{"name":"unit","type":"Unit"}]}"#;
    let unit = r#"{"type":"enum","name":"shop.Unit","symbols":["EUR","USD"]}"#;
    let placed = r#"{"type":"record","name":"shop.Placed","fields":[{"name":"total","type":"Money"},{"name":"unit","type":"shop.Unit"}]}"#;
    let references =
        [("shop.Money", money), ("shop.Unit", unit)].map(|(name, text)| (name.to_owned(), text.to_owned()));
    let schema = Schema::read(placed, &references).unwrap();
    assert_eq!(schema.name.as_deref(), Some("shop.Placed"));
    assert_eq!(decode(&schema, b"\x02\x02\x00", 100).unwrap(), r#"{"total":{"amount":1,"unit":"USD"},"unit":"EUR"}"#);
    let says = Schema::read(placed, &references[..1]).unwrap_err().to_string();
    assert!(says.contains("`shop.Unit`"), "{says}");
}

#[test]
fn bytes_that_do_not_fit_say_why() {
    check(r#""string""#, b"\x08ab", "it ends where 4 bytes more are wanted");
    check(r#""string""#, b"\x02ab", "1 bytes are left over behind it");
    check(r#""boolean""#, b"\x02", "a boolean is neither 0 nor 1");
    check(r#"["null"]"#, b"\x02", "a union has no branch 1");
    check(r#""int""#, b"\xff\xff\xff\xff\xff\x01", "an int is larger than 32 bits");
}

#[test]
fn a_few_bytes_can_not_become_endless_values() {
    let many = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    let says = decode(&read(r#"{"type":"array","items":"null"}"#), many, 1 << 20).unwrap_err().to_string();
    assert!(says.contains("1048576 bytes"), "{says}");
    let list = r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#;
    let says = decode(&read(list), &[2; 1 << 20], 1 << 20).unwrap_err().to_string();
    assert!(says.contains("deep"), "{says}");
    let endless = r#"{"type":"record","name":"L","fields":[{"name":"next","type":"L"}]}"#;
    assert!(decode(&read(endless), b"", 1 << 20).is_err());
}

#[test]
fn schemas_that_are_none_are_refused() {
    for text in [
        "{}",
        "[[\"null\"]]",
        "7",
        r#"{"type":"record","name":"a"}"#,
        r#"{"type":"array"}"#,
        "nothing",
        &"[".repeat(9_000),
    ] {
        assert!(Schema::read(text, &[]).is_err(), "{text}");
    }
}

fn schemas() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(vec![
        "\"null\"",
        "\"boolean\"",
        "\"int\"",
        "\"long\"",
        "\"double\"",
        "\"bytes\"",
        "\"string\"",
        r#"{"type":"long","logicalType":"timestamp-micros"}"#,
        r#"{"type":"bytes","logicalType":"decimal","scale":40}"#,
        "\"R\"",
    ])
    .prop_map(str::to_owned);
    let any = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|items| format!(r#"{{"type":"array","items":{items}}}"#)),
            inner.clone().prop_map(|values| format!(r#"{{"type":"map","values":{values}}}"#)),
            inner.prop_map(|field| format!(r#"["null",{{"type":"array","items":{field}}}]"#)),
        ]
    });
    proptest::collection::vec(any, 1..4).prop_map(|types| {
        let fields: Vec<String> =
            types.iter().enumerate().map(|(number, kind)| format!(r#"{{"name":"f{number}","type":{kind}}}"#)).collect();
        format!(r#"{{"type":"record","name":"R","fields":[{}]}}"#, fields.join(","))
    })
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic_nor_exceed_the_limits(schema in schemas(), bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(text) = decode(&read(&schema), &bytes, 4_096) {
            prop_assert!(text.len() <= 4_096);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn hostile_schemas_never_panic(text in r#"(\{|\}|\[|\]|,|:|"type"|"name"|"record"|"fields"|"array"|"items"|"R"|"int"){0,24}"#) {
        let _ = Schema::read(&text, &[]);
    }
}
