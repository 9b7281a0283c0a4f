//! Which dead letters an address asks for, and that address written again. Pages, the API, the export and the forms all read it here.

use store::dead_letters::{DeadLetter, State, Wanted};
use store::engine::Cursor;
use store::{Channel, Place, SourceName};

use crate::href::{Href, Links};

/// How many dead letters may be named at once: as many as one page shows, and as fit into an address.
pub const NAMED_MAX: usize = 100;

/// What an address asks for.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Asked {
    /// Which dead letters.
    pub wanted: Wanted,
    /// From where on.
    pub after: Option<Cursor>,
    /// How many, where it says.
    pub limit: Option<usize>,
    /// How many were just decided of: for a word on the page.
    pub decided: Option<u64>,
}

impl Asked {
    /// Reads what stands behind the `?`. What can't be read is told in a sentence.
    pub fn read(query: &str) -> Result<Asked, String> {
        let mut asked = Asked::default();
        let wanted = &mut asked.wanted;
        for (name, value) in pairs(query) {
            if value.is_empty() && !matches!(name.as_str(), "consumer" | "type") {
                continue;
            }
            match name.as_str() {
                "source" => wanted.source = Some(value.into()),
                "topic" => wanted.topic = Some(value.into()),
                "consumer" => wanted.consumer = Some(value),
                "type" => wanted.event_type = Some(value),
                "cause" => wanted.cause = Some(value),
                "state" => {
                    wanted.state = state(&value)
                        .ok_or_else(|| format!("`{value}` is no state: open, redriven, dismissed, any"))?;
                }
                "at" if wanted.positions.len() == NAMED_MAX => {
                    return Err(format!("more than {NAMED_MAX} dead letters are named: filter by their cause instead"));
                }
                "at" => wanted.positions.push(named(&value).ok_or_else(|| {
                    format!("`{value}` names no dead letter: write source/topic/place, such as main/orders.DLT/0@16")
                })?),
                "cursor" => asked.after = Some(Cursor::from_text(&value).ok_or("`cursor` is not one of ours")?),
                "limit" => asked.limit = Some(value.parse().map_err(|_| "`limit` is no number")?),
                "decided" => asked.decided = value.parse().ok(),
                _ => {}
            }
        }
        Ok(asked)
    }

    /// The same for those who send back: what is named one by one is meant in whatever state it is.
    pub fn whatever_is_named(mut self) -> Asked {
        if !self.wanted.positions.is_empty() {
            self.wanted.state = State::Any;
        }
        self
    }

    /// The page that shows this. A source and a topic have a page of their own.
    pub fn page(&self, links: &Links) -> Href {
        let wanted = &self.wanted;
        let page = match (&wanted.source, &wanted.topic) {
            (Some(source), Some(topic)) => links.dead_letters_of(source.as_str(), topic.as_str()),
            (source, topic) => links
                .dead_letters()
                .with("source", source.as_ref().map_or("", SourceName::as_str))
                .with("topic", topic.as_ref().map_or("", Channel::as_str)),
        };
        self.written(page)
    }

    /// An address of the API that asks the same.
    pub fn of_api(&self, href: Href) -> Href {
        let (source, topic) = (self.wanted.source.as_ref(), self.wanted.topic.as_ref());
        let href = href.with("source", source.map_or("", SourceName::as_str));
        self.written(href.with("topic", topic.map_or("", Channel::as_str)))
    }

    fn written(&self, mut href: Href) -> Href {
        let wanted = &self.wanted;
        // "Those that tell none" is an empty value, which an address leaves out unless it is said.
        for (name, value) in [("consumer", &wanted.consumer), ("type", &wanted.event_type)] {
            if let Some(value) = value {
                href = if value.is_empty() { href.with_empty(name) } else { href.with(name, value) };
            }
        }
        href = href.with("cause", wanted.cause.as_deref().unwrap_or_default()).with("state", state_name(wanted.state));
        for (source, channel, place) in &wanted.positions {
            href = href.with("at", &format!("{source}/{channel}/{place}"));
        }
        href
    }
}

/// The name of a dead letter in addresses and forms.
pub fn name(letter: &DeadLetter) -> String {
    let position = &letter.position;
    format!("{}/{}/{}", position.source, position.channel, position.place)
}

fn named(text: &str) -> Option<(SourceName, Channel, Place)> {
    let (source, rest) = text.split_once('/')?;
    let (channel, place) = rest.rsplit_once('/')?;
    Some((source.into(), channel.into(), Place::parse(place)?))
}

fn state(name: &str) -> Option<State> {
    [State::Open, State::Redriven, State::Dismissed, State::Any].into_iter().find(|state| state_word(*state) == name)
}

/// Nothing for what is shown anyway.
fn state_name(state: State) -> &'static str {
    if state == State::Open { "" } else { state_word(state) }
}

/// A state's word in addresses.
pub fn state_word(state: State) -> &'static str {
    match state {
        State::Open => "open",
        State::Redriven => "redriven",
        State::Dismissed => "dismissed",
        State::Any => "any",
    }
}

/// The names and values of a query or a form, decoded, in order.
pub fn pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let decode =
        |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    query.split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_what_was_asked() {
        let links = Links::below("/sillage");
        for query in [
            "",
            "cause=0123456789abcdef&state=any",
            "source=main&topic=orders%20%26%20more&consumer=&type=",
            "consumer=billing&at=main/orders.DLT/0%4016&at=main/a/b/seq%3A7&state=dismissed",
        ] {
            let asked = Asked::read(query).unwrap();
            let href = asked.of_api(links.dead_letters()).to_string();
            let again = Asked::read(href.split_once('?').map_or("", |(_, query)| query)).unwrap();
            assert_eq!(again, asked, "{query} became {href}");
        }
        let page = Asked::read("source=main&topic=orders.DLT&cause=ab").unwrap().page(&links);
        assert_eq!(page.to_string(), "/sillage/dead-letters/main/orders.DLT?cause=ab");
    }

    #[test]
    fn what_can_not_be_read_is_told() {
        for (query, part) in
            [("state=blue", "no state"), ("at=orders", "names no dead letter"), ("limit=x", "no number")]
        {
            assert!(Asked::read(query).unwrap_err().contains(part), "{query}");
        }
        assert!(Asked::read(&"at=a/b/0@1&".repeat(NAMED_MAX + 1)).unwrap_err().contains("more than 100"));
    }
}
