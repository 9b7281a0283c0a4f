//! Typed links: every address of ours is written here, so that a link can't go nowhere and a name can't break out of it.
//!
//! Everything that is not a plain letter, digit, `-`, `_`, `.` or `~` is percent-encoded in names, whatever a broker allows in them.

use std::fmt::Write as _;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use store::{Position, TraceId};

/// What stays as it is in a path segment or query value (RFC 3986, "unreserved").
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Writes our addresses, below the path of the public address where it has one.
#[derive(Clone, Debug)]
pub struct Links {
    prefix: Arc<str>,
}

/// Our addresses with a query behind them.
#[derive(Clone, Debug)]
pub struct Href(String);

impl Links {
    /// Below this path, which has no slash at its end; empty for none.
    pub fn below(prefix: &str) -> Links {
        Links { prefix: prefix.into() }
    }

    /// The path below which everything is; empty for none.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    fn to(&self, path: &str) -> Href {
        Href(format!("{}{path}", self.prefix))
    }

    /// A place of ours that was asked for before, such as where to go after a login: only a path on this very origin will do.
    /// Browsers take `//host` and `/\host` for another host, and drop tabs and line ends before they look.
    pub fn back_to(&self, next: Option<&str>) -> Href {
        match next {
            Some(next)
                if next.starts_with('/')
                    && !next[1..].starts_with(['/', '\\'])
                    && !next.contains('\\')
                    && !next.chars().any(char::is_control)
                    && next.starts_with(&*self.prefix) =>
            {
                Href(next.to_owned())
            }
            _ => self.overview(),
        }
    }

    /// The overview.
    pub fn overview(&self) -> Href {
        self.to("/")
    }

    /// All flows.
    pub fn flows(&self) -> Href {
        self.to("/flows")
    }

    /// The flows that a query finds.
    pub fn flows_for(&self, query: &str) -> Href {
        self.flows().with("q", query)
    }

    /// Goes straight to what a word names, else to the flows that it finds.
    pub fn search(&self) -> Href {
        self.to("/search")
    }

    /// The flow of a trace.
    pub fn flow(&self, trace_id: TraceId) -> Href {
        self.to(&format!("/flow/{trace_id}"))
    }

    /// The flow that an event belongs to.
    pub fn event(&self, event_id: &str) -> Href {
        self.to("/event/").then(event_id)
    }

    /// The flow that a record belongs to.
    pub fn record(&self, position: &Position) -> Href {
        self.record_at(position.source.as_str(), position.channel.as_str(), &position.place.to_string())
    }

    /// The flow that the record at this place belongs to.
    pub fn record_at(&self, source: &str, channel: &str, place: &str) -> Href {
        self.to("/record/").then(source).slash().then(channel).slash().then(place)
    }

    /// What goes through right now.
    pub fn live(&self) -> Href {
        self.to("/live")
    }

    /// The stream of rows behind the live page.
    pub fn live_rows(&self) -> Href {
        self.to("/live/rows")
    }

    /// All topics.
    pub fn topics(&self) -> Href {
        self.to("/topics")
    }

    /// One topic.
    pub fn topic(&self, source: &str, topic: &str) -> Href {
        self.to("/topic/").then(source).slash().then(topic)
    }

    /// All consumer groups.
    pub fn groups(&self) -> Href {
        self.to("/groups")
    }

    /// One consumer group.
    pub fn group(&self, source: &str, group: &str) -> Href {
        self.to("/group/").then(source).slash().then(group)
    }

    /// Who retries.
    pub fn retries(&self) -> Href {
        self.to("/retries")
    }

    /// All dead letters.
    pub fn dead_letters(&self) -> Href {
        self.to("/dead-letters")
    }

    /// The dead letters on one topic.
    pub fn dead_letters_of(&self, source: &str, topic: &str) -> Href {
        self.to("/dead-letters/").then(source).slash().then(topic)
    }

    /// Where dead letters are decided of.
    pub fn dead_letters_decided(&self) -> Href {
        self.to("/dead-letters/decide")
    }

    /// What sending dead letters back would do.
    pub fn redrive(&self) -> Href {
        self.to("/redrive")
    }

    /// One redrive.
    pub fn redrive_of(&self, id: &str) -> Href {
        self.to("/redrive/").then(id)
    }

    /// One redrive as JSON.
    pub fn api_redrive_of(&self, id: &str) -> Href {
        self.to("/api/v1/redrives/").then(id)
    }

    /// Dead letters as JSON.
    pub fn api_dead_letters(&self) -> Href {
        self.to("/api/v1/dead-letters")
    }

    /// Dead letters as JSON, a line each.
    pub fn api_dead_letters_export(&self) -> Href {
        self.to("/api/v1/dead-letters/export")
    }

    /// What fires, and what fired.
    pub fn alerts(&self) -> Href {
        self.to("/alerts")
    }

    /// Whether webhooks were told.
    pub fn deliveries(&self) -> Href {
        self.to("/alerts/deliveries")
    }

    /// Where an alert is silenced.
    pub fn alert_silence(&self) -> Href {
        self.to("/alerts/silence")
    }

    /// Where a rule is written.
    pub fn alert_rule(&self) -> Href {
        self.to("/alerts/rule")
    }

    /// The page that shows what an alert is about, by its address below ours.
    pub fn of_alert(&self, page: &str) -> Href {
        self.to(&format!("/{}", page.trim_start_matches(['/', '\\'])))
    }

    /// How Sillage itself fares.
    pub fn status(&self) -> Href {
        self.to("/status")
    }

    /// Metrics for Prometheus and its like.
    pub fn metrics(&self) -> Href {
        self.to("/metrics")
    }

    /// Where entries are forgotten.
    pub fn forget(&self) -> Href {
        self.to("/forget")
    }

    /// The login form.
    pub fn login(&self) -> Href {
        self.to("/login")
    }

    /// Ends a login.
    pub fn logout(&self) -> Href {
        self.to("/logout")
    }

    /// Chooses light or dark.
    pub fn theme(&self) -> Href {
        self.to("/theme")
    }

    /// What the keys do, and how to ask.
    pub fn help(&self) -> Href {
        self.to("/help")
    }

    /// A file of ours, under its version.
    pub fn asset(&self, name: &str) -> Href {
        self.to(&format!("/assets/{}/{name}", crate::asset::VERSION))
    }

    /// A flow as JSON.
    pub fn api_flow(&self, trace_id: TraceId) -> Href {
        self.to(&format!("/api/v1/flow/{trace_id}"))
    }

    /// A flow as JSON, reached from a record.
    pub fn api_record(&self, position: &Position) -> Href {
        let page = self.record(position).0;
        Href(format!("{}/api/v1{}", self.prefix, &page[self.prefix.len()..]))
    }

    /// A record's body, byte for byte.
    pub fn api_raw(&self, position: &Position) -> Href {
        Href(format!("{}/raw", self.api_record(position).0))
    }

    /// A flow as JSON, reached from an event id.
    pub fn api_event(&self, event_id: &str) -> Href {
        self.to("/api/v1/event/").then(event_id)
    }
}

