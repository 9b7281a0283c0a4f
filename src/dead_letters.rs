//! `sillage dead-letters`: what died, why, and in which consumer, for those who sit at a terminal.
//!
//! Asks the process that uses the data folder, over its API; where none does, the folder is opened here, and the same API asked without
//! a socket. So both tell the same.

mod redrive; // what would be sent back, and has it sent

use anyhow::{Context, anyhow, bail};
use serde_json::Value;
use store::Journal;
use web::{Href, Links};

use crate::cli::{self, DeadLettersTask, Letters};
use crate::config::{self, Config, Given};
use crate::failure::Failure;
use crate::forget::{is_in_use, running};
use crate::log;
use crate::serve::say;

/// How many causes are printed.
const CAUSES_MAX: usize = 20;

/// Runs one of its tasks.
pub fn run(command: cli::DeadLetters) -> Result<(), Failure> {
    let place = cli::Place { listen: command.listen.clone(), data: command.data.clone() };
    let loaded = config::load(&Given::from_cli(&command.common, Some(&place)))?;
    log::start(command.common.log.as_deref().or(Some("warn")))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| anyhow::Error::new(error).context("can't start threads"))?;
    let ask = |href: Href| runtime.block_on(ask(&loaded.config, href.as_str()));
    let told = match &command.task {
        DeadLettersTask::List(letters) => {
            ask(asked(letters)).and_then(|answer| if letters.json { Ok(answer + "\n") } else { listed(&answer) })
        }
        DeadLettersTask::Show { name } => {
            ask(Links::below("").api_dead_letters_export().with("at", name).with("state", "any"))
                .and_then(|answer| shown(&answer, name))
        }
        DeadLettersTask::Redrive(asked) => redrive::run(&loaded.config, asked),
    };
    say(&told?);
    Ok(())
}

/// Where the API answers it.
fn asked(letters: &Letters) -> Href {
    let given = |value: &Option<String>| value.clone().unwrap_or_default();
    Links::below("")
        .api_dead_letters()
        .with("topic", &given(&letters.topic))
        .with("source", &given(&letters.source))
        .with("consumer", &given(&letters.consumer))
        .with("type", &given(&letters.event_type))
        .with("cause", &given(&letters.cause))
        .with("state", &letters.state)
        .with("limit", &letters.limit.to_string())
}

/// What the API answers, of the process that uses the folder, else of the folder itself.
async fn ask(config: &Config, path: &str) -> anyhow::Result<String> {
    let (status, answer) = if is_in_use(&config.store.path)? {
        let server = running::address(config.web.listen);
        let head = match config.access.first() {
            Some(access) => format!("Authorization: Bearer {}\r\n", access.secret.reveal()?),
            None => String::new(),
        };
        let what = format!("GET {path}");
        tokio::task::spawn_blocking(move || running::request(server, &what, &head, "")).await??
    } else {
        let folder = config.store.path.clone();
        let store = store::open(config.store.clone()).await?;
        let answer = async { anyhow::Ok(web::ask(store.clone(), Journal::open(&folder)?, path).await?) };
        let answer = answer.await;
        store.close().await?;
        answer?
    };
    if status != 200 {
        let problem: Value = serde_json::from_str(&answer).unwrap_or_default();
        bail!("refused ({status}): {}", problem["detail"].as_str().unwrap_or("it doesn't say why"));
    }
    Ok(answer)
}

fn listed(answer: &str) -> anyhow::Result<String> {
    let answer: Value = serde_json::from_str(answer).context("the answer is no JSON")?;
    let rows = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
    let (causes, messages) = (rows("causes"), rows("messages"));
    let mut text = format!("{} open\n", answer["open"]);
    if let Some(cut) = answer["cut"].as_str() {
        text.push_str(&format!("there may be more: {cut}\n"));
    }
    if !causes.is_empty() {
        text.push_str("\n  count  cause id          consumer              cause\n");
    }
    for cause in causes.iter().take(CAUSES_MAX) {
        let (id, consumer) = (word(&cause["id"]), word(&cause["consumer"]));
        text.push_str(&format!("{:>7}  {id:<18}  {consumer:<20}  {}\n", word(&cause["count"]), word(&cause["cause"])));
    }
    if causes.len() > CAUSES_MAX {
        text.push_str(&format!("         and {} more causes\n", causes.len() - CAUSES_MAX));
    }
    if !messages.is_empty() {
        text.push_str("\n  died                            state      attempts  name, event, key\n");
    }
    for message in &messages {
        let (died, state, attempts) = (word(&message["diedAt"]), word(&message["state"]), word(&message["attempts"]));
        let (event, key) = (word(&message["eventType"]), word(&message["key"]));
        text.push_str(&format!("  {died:<30}  {state:<9}  {attempts:>8}  {}  {event}  {key}\n", name(message)));
    }
    if answer["next"].is_string() {
        text.push_str("  and older ones: --limit names more\n");
    }
    Ok(text)
}

