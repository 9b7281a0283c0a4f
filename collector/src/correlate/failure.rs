//! What a retry copy or dead letter says of the failure that led to it.
//!
//! Headers first: by the `[[convention]]` tables of the configuration, then by [`table`], one convention a row, then by names that most
//! choose alike ([`by_hand`]). Where no header speaks, the topic's name may: a configured one says it for certain, any other is guessed, and marked so.

pub mod by_hand; // names that most choose alike
pub mod name; // what a topic's name suggests
pub mod own; // `[[convention]]`
pub mod table; // the conventions

use std::sync::LazyLock;

use foldhash::HashMap;
use store::Timestamp;
use store::record::{Failure, Fate, Header, Origin};

use crate::correlate::header::{self, Encoding, Take};
use crate::correlate::time;
use own::Own;
use table::{CONVENTIONS, FateBy, Reading, Slot};

/// The longest message or stack trace that is kept apart from its header, in bytes: about what frameworks cut theirs to.
/// The header itself is kept whole.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Where a header stands in the table: which convention, and which of its rows.
type Place = (usize, usize);

static PLACES: LazyLock<HashMap<String, Vec<Place>>> = LazyLock::new(|| {
    let mut places: HashMap<String, Vec<Place>> = HashMap::default();
    for (index, convention) in CONVENTIONS.iter().enumerate() {
        for (row, held) in convention.rows.iter().enumerate() {
            places.entry(held.name.to_ascii_lowercase()).or_default().push((index, row));
        }
    }
    places
});

/// Reads what a record's headers, else its topic's name, say of a failure.
pub fn read(own: &[Own], channel: &str, headers: &[Header]) -> Option<Failure> {
    own.iter()
        .find_map(|own| own.read(channel, headers))
        .or_else(|| read_by_table(own, channel, headers))
        .or_else(|| by_hand::read(own, channel, headers))
        .or_else(|| named(own, channel))
}

/// What the topic alone says: for certain where the configuration names it.
fn named(own: &[Own], channel: &str) -> Option<Failure> {
    own.iter().find_map(|own| own.by_name(channel)).or_else(|| name::guess(channel))
}

/// What the conventions of the table make of a record's headers.
fn read_by_table(own: &[Own], channel: &str, headers: &[Header]) -> Option<Failure> {
    let mut held: Vec<(Place, &Header)> = Vec::new();
    let mut room = header::room();
    for header in headers {
        if let Some(places) = header::lowered(&header.name, &mut room).and_then(|name| PLACES.get(name)) {
            held.extend(places.iter().map(|place| (*place, header)));
        }
    }
    if held.is_empty() {
        return None;
    }
    CONVENTIONS.iter().enumerate().find_map(|(index, convention)| {
        let rows: Vec<(usize, &Header)> =
            held.iter().filter(|((of, _), _)| *of == index).map(|((_, row), header)| (*row, *header)).collect();
        let recognised = convention
            .marks
            .iter()
            .all(|mark| mark.split('|').any(|name| rows.iter().any(|(row, _)| convention.rows[*row].name == name)));
        if !recognised || rows.is_empty() {
            return None;
        }
        let said = convention.rows.iter().enumerate().map(|(index, row)| {
            (row.reading, rows.iter().filter(move |(of, _)| *of == index).map(|(_, header)| *header))
        });
        let mut failure = speak(convention.name, said);
        failure.fate = fate(convention.fate, &failure, channel, own);
        Some(failure)
    })
}

