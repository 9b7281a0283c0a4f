//! `sillage dead-letters redrive`: what would be sent back, where to, and who would get it again; and, with `--send`, has it sent.
//!
//! Only the process that uses the folder can tell: it knows which topics and partitions there are, and what each group has committed.
//! It is also the one that sends; here it is only asked to.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};
use store::redrive::edit::EDIT_BYTES_MAX;

use super::{name, word};
use crate::cli;
use crate::config::Config;
use crate::forget::{is_in_use, running};

/// How much of a file is read: one byte more than a value may have, so that one which is too long is known.
const VALUE_BYTES_MAX: u64 = EDIT_BYTES_MAX as u64 + 1;

/// Asks the running process for a dry run, or to send, and tells what it answers.
pub fn run(config: &Config, asked: &cli::Redrive) -> anyhow::Result<String> {
    if !is_in_use(&config.store.path)? {
        bail!(
            "Sillage isn't running on this folder: start it, because only then it knows which topics there are, and who read them"
        );
    }
    let server = running::address(config.web.listen);
    let head = running::operator(server, &config.access)?;
    let mut body = body(asked);
    if let Some(path) = &asked.value_file {
        body["value"] = value(path)?.into();
    }
    let (status, answer) = running::request(server, "POST /api/v1/redrives", &head, &body.to_string())?;
    let told: Value = serde_json::from_str(&answer).with_context(|| format!("{server} answered no JSON"))?;
    if !matches!(status, 200 | 202) {
        bail!("refused ({status}): {}", told["detail"].as_str().unwrap_or("it doesn't say why"));
    }
    Ok(match asked.letters.json {
        true => answer + "\n",
        false if asked.send => begun(&told, server),
        false => described(&told, usize::from(asked.letters.limit)),
    })
}

/// An edited value, byte for byte.
fn value(path: &Path) -> anyhow::Result<String> {
    let is_piped = path == Path::new("-");
    let name = if is_piped { "what is piped in".to_owned() } else { format!("`{}`", path.display()) };
    let mut bytes = Vec::new();
    let read = match is_piped {
        true => io::stdin().lock().take(VALUE_BYTES_MAX).read_to_end(&mut bytes),
        false => File::open(path).and_then(|file| file.take(VALUE_BYTES_MAX).read_to_end(&mut bytes)),
    };
    read.with_context(|| format!("can't read {name}"))?;
    String::from_utf8(bytes).map_err(|_| anyhow!("{name} is no UTF-8 text, and only text can be edited"))
}

fn begun(told: &Value, server: SocketAddr) -> String {
    let (id, many) = (word(&told["id"]), &told["messages"]);
    let noun = if *many == 1 { "message" } else { "messages" };
    format!("redrive {id} has begun: {many} {noun}; follow it, pause it or cancel it at http://{server}/redrive/{id}\n")
}

fn body(asked: &cli::Redrive) -> Value {
    let letters = &asked.letters;
    json!({
        "source": letters.source, "topic": letters.topic, "consumer": letters.consumer, "type": letters.event_type,
        "cause": letters.cause, "state": letters.state, "at": asked.names, "to": asked.to, "override": asked.overrides,
        "dryRun": !asked.send, "again": asked.again, "againUnknown": asked.again_unknown, "rate": asked.rate,
    })
}

fn described(told: &Value, limit: usize) -> String {
    let rows = |name: &str| told[name].as_array().into_iter().flatten();
    let mut text = format!(
        "dry run, nothing is sent: {} of {} would be, {} of them redriven before\n",
        told["wouldBeSent"], told["messages"], told["redrivenBefore"]
    );
    if let Some(cut) = told["cut"].as_str() {
        text.push_str(&format!("there may be more: {cut}\n"));
    }
    for target in rows("targets") {
        let (source, topic) = (word(&target["source"]), word(&target["topic"]));
        text.push_str(&format!("{:>7}  to {source}/{topic}\n", word(&target["messages"])));
    }
    for again in rows("again") {
        let (many, group) = (word(&again["messages"]), word(&again["group"]));
        text.push_str(&format!("{many:>7}  would be got again by {group}, which has committed past the origin\n"));
    }
    if told["againUnknown"].as_u64().is_some_and(|many| many > 0) {
        let many = word(&told["againUnknown"]);
        text.push_str(&format!("{many:>7}  may be got again by other groups: what they have committed isn't known\n"));
    }
    for obstacle in rows("obstacles") {
        text.push_str(&format!("{:>7}  can't be sent: {}\n", word(&obstacle["messages"]), word(&obstacle["why"])));
    }
    if let Some(difference) = told["edit"]["difference"].as_str() {
        let (before, after) = (&told["edit"]["bytesBefore"], &told["edit"]["bytesAfter"]);
        text.push_str(&format!("\n  its value, {before} bytes before and {after} after:\n{difference}"));
        if let Some(warning) = told["edit"]["warning"].as_str() {
            text.push_str(&format!("  beware: {warning}\n"));
        }
    }
    let items: Vec<&Value> = rows("items").collect();
    if !items.is_empty() {
        text.push_str("\n  dead letter, key, where it would go\n");
    }
    for item in items.iter().take(limit) {
        let to = &item["to"];
        let goes = match item["obstacle"].as_str() {
            Some(why) => format!("nowhere: {why}"),
            None => format!("{} p{}, bytes of the {}", word(&to["topic"]), to["partition"], bytes_of(to)),
        };
        text.push_str(&format!("  {}  {}  {goes}\n", name(item), word(&item["key"])));
    }
    if items.len() > limit {
        text.push_str(&format!("  and {} more: --limit names more\n", items.len() - limit));
    }
    text
}

fn bytes_of(to: &Value) -> &'static str {
    match to["bytesOf"].as_str() {
        Some("origin") => "origin",
        Some("broker") => "record on the broker",
        _ => "dead letter",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_names_what_goes_where_who_gets_it_again_and_what_stays() {
        let position = json!({ "source": "main", "channel": "orders.DLT", "place": { "partition": 0, "offset": 16 } });
        let told = json!({
            "messages": 3, "wouldBeSent": 2, "redrivenBefore": 1, "againUnknown": 0, "cut": null,
            "targets": [{ "source": "main", "topic": "orders", "messages": 2 }],
            "again": [{ "group": "shipping", "messages": 2 }],
            "obstacles": [{ "why": "`lost` is gone", "messages": 1 }],
            "items": [
                { "position": position, "key": "order-1", "obstacle": null,
                  "to": { "topic": "orders", "partition": 3, "bytesOf": "origin" } },
                { "position": position, "key": "order-2", "obstacle": "`lost` is gone", "to": null },
                { "position": position, "key": "order-3", "obstacle": null, "to": {} },
            ],
        });
        let text = described(&told, 2);
        for part in [
            "2 of 3 would be, 1 of them redriven before",
            "2  to main/orders",
            "2  would be got again by shipping",
            "1  can't be sent: `lost` is gone",
            "main/orders.DLT/0@16  order-1  orders p3, bytes of the origin",
            "order-2  nowhere: `lost` is gone",
            "and 1 more: --limit",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
