//! Which page of the console shows what an alert is about, with the time that matters: a path and a query below the public address.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use store::{Position, Timestamp};

/// What stays as it is in a path segment or query value (RFC 3986, "unreserved"); the console reads no other way.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How much before the alert began is worth a look: what went wrong began before anybody could tell.
const BEFORE: Duration = Duration::from_secs(5 * 60);

/// A page, without the time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Page {
    /// A consumer group, whose chart reaches back far enough.
    Group {
        /// The source.
        source: String,
        /// The group.
        group: String,
    },
    /// Dead letters.
    DeadLetters {
        /// The parameters that narrow them.
        narrowed: Vec<(&'static str, String)>,
    },
    /// Who retries.
    Retries,
    /// The flows that a query finds, in the time around the alert.
    Flows(String),
    /// One record's flow.
    Record(Position),
    /// Status of the sources and the disk.
    Status,
}

/// The windows that pages have, by their words; that of the retries lacks the last.
const WINDOWS: [(&str, u64); 4] = [("15m", 900), ("1h", 3_600), ("24h", 86_400), ("7d", 604_800)];

impl Page {
    /// Its address for an alert that began then.
    pub fn address(&self, began: Timestamp, now: Timestamp) -> String {
        match self {
            Page::Group { source, group } => {
                format!("group/{}/{}?window={}", segment(source), segment(group), window(&WINDOWS, began, now))
            }
            Page::DeadLetters { narrowed } => {
                let parameters: Vec<String> =
                    narrowed.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
                format!("dead-letters{}{}", if parameters.is_empty() { "" } else { "?" }, parameters.join("&"))
            }
            Page::Retries => format!("retries?window={}", window(&WINDOWS[..3], began, now)),
            Page::Flows(query) => format!("flows?q={}&since={}", encoded(query), window(&WINDOWS, began, now)),
            Page::Record(position) => {
                let place = position.place.to_string();
                let parts = [position.source.as_str(), position.channel.as_str(), &place];
                format!("record/{}", parts.map(segment).join("/"))
            }
            Page::Status => "status".to_owned(),
        }
    }
}

/// The shortest window that reaches back to before it began; the longest where none does.
fn window(windows: &[(&'static str, u64)], began: Timestamp, now: Timestamp) -> &'static str {
    let reaches = |seconds: u64| now.minus(Duration::from_secs(seconds)).plus(BEFORE) <= began;
    let found = windows.iter().find(|(_, seconds)| reaches(*seconds)).or(windows.last());
    found.map_or("", |(word, _)| word)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// A name as one path segment. A name of dots only can't stand in a path, so the console's own begin with one more `~`.
fn segment(name: &str) -> String {
    let is_dotted = matches!(name.trim_start_matches('~'), "." | "..");
    format!("{}{}", if is_dotted { "~" } else { "" }, encoded(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_time_that_matters_and_no_name_breaks_out_of_it() {
        let now = Timestamp::from_rfc3339("2026-11-23T14:00:00Z").unwrap();
        let ago = |minutes: u64| now.minus(Duration::from_secs(minutes * 60));
        let group = Page::Group { source: "main".into(), group: "a/b?c&d".into() };
        assert_eq!(group.address(ago(2), now), "group/main/a%2Fb%3Fc%26d?window=15m");
        assert_eq!(group.address(ago(30), now), "group/main/a%2Fb%3Fc%26d?window=1h");
        assert_eq!(group.address(ago(60 * 24 * 30), now), "group/main/a%2Fb%3Fc%26d?window=7d");
        assert_eq!(Page::Group { source: "..".into(), group: ".".into() }.address(now, now), "group/~../~.?window=15m");
        let flows = Page::Flows("status:failed service:\"a b\"".to_owned());
        assert_eq!(flows.address(ago(0), now), "flows?q=status%3Afailed%20service%3A%22a%20b%22&since=15m");
        let narrowed = vec![("topic", "orders.DLT".to_owned()), ("cause", "ab12".to_owned())];
        assert_eq!(Page::DeadLetters { narrowed }.address(now, now), "dead-letters?topic=orders.DLT&cause=ab12");
        assert_eq!(Page::DeadLetters { narrowed: Vec::new() }.address(now, now), "dead-letters");
    }
}