/// What the headers of one convention say: each reading, in the convention's order, with the header's occurrences.
/// Where two say the same, the first that is there wins.
fn speak<'h, H>(convention: &str, said: impl Iterator<Item = (Reading, H)>) -> Failure
where
    H: DoubleEndedIterator<Item = &'h Header>,
{
    let mut origin = Origin::default();
    let mut failure = Failure {
        fate: Fate::DeadLetter,
        origin: None,
        group: None,
        attempts: None,
        attempts_from: None,
        not_before: None,
        exception: None,
        message: None,
        stack_trace: None,
        convention: convention.into(),
        guessed: false,
    };
    for (reading, mut occurrences) in said {
        let header = match reading.take {
            Take::First => occurrences.next(),
            Take::Last => occurrences.next_back(),
        };
        let Some(header) = header else { continue };
        let text = || header::text(header).map(|text| cut(text).to_owned());
        let number = || header::number(header, reading.encoding);
        let millis = || number().map(Timestamp::from_millis);
        match reading.slot {
            Slot::Mark => {}
            Slot::Topic => fill(&mut origin.channel, text),
            Slot::Address => fill(&mut origin.channel, || text().map(|address| last_part(&address).to_owned())),
            Slot::Partition => fill(&mut origin.partition, || number().and_then(|number| number.try_into().ok())),
            Slot::Offset => fill(&mut origin.offset, number),
            Slot::Timestamp if reading.encoding == Encoding::Text => {
                fill(&mut origin.timestamp, || header::text(header).and_then(time::time));
            }
            Slot::Timestamp => fill(&mut origin.timestamp, millis),
            Slot::Group => fill(&mut failure.group, text),
            Slot::Connector => fill(&mut failure.group, || text().map(|name| format!("connect-{name}"))),
            Slot::Attempts | Slot::NextAttempt => {
                let to_come = i64::from(matches!(reading.slot, Slot::NextAttempt));
                if let Some(attempts) = number().and_then(|number| number.checked_sub(to_come)?.try_into().ok())
                    && failure.attempts.is_none()
                {
                    failure.attempts = Some(attempts);
                    failure.attempts_from = Some(header.name.clone());
                }
            }
            Slot::NotBefore if reading.encoding == Encoding::Text => {
                fill(&mut failure.not_before, || header::text(header).and_then(time::time));
            }
            Slot::NotBefore => fill(&mut failure.not_before, millis),
            Slot::Exception => fill(&mut failure.exception, text),
            Slot::Message => fill(&mut failure.message, text),
            Slot::StackTrace => fill(&mut failure.stack_trace, text),
            Slot::Dotnet => dotnet(&mut failure, header),
            Slot::Cap => cap(&mut failure, header),
        }
    }
    failure.origin = (origin != Origin::default()).then_some(origin);
    complete(&mut failure);
    failure
}

/// A message that ends where the reason should begin, such as Kafka Connect's "due to serialization error:", goes on with the innermost cause
/// of the stack trace.
fn complete(failure: &mut Failure) {
    let Some(message) = failure.message.as_mut().filter(|message| message.ends_with(':')) else { return };
    let causes = failure.stack_trace.as_deref().unwrap_or_default().lines().rev();
    if let Some(cause) = causes.filter_map(|line| line.trim().strip_prefix("Caused by: ")).next() {
        *message = cut(&format!("{message} {cause}")).to_owned();
    }
}

/// Retry or dead letter. A dead letter that was sent back to where it came from is to be tried once more, and carries its old headers still.
fn fate(by: FateBy, failure: &Failure, channel: &str, own: &[Own]) -> Fate {
    if failure.origin.as_ref().is_some_and(|origin| origin.channel.as_deref() == Some(channel)) {
        return Fate::Retry;
    }
    match by {
        FateBy::Always(fate) => fate,
        FateBy::Name => named(own, channel).map_or(Fate::Retry, |told| told.fate),
    }
}

fn fill<T>(slot: &mut Option<T>, value: impl FnOnce() -> Option<T>) {
    if slot.is_none() {
        *slot = value();
    }
}

/// `System.InvalidOperationException: no stock` and the stack trace in the lines below (Rebus: several, apart from each other).
fn dotnet(failure: &mut Failure, header: &Header) {
    let Some(text) = header::text(header) else { return };
    let first = text.lines().map(str::trim).find(|line| line.contains("Exception")).unwrap_or_default();
    let first = first.rsplit_once(" ---> ").map_or(first, |(_, inner)| inner);
    if let Some((exception, message)) = first.split_once(':') {
        let exception = exception.rsplit(' ').next().unwrap_or(exception);
        fill(&mut failure.exception, || Some(cut(exception).to_owned()));
        fill(&mut failure.message, || Some(cut(message.trim()).to_owned()));
    }
    fill(&mut failure.stack_trace, || Some(cut(text).to_owned()));
}

/// `System.Exception-->no stock` (dotnetcore/CAP).
fn cap(failure: &mut Failure, header: &Header) {
    let Some(text) = header::text(header) else { return };
    match text.split_once("-->") {
        Some((exception, message)) => {
            fill(&mut failure.exception, || Some(cut(exception).to_owned()));
            fill(&mut failure.message, || Some(cut(message).to_owned()));
        }
        None => fill(&mut failure.message, || Some(cut(text).to_owned())),
    }
}

/// The queue in an address such as `rabbitmq://host/vhost/orders?durable=true`.
fn last_part(address: &str) -> &str {
    let path = address.split('?').next().unwrap_or(address).trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}

fn cut(text: &str) -> &str {
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests;
