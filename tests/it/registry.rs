//! Bodies that a schema registry's serializers wrote: Confluent's own, from Python, against a real Apicurio; and Apicurio's forms.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::folder;
use crate::rig::home::{Home, Sillage};
use crate::rig::kafka::{self, Draft};
use crate::rig::registry::{self, CONFLUENT, Gate};
use crate::rig::{parts, unique, until};

const PATIENCE: Duration = Duration::from_secs(40);

/// A `[registry]` at this address, which may be of its own API, or of Confluent's.
fn at(url: &str) -> String {
    format!("[registry]\nurl = \"{url}\"\n")
}

/// What `/api/v1/status` says of the registry.
fn standing(sillage: &Sillage) -> Value {
    let status = sillage.api("status");
    let sources = status["sources"].as_array().unwrap();
    sources.iter().find(|source| source["name"] == "registry").cloned().unwrap_or(Value::Null)
}

fn standing_when(sillage: &Sillage, state: &str) -> Value {
    until(&format!("the registry is {state}"), PATIENCE, || {
        Some(standing(sillage)).filter(|standing| standing["state"] == state)
    })
}

/// Waits until so many schemas were had.
fn fetched(sillage: &Sillage, schemas: u64) {
    let holds = || standing(sillage)["received"].as_u64().filter(|received| *received >= schemas);
    until(&format!("{schemas} schemas"), PATIENCE, holds);
}

fn draft(prefix: &[u8], payload: &[u8]) -> Draft {
    Draft { value: Some([prefix, payload].concat()), ..Draft::default() }
}

#[test]
fn avro_protobuf_and_json_of_confluents_serializers_are_one_flow_and_found_by_their_fields() {
    let (kafka, apicurio) = (kafka::shared(), registry::shared());
    let prefix = unique("contracts");
    let topics = ["avro", "proto", "json"].map(|kind| format!("{prefix}-{kind}"));
    for topic in &topics {
        kafka.create(topic, 1);
    }
    let url = format!("http://{}{CONFLUENT}", apicurio.address);
    let (trace, event) = (hex::encode(rand::random::<[u8; 16]>()), unique("evt"));
    let source = kafka::source(kafka, &[&format!("{prefix}*")]);
    let home = Home::new(&format!("{}{source}", at(&url)));
    let sillage = home.serve();
    assert_eq!(standing_when(&sillage, "up")["error"], Value::Null);
    let produce = |trace: &str, event: &str| {
        let mut producer = Command::new(parts::installed("python/bin/python"));
        producer.arg(parts::repository().join("tests/it/registry/confluent.py"));
        parts::run(producer.args([kafka.address.as_str(), &url, &prefix, trace, event]));
    };
    // Schemas that a busy registry gives late are at hand for the second saga.
    produce(&hex::encode(rand::random::<[u8; 16]>()), &unique("first"));
    fetched(&sillage, 4);
    produce(&trace, &event);

    // One flow: by the trace id in the Avro body, and by causation ids in Protobuf and JSON.
    let flow = sillage.flow_when(&trace, "records of three formats", |flow| {
        flow["records"].as_array().is_some_and(|records| records.len() >= 4)
    });
    let of = |topic: &str| {
        let records = flow["records"].as_array().unwrap().iter();
        records.filter(|record| record["position"]["channel"] == topic).cloned().collect::<Vec<Value>>()
    };
    let (placed, paid, reserved) = (of(&topics[0]), of(&topics[1]), of(&topics[2]));
    assert_eq!(placed[0]["bodyEncoding"], "avro");
    assert_eq!(placed[0]["body"]["customer"], "Ada");
    assert_eq!(placed[0]["body"]["total"], json!({ "amount": 129.90, "currency": "EUR" }));
    assert_eq!((&placed[0]["eventType"], &placed[0]["key"]), (&json!("OrderPlaced"), &json!(format!("order-{event}"))));
    assert!(placed[0]["occurredAt"].as_str().unwrap().starts_with("20"), "{}", placed[0]);
    let schema = &placed[0]["schema"];
    assert_eq!(
        (&schema["idKind"], &schema["subject"], &schema["version"], &schema["name"]),
        (&json!("id"), &json!(format!("{prefix}-avro-value")), &json!("1"), &json!("shop.OrderPlaced"))
    );
    assert_eq!(placed[0]["keySchema"]["subject"], format!("{prefix}-avro-key"));
    assert_eq!((&paid[0]["bodyEncoding"], &paid[0]["eventType"]), (&json!("protobuf"), &json!("PaymentAuthorized")));
    assert_eq!(paid[0]["body"]["method"], json!({ "kind": "card" }), "by a schema that it imports");
    assert_eq!((&reserved[0]["bodyEncoding"], &reserved[0]["body"]["sku"]), (&json!("json"), &json!("teapot-4711")));
    assert_eq!(reserved[0]["schema"]["name"], "StockReserved");

    for (query, topic) in [
        (format!("body.total.amount:>129 topic:{}", topics[0]), &topics[0]),
        (format!("body.method.kind:card event:{event}-paid"), &topics[1]),
        (format!("\"teapot-4711\" topic:{}", topics[2]), &topics[2]),
        (format!("key:order-{event}"), &topics[0]),
    ] {
        let found = sillage.search_when(&query, 1, PATIENCE);
        assert!(found.iter().all(|entry| entry["position"]["channel"] == topic.as_str()), "{query}: {found:?}");
    }
    // The bytes as they were sent are one link away.
    let raw = sillage.get(&format!("/api/v1/record/main/{}/0@2/raw", topics[0])).body;
    assert_eq!(
        (raw[0], u32::from_be_bytes(raw[1..5].try_into().unwrap()).to_string()),
        (0, schema["id"].as_str().unwrap().to_owned())
    );
    let page = sillage.get(&format!("/record/main/{}/0@2", topics[0])).text();
    assert!(page.contains("Avro ·") && page.contains("shop.OrderPlaced") && page.contains("Ada"), "{page}");

    // What nobody may read is in no file, though its field's name is only in the schema.
    assert_eq!(placed[1]["body"]["password"], "[redacted]");
    let raw = sillage.get(&format!("/api/v1/record/main/{}/0@3/raw", topics[0])).text();
    assert!(raw.contains("[redacted]") && !raw.contains("hunter2"), "{raw}");
    sillage.stop();
    assert_eq!(folder::holding(&home.data(), "hunter2"), Vec::<std::path::PathBuf>::new());

    // The registry is gone for good: what was decoded stays readable.
    home.configure(&source);
    let sillage = home.serve();
    assert_eq!(sillage.search_all(&format!("body.method.kind:card event:{event}-paid")).len(), 1);
    assert_eq!(standing(&sillage), Value::Null);
}