/// As `show` takes it.
fn name(message: &Value) -> String {
    let position = &message["position"];
    let place = &position["place"];
    let place = match (place["partition"].as_i64(), place["offset"].as_i64()) {
        (Some(partition), Some(offset)) => format!("{partition}@{offset}"),
        _ if place["sequence"].is_u64() => format!("seq:{}", place["sequence"]),
        _ if place["arrival"].is_u64() => format!("arrival:{}", place["arrival"]),
        _ => word(&place["messageId"]),
    };
    format!("{}/{}/{place}", word(&position["source"]), word(&position["channel"]))
}

fn shown(answer: &str, name: &str) -> anyhow::Result<String> {
    let line = answer.lines().next().ok_or_else(|| anyhow!("no dead letter `{name}` is kept"))?;
    let line: Value = serde_json::from_str(line).context("the answer is no JSON")?;
    let (letter, record) = (&line["deadLetter"], &line["record"]);
    let mut text = String::new();
    for (label, value) in [
        ("cause", &letter["cause"]),
        ("consumer", &letter["consumer"]),
        ("event", &letter["eventType"]),
        ("key", &letter["key"]),
        ("event id", &letter["eventId"]),
        ("trace", &letter["traceId"]),
        ("attempts", &letter["attempts"]),
        ("died", &letter["diedAt"]),
        ("state", &letter["state"]),
        ("note", &letter["dismissal"]["note"]),
        ("reason", &letter["reason"]),
        ("recognised", &letter["convention"]),
    ] {
        text.push_str(&format!("{label:<12}{}\n", word(value)));
    }
    let origin = &letter["origin"];
    if origin.is_object() {
        let part = |field: &str| word(&origin[field]);
        text.push_str(&format!("{:<12}{} {}@{}\n", "origin", part("channel"), part("partition"), part("offset")));
    }
    text.push_str("\nheaders\n");
    for header in record["headers"].as_array().into_iter().flatten() {
        text.push_str(&format!("  {}: {}\n", word(&header[0]), word(&header[1])));
    }
    let body = &record["body"];
    let body = if body.is_string() { word(body) } else { serde_json::to_string_pretty(body)? };
    text.push_str(&format!("\npayload ({})\n{body}\n", word(&record["bodyEncoding"])));
    if record["truncated"] == true {
        text.push_str(&format!("(cut; the whole is at {})\n", word(&record["rawUrl"])));
    }
    Ok(text)
}

/// A value for a terminal: nothing in it moves the cursor or changes colours. A dash where there is none.
fn word(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars()
        .map(|letter| if letter.is_control() && !matches!(letter, '\n' | '\t') { '�' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_list_names_each_as_show_takes_it() {
        let message = json!({
            "position": { "source": "main", "channel": "orders.DLT", "place": { "partition": 0, "offset": 16 } },
            "diedAt": "2026-11-23T14:05:02Z", "state": "new", "attempts": 3, "eventType": "OrderPlaced", "key": "order-1",
        });
        let cause = json!({ "id": "ab", "cause": "Declined", "consumer": null, "count": 11 });
        let answer = json!({ "open": 11, "causes": [cause], "messages": [message], "next": "x", "cut": null });
        let text = listed(&answer.to_string()).unwrap();
        for part in ["11 open", "     11  ab", "main/orders.DLT/0@16  OrderPlaced  order-1", "and older ones"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert_eq!(listed(&json!({ "open": 0 }).to_string()).unwrap(), "0 open\n");
    }

    #[test]
    fn one_is_shown_in_full_and_can_not_play_with_the_terminal() {
        let line = json!({
            "deadLetter": { "cause": "Declined\u{1b}[2J", "origin": { "channel": "orders", "partition": 3, "offset": 7 } },
            "record": { "headers": [["kafka_dlt-exception-stacktrace", "at a\n\tat b"]], "body": { "orderId": 1 } },
        });
        let text = shown(&format!("{line}\n"), "main/orders.DLT/0@1").unwrap();
        assert!(
            text.contains("orders 3@7") && text.contains("at a\n\tat b") && text.contains("\"orderId\": 1"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'));
        assert!(shown("", "main/orders.DLT/0@9").unwrap_err().to_string().contains("no dead letter"));
    }
}
