//! What a retry copy or dead letter says of the failure that led to it.
//!
//! Headers first, by [`table`]: one convention a row. Where no header speaks, the topic's name may, and that is marked as guessed.

pub mod name; // what a topic's name suggests
pub mod table; // the conventions

use std::collections::HashMap;
use std::sync::LazyLock;

use store::Timestamp;
use store::record::{Failure, Fate, Header, Origin};

use crate::correlate::header::{self, Encoding, Take};
use crate::correlate::time;
use table::{CONVENTIONS, Convention, FateBy, Slot};

/// The longest message or stack trace that is kept apart from its header, in bytes: about what frameworks cut theirs to.
/// The header itself is kept whole.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Where a header stands in the table: which convention, and which of its rows.
type Place = (usize, usize);

static PLACES: LazyLock<HashMap<String, Vec<Place>>> = LazyLock::new(|| {
    let mut places: HashMap<String, Vec<Place>> = HashMap::new();
    for (index, convention) in CONVENTIONS.iter().enumerate() {
        for (row, held) in convention.rows.iter().enumerate() {
            places.entry(held.name.to_ascii_lowercase()).or_default().push((index, row));
        }
    }
    places
});

/// Reads what a record's headers, else its topic's name, say of a failure.
pub fn read(channel: &str, headers: &[Header]) -> Option<Failure> {
    let mut held: Vec<(Place, &Header)> = Vec::new();
    let mut room = header::room();
    for header in headers {
        if let Some(places) = header::lowered(&header.name, &mut room).and_then(|name| PLACES.get(name)) {
            held.extend(places.iter().map(|place| (*place, header)));
        }
    }
    if held.is_empty() {
        return name::guess(channel);
    }
    let spoken = CONVENTIONS.iter().enumerate().find_map(|(index, convention)| {
        let rows: Vec<(usize, &Header)> =
            held.iter().filter(|((of, _), _)| *of == index).map(|((_, row), header)| (*row, *header)).collect();
        let recognised = convention
            .marks
            .iter()
            .all(|mark| mark.split('|').any(|name| rows.iter().any(|(row, _)| convention.rows[*row].name == name)));
        (recognised && !rows.is_empty()).then(|| speak(convention, &rows, channel))
    });
    spoken.or_else(|| name::guess(channel))
}

/// What one convention's headers say.
fn speak(convention: &Convention, rows: &[(usize, &Header)], channel: &str) -> Failure {
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
        convention: convention.name.into(),
        guessed: false,
    };
    // Rows in the table's order: where two say the same, the first that is there wins.
    for (index, row) in convention.rows.iter().enumerate() {
        let mut occurrences = rows.iter().filter(|(of, _)| *of == index).map(|(_, header)| *header);
        let header = match row.take {
            Take::First => occurrences.next(),
            Take::Last => occurrences.next_back(),
        };
        let Some(header) = header else { continue };
        let text = || header::text(header).map(|text| cut(text).to_owned());
        let number = || header::number(header, row.encoding);
        let millis = || number().map(Timestamp::from_millis);
        match row.slot {
            Slot::Mark => {}
            Slot::Topic => fill(&mut origin.channel, text),
            Slot::Address => fill(&mut origin.channel, || text().map(|address| last_part(&address).to_owned())),
            Slot::Partition => fill(&mut origin.partition, || number().and_then(|number| number.try_into().ok())),
            Slot::Offset => fill(&mut origin.offset, number),
            Slot::Timestamp if row.encoding == Encoding::Text => {
                fill(&mut origin.timestamp, || header::text(header).and_then(time::time));
            }
            Slot::Timestamp => fill(&mut origin.timestamp, millis),
            Slot::Group => fill(&mut failure.group, text),
            Slot::Attempts | Slot::NextAttempt => {
                let to_come = i64::from(matches!(row.slot, Slot::NextAttempt));
                if let Some(attempts) = number().and_then(|number| number.checked_sub(to_come)?.try_into().ok())
                    && failure.attempts.is_none()
                {
                    failure.attempts = Some(attempts);
                    failure.attempts_from = Some(header.name.clone());
                }
            }
            Slot::NotBefore if row.encoding == Encoding::Text => {
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
    failure.fate = fate(convention, &origin, channel);
    failure.origin = (origin != Origin::default()).then_some(origin);
    failure
}

/// Retry or dead letter. A dead letter that was sent back to where it came from is to be tried once more, and carries its old headers still.
fn fate(convention: &Convention, origin: &Origin, channel: &str) -> Fate {
    if origin.channel.as_deref() == Some(channel) {
        return Fate::Retry;
    }
    match convention.fate {
        FateBy::Always(fate) => fate,
        FateBy::Name => name::guess(channel).map_or(Fate::Retry, |guessed| guessed.fate),
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