#[test]
fn apicurios_own_forms_are_decoded_over_tls_and_an_unknown_id_says_why() {
    let (kafka, apicurio) = (kafka::shared(), registry::shared());
    let topic = kafka.topic("apicurio", 1);
    let subject = unique("placed");
    let avro = r#"{"type":"record","name":"Placed","fields":[{"name":"eventId","type":"string"}]}"#;
    let id = apicurio.register(&subject, "AVRO", &avro.replace("Placed", &subject.replace('-', "_")));
    let proto = apicurio.register(
        &unique("paid"),
        "PROTOBUF",
        "syntax = \"proto3\"; message Other { string a = 1; } message Paid { string event_id = 1; }",
    );
    let own = apicurio.own_ids(&subject);
    let (content, global) = (own["contentId"].as_i64().unwrap(), own["globalId"].as_i64().unwrap());
    assert_eq!(content, i64::from(id), "its API in Confluent's form counts by content ids");

    let event = unique("evt");
    let id_text = |number: usize| format!("{event}-{number}");
    let datum = |number: usize| {
        let text = id_text(number);
        [&[(text.len() * 2) as u8], text.as_bytes()].concat()
    };
    let message = |number: usize| [&[0x0a, id_text(number).len() as u8], id_text(number).as_bytes()].concat();
    let short = |id: u32| [&[0][..], &id.to_be_bytes()].concat();
    let artifact = [("groupId", &b"default"[..]), ("artifactId", subject.as_bytes()), ("version", b"1")];
    let named = artifact.iter().fold(draft(b"", &datum(4)), |draft, (name, value)| {
        draft.header(&format!("apicurio.value.{name}"), Some(value))
    });
    let drafts = [
        draft(&short(content as u32), &datum(0)),
        draft(&[&[0][..], &global.to_be_bytes()].concat(), &datum(1)),
        draft(b"", &datum(2)).header("apicurio.value.contentId", Some(&content.to_be_bytes())),
        draft(b"", &datum(3)).header("apicurio.value.globalId", Some(&global.to_be_bytes())),
        named,
        // Its serializers write the message's name before it, as a message of its own, or in a header.
        draft(&[short(proto), b"\x06\x0a\x04Paid".to_vec()].concat(), &message(5)),
        draft(&short(proto), &message(6)).header("apicurio.protobuf.type", Some(b"Paid")),
        draft(&short(9_999_999), &datum(7)),
        draft(&[&[1][..], &[7; 16]].concat(), &datum(8)),
    ];
    let url = format!("https://{}/apis/registry/v3", apicurio.tls);
    let registry = format!("[registry]\nurl = \"{url}\"\nca = {:?}\n", apicurio.ca);
    let home = Home::new(&format!("{registry}{}", kafka::source(kafka, &[&topic])));
    let sillage = home.serve();
    standing_when(&sillage, "up");
    // Twice: what a busy registry gives late is at hand for the second time.
    kafka.send(&topic, &drafts);
    fetched(&sillage, 6);
    kafka.send(&topic, &drafts);
    let mut records = sillage.records_when(&topic, 2 * drafts.len(), PATIENCE);
    records.sort_by_key(|record| record["position"]["place"]["offset"].as_i64());
    let records = &records[drafts.len()..];
    for (number, record) in records.iter().enumerate().take(7) {
        assert_eq!(record["eventId"], id_text(number), "{record}");
        assert_eq!(record["bodyEncoding"], if number < 5 { "avro" } else { "protobuf" });
        assert_eq!(record["problem"], Value::Null);
    }
    assert_eq!(records[3]["schema"]["subject"], subject);
    assert_eq!(records[6]["schema"]["name"], "Paid");
    for (record, id) in [(&records[7], "9999999"), (&records[8], "07070707-0707-0707-0707-070707070707")] {
        assert_eq!((&record["schema"]["id"], &record["bodyEncoding"]), (&json!(id), &json!("binary")), "{record}");
        assert!(record["problem"].as_str().unwrap().contains("isn't known to the registry at https://"), "{record}");
    }
}