impl Href {
    /// With one more query parameter. An empty value adds nothing: what is not asked for is not in the address.
    pub fn with(mut self, name: &str, value: &str) -> Href {
        if !value.is_empty() {
            self.0.push(if self.0.contains('?') { '&' } else { '?' });
            self.0.push_str(name);
            self.0.push('=');
            let _ = write!(self.0, "{}", utf8_percent_encode(value, ENCODED));
        }
        self
    }

    /// With one more query parameter that is empty on purpose.
    pub fn with_empty(mut self, name: &str) -> Href {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        self.0.push_str(name);
        self.0.push('=');
        self
    }

    /// With a place on the page to go to.
    pub fn at(mut self, id: &str) -> Href {
        self.0.push('#');
        let _ = write!(self.0, "{}", utf8_percent_encode(id, ENCODED));
        self
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Adds a name as one path segment. `.` and `..` can't stand in a path, not even encoded (WHATWG URL, "path state"),
    /// so a name of dots gets a `~` before it, and one that begins so already another; [`segment`] takes it away.
    fn then(mut self, name: &str) -> Href {
        if is_dotted(name) {
            self.0.push('~');
        }
        let _ = write!(self.0, "{}", utf8_percent_encode(name, ENCODED));
        self
    }

    fn slash(mut self) -> Href {
        self.0.push('/');
        self
    }
}

impl std::fmt::Display for Href {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name in a path segment that was percent-decoded already.
pub fn segment(decoded: &str) -> &str {
    match decoded.strip_prefix('~') {
        Some(name) if is_dotted(name) => name,
        _ => decoded,
    }
}

fn is_dotted(name: &str) -> bool {
    matches!(name.trim_start_matches('~'), "." | "..")
}

#[cfg(test)]
mod tests {
    use store::position::{Incarnation, Place};

    use super::*;

    #[test]
    fn any_name_makes_one_path_segment_and_reads_back() {
        let links = Links::below("");
        for name in
            ["order.placed", "a/b", "50% off?", "#1 & co", "ü ß", ".", "..", "~.", "~~..", "\"><script>", "a b\n"]
        {
            let href = links.topic("main", name).to_string();
            let last = href.strip_prefix("/topic/main/").unwrap();
            assert!(!last.contains(['/', '?', '#', '"', '<', ' ', '&']), "{href}");
            assert!(!matches!(last, "." | ".."), "{href}");
            let decoded = percent_encoding::percent_decode_str(last).decode_utf8().unwrap();
            assert_eq!(segment(&decoded), name);
        }
    }

    #[test]
    fn a_record_is_linked_by_its_place() {
        let position = Position {
            source: "main".into(),
            channel: "order.placed".into(),
            incarnation: Incarnation(0),
            place: Place::Offset { partition: 3, offset: 48213 },
        };
        let links = Links::below("/tools");
        assert_eq!(links.record(&position).as_str(), "/tools/record/main/order.placed/3%4048213");
        assert_eq!(links.api_raw(&position).as_str(), "/tools/api/v1/record/main/order.placed/3%4048213/raw");
        assert_eq!(links.flows().with("q", "a b").with("from", "").as_str(), "/tools/flows?q=a%20b");
    }

    #[test]
    fn one_comes_back_only_to_our_own_origin() {
        let links = Links::below("");
        assert_eq!(links.back_to(Some("/flows?q=a")).as_str(), "/flows?q=a");
        for elsewhere in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "javascript:1",
            "",
            "/a\\b",
        ] {
            assert_eq!(links.back_to(Some(elsewhere)).as_str(), "/", "{elsewhere:?}");
        }
        assert_eq!(Links::below("/tools").back_to(Some("/other")).as_str(), "/tools/");
    }
}
