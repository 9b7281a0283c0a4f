//! What the configuration says: a text in which `{{names}}` stand for what is told. Nothing is run: there are no conditions, no loops, no code.
//!
//! ```toml
//! template = '{"text": "{{title}}: {{summary}} {{link}}"}'
//! ```
//! Where the request is JSON, as it is unless `headers` say otherwise, each value is written as in a JSON string, so that no value ends it.

use store::alert::{Alert, Notification};

use super::{Telling, labels};

/// The longest template, in bytes: more than any message holds.
const TEMPLATE_BYTES_MAX: usize = 16 << 10;

/// A name, and what it stands for.
type Name = (&'static str, fn(&Telling<'_>) -> String);

/// Every name that may stand between `{{` and `}}`. What is said of one alert is said of the first; `label.` with a label's name is known, too.
const NAMES: [Name; 16] = [
    ("id", |telling| telling.id.to_owned()),
    ("title", |telling| telling.notification.title()),
    ("status", |telling| if telling.notification.firing { "firing" } else { "resolved" }.to_owned()),
    ("group", |telling| telling.notification.group.clone()),
    ("webhook", |telling| telling.notification.webhook.clone()),
    ("at", |telling| telling.notification.at.clone()),
    ("count", |telling| (telling.notification.alerts.len() + telling.notification.left_out).to_string()),
    ("alerts", alerts),
    ("alerts_link", |telling| telling.link_to_all()),
    ("name", |telling| first(telling, |alert| alert.name.clone())),
    ("kind", |telling| first(telling, |alert| alert.kind.clone())),
    ("severity", |telling| first(telling, |alert| format!("{:?}", alert.severity).to_lowercase())),
    ("summary", |telling| first(telling, |alert| alert.summary.clone())),
    ("value", |telling| first(telling, |alert| alert.value.clone())),
    ("labels", |telling| first(telling, labels)),
    ("link", |telling| first(telling, |alert| telling.link(alert))),
];

/// A template that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    pieces: Vec<Piece>,
    is_json: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    /// An index into [`NAMES`].
    Name(usize),
    Label(String),
}

impl Template {
    /// Reads a template. The error says what is wrong with it, to go on from "`template` ".
    pub fn read(text: &str, is_json: bool) -> Result<Template, String> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(format!("is longer than {TEMPLATE_BYTES_MAX} bytes"));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, behind) = after.split_once("}}").ok_or("has a `{{` without its `}}`")?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(named(name.trim())?);
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        let template = Template { pieces, is_json };
        let filled =
            template.fill(Telling { id: "msg_0", notification: &sample(), base: "https://sillage.example.org/" });
        if is_json && let Err(error) = serde_json::from_str::<serde_json::Value>(&filled) {
            return Err(format!(
                "is no JSON once it is filled in ({error}): put each name between quotes, or say in `headers` which `content-type` it is"
            ));
        }
        Ok(template)
    }

    /// The text with its names filled in.
    pub fn fill(&self, telling: Telling<'_>) -> String {
        let first = telling.notification.alerts.first();
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Name(index) => self.escaped(&NAMES[*index].1(&telling)),
            Piece::Label(name) => {
                self.escaped(first.and_then(|alert| alert.labels.get(name)).map_or("", String::as_str))
            }
        };
        self.pieces.iter().map(piece).collect()
    }

    /// As it stands within a JSON string, without the quotes.
    fn escaped(&self, text: &str) -> String {
        if !self.is_json {
            return text.to_owned();
        }
        let quoted = serde_json::Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    }
}

fn named(name: &str) -> Result<Piece, String> {
    if let Some(label) = name.strip_prefix("label.").filter(|label| !label.is_empty()) {
        return Ok(Piece::Label(label.to_owned()));
    }
    let index = NAMES.iter().position(|(known, _)| *known == name);
    index.map(Piece::Name).ok_or_else(|| {
        let known: Vec<String> = NAMES.iter().map(|(known, _)| format!("`{known}`")).collect();
        format!("has an unknown name in {{{{{name}}}}}; known: {}, and `label.NAME`", known.join(", "))
    })
}

fn first(telling: &Telling<'_>, of: impl Fn(&Alert) -> String) -> String {
    telling.notification.alerts.first().map(of).unwrap_or_default()
}

/// All alerts, a line each.
fn alerts(telling: &Telling<'_>) -> String {
    let lines = telling.notification.alerts.iter().map(|alert| format!("{} ({})", alert.summary, alert.value));
    lines.chain(telling.left_out()).collect::<Vec<_>>().join("\n")
}

/// What a template is tried with when it is read: every letter that JSON escapes is in it.
fn sample() -> Notification {
    store::alert::deliveries::test_notification("\"\\\n\u{1}", true, store::Timestamp::from_millis(0))
}

#[cfg(test)]
mod tests {
    use super::super::given::{firing, telling};
    use super::*;

    #[test]
    fn names_are_filled_in_and_no_value_breaks_out_of_its_string() {
        let template =
            Template::read(r#"{"text": "{{title}}", "who": "{{ label.group }}", "all": "{{alerts}}"}"#, true).unwrap();
        let filled: serde_json::Value = serde_json::from_str(&template.fill(telling(&firing()))).unwrap();
        assert_eq!(
            (&filled["text"], &filled["who"]),
            (&"Firing: billing is late (5 alerts)".into(), &"billing".into())
        );
        let all = filled["all"].as_str().unwrap();
        assert!(
            all.ends_with("late on \"a\"}<!channel>\n{{id}} *now* (41 s)\nand 3 more"),
            "what a value says is not read as a template: {all}"
        );
        assert_eq!(filled.as_object().unwrap().len(), 3);
    }

    #[test]
    fn a_plain_text_is_left_as_it_is() {
        let template = Template::read("{{status}} {{severity}} {{summary}} {{label.none}}{{link}}", false).unwrap();
        assert_eq!(
            template.fill(telling(&firing())),
            "firing critical billing is 41 s behind on orders https://sillage.example.org/tools/group/main/billing?from=2026-11-23T13:02:11Z"
        );
    }

    #[test]
    fn a_template_that_can_t_be_right_is_told_before_anything_fires() {
        for (text, says) in [
            ("{\"a\": \"{{sumary}}\"}", "unknown name in {{sumary}}; known: `id`"),
            ("{\"a\": \"{{summary\"}", "without its `}}`"),
            ("{\"a\": {{summary}}}", "no JSON"),
            ("just text", "no JSON"),
        ] {
            let error = Template::read(text, true).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!(Template::read(&"a".repeat(20_000), false).unwrap_err().contains("longer"));
        assert!(Template::read("{\"count\": {{count}}}", true).is_ok(), "a number needs no quotes");
    }
}