#[test]
fn a_registry_that_is_down_or_refuses_is_told_and_never_holds_back_records() {
    let (kafka, apicurio) = (kafka::shared(), registry::shared());
    let topic = kafka.topic("gated", 1);
    let id = apicurio.register(&unique("gated"), "AVRO", "\"string\"");
    let framed =
        |text: &str| draft(&[&[0][..], &id.to_be_bytes(), &[(text.len() * 2) as u8]].concat(), text.as_bytes());
    let gate = Gate::asking("sillage:s3same-open");
    let password = |home: &Home, text: &str| std::fs::write(home.folder.path().join("password"), text).unwrap();
    let home = Home::new("");
    let file = home.folder.path().join("password");
    home.configure(&format!(
        "[registry]\nurl = \"http://{}{CONFLUENT}\"\nusername = \"sillage\"\npassword = \"file:{}\"\n{}",
        gate.address,
        file.display(),
        kafka::source(kafka, &[&topic])
    ));

    password(&home, "wrong");
    let sillage = home.serve();
    let refused = standing_when(&sillage, "down");
    let says = refused["error"].as_str().unwrap();
    assert!(says.contains("401") && says.contains("`username` and `password`") && !says.contains("wrong"), "{says}");
    kafka.send(&topic, &[framed("refused")]);
    let records = sillage.records_when(&topic, 1, PATIENCE);
    assert_eq!((&records[0]["schema"]["id"], &records[0]["bodyEncoding"]), (&json!(id.to_string()), &json!("binary")));
    assert!(records[0]["problem"].as_str().unwrap().contains("refuses us (401"), "{}", records[0]);
    assert!(sillage.get("/").text().contains("refuses us (401"), "the overview tells it");
    assert_eq!(sillage.get("/readyz").status, 200, "it goes on without");
    sillage.stop();

    password(&home, "s3same-open\n");
    gate.shut();
    let sillage = home.serve();
    let down = standing_when(&sillage, "down");
    assert!(down["error"].as_str().unwrap().contains("is it running"), "{down}");
    kafka.send(&topic, &[framed("missed")]);
    let records = sillage.records_when(&topic, 2, PATIENCE);
    assert!(
        records.iter().any(|record| record["problem"].as_str().is_some_and(|says| says.contains("can't be reached")))
    );
    // Nobody asks for anything any more, and still the schema is at hand when the registry is back.
    gate.open();
    fetched(&sillage, 1);
    gate.shut();
    kafka.send(&topic, &[framed("decoded")]);
    let found = sillage.search_when(&format!("decoded topic:{topic}"), 1, PATIENCE);
    assert!(found.iter().any(|record| record["bodyEncoding"] == "avro" && record["body"] == "decoded"), "{found:?}");
    let said = sillage.log();
    assert!(!said.contains("s3same-open") && !said.contains("c2lsbGFnZTpz"), "the password is in no log: {said}");
}
