//! A rule as a file has it: what the form on the page gives to paste.

use std::fmt::Write as _;
use std::time::Duration;

use super::glob::Globs;
use super::rule::Rule;
use super::threshold::Threshold;
use crate::config::Period;

impl Rule {
    /// The table as a file has it.
    pub fn to_toml(&self) -> String {
        let mut text = format!("[[alert]]\nname = {}\nkind = \"{}\"\n", quoted(&self.name), self.kind.as_str());
        let mut line = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} = {value}");
            }
        };
        let period = |period: Period| (period.0 > Duration::ZERO).then(|| format!("\"{period}\""));
        line("source", globs(&self.source));
        line("group", globs(&self.group));
        line("topic", globs(&self.topic));
        line("type", globs(&self.event_type));
        line("consumer", globs(&self.consumer));
        line("event", globs(&self.event));
        line("one_of", globs(&self.one_of));
        line("within", self.within.and_then(period));
        line("state", self.state.as_ref().map(|all| list(all.iter().map(|state| state.as_str()))));
        line("finding", self.finding.as_ref().map(|all| list(all.iter().map(|finding| finding.as_str()))));
        line("percentile", self.percentile.map(|percentile| percentile.to_string()));
        line("above", self.above.as_ref().map(Threshold::to_toml));
        line("below", self.below.as_ref().map(Threshold::to_toml));
        line("over", self.over.and_then(period));
        line("at_least", self.at_least.map(|many| many.to_string()));
        line("for", period(self.wait));
        line("keep_firing", period(self.keep_firing));
        line("severity", Some(format!("\"{}\"", self.severity.as_str())));
        let labels = self.labels.iter().map(|(name, value)| format!("{name} = {}", quoted(value)));
        line("labels", (!self.labels.is_empty()).then(|| format!("{{ {} }}", labels.collect::<Vec<_>>().join(", "))));
        line("webhooks", self.webhooks.as_ref().map(|all| list(all.iter().map(String::as_str))));
        text
    }
}

impl Threshold {
    fn to_toml(&self) -> String {
        match self {
            Threshold::Number(number) => number.to_string(),
            Threshold::Text(text) => quoted(text),
        }
    }
}

/// A text as TOML's basic strings have it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

fn list<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", texts.map(quoted).collect::<Vec<_>>().join(", "))
}

fn globs(globs: &Globs) -> Option<String> {
    match globs.0.as_slice() {
        [] => None,
        [one] => Some(quoted(one)),
        several => Some(list(several.iter().map(String::as_str))),
    }
}
