//! What stands after a field's colon: the value that it is tested for.

use std::time::Duration;

use super::super::print::UNITS;
use super::super::{Field, Query, Test, suggest};
use super::{Parser, QueryError, ends_word, error, stem};
use crate::entry::Kind;
use crate::time::Timestamp;

/// The words that `status:` knows.
const STATUSES: [&str; 8] = ["dead", "retried", "failed", "ok", "waiting", "aborted", "open", "gap"];

/// What OpenTelemetry, and so every other tool, calls a span that failed.
const FAILED_ELSEWHERE: &str = "error";

const KINDS: [Kind; 3] = [Kind::Record, Kind::Span, Kind::Log];

impl Parser<'_> {
    /// The value of a field whose name began at `start`.
    pub(super) fn value(&mut self, start: usize, field: Field) -> Result<Query, QueryError> {
        let at = self.at;
        if self.rest().starts_with('"') {
            let text = self.quoted()?;
            let test = if self.take('*') { Test::Begins(text) } else { Test::Is(text) };
            self.end_of_term()?;
            return Ok(Query::Term { field, test });
        }
        if self.rest().starts_with('(') {
            let name = &self.text[start..at - 1];
            return Err(error(at, format!("one value follows `{name}:`; for several write `({name}:a OR {name}:b)`")));
        }
        let value = self.bare(start)?;
        if field == Field::Kind {
            let kind = KINDS.into_iter().find(|kind| kind.as_str() == value);
            return match kind {
                Some(kind) => Ok(Query::Kind(kind)),
                None if value == "*" => Ok(Query::Term { field, test: Test::Present }),
                None => Err(error(at, one_of("kind", value, &KINDS.map(Kind::as_str)))),
            };
        }
        Ok(Query::Term { test: test(at, &field, value)?, field })
    }

    /// The value of `time:`.
    pub(super) fn time(&mut self) -> Result<Query, QueryError> {
        let at = self.at;
        let value = self.bare(at - "time:".len())?;
        let instant = |at: usize, text: &str| {
            let whole = if text.contains(['T', 't']) { Timestamp::from_rfc3339(text) } else { None };
            whole.or_else(|| Timestamp::from_rfc3339(&format!("{text}T00:00:00Z"))).ok_or_else(|| {
                error(at, format!("`{text}` is no time: write `2026-11-23T14:02:11Z`, or use `age:<15m`"))
            })
        };
        let next = |at: Timestamp| Timestamp::from_nanos(at.as_nanos().saturating_add(1));
        let (from, to) = if value == "*" {
            (None, None)
        } else if let Some((sign, text)) = comparison(value) {
            let instant = instant(at + sign.len(), text)?;
            match sign {
                ">" => (Some(next(instant)), None),
                ">=" => (Some(instant), None),
                "<" => (None, Some(instant)),
                _ => (None, Some(next(instant))),
            }
        } else if let Some((from, to)) = value.split_once("..") {
            let to_at = at + from.len() + "..".len();
            let from = if from.is_empty() { None } else { Some(instant(at, from)?) };
            let to = if to.is_empty() { None } else { Some(instant(to_at, to)?) };
            (from, to)
        } else {
            return Err(error(
                at,
                "a time needs `>`, `<` or `..`, such as `time:2026-11-23T14:00:00Z..2026-11-23T15:00:00Z`",
            ));
        };
        Ok(Query::Time { from, to })
    }

    /// A value without quotes.
    fn bare(&mut self, start: usize) -> Result<&str, QueryError> {
        let at = self.at;
        let rest = &self.text[at..];
        let value = &rest[..rest.find(ends_word).unwrap_or(rest.len())];
        if value.is_empty() {
            let name = &self.text[start..at - 1];
            return Err(error(at, format!("`{name}:` needs a value right after it; `{name}:*` finds any")));
        }
        self.at += value.len();
        self.end_of_term()?;
        Ok(value)
    }
}

fn test(at: usize, field: &Field, value: &str) -> Result<Test, QueryError> {
    if value == "*" {
        return Ok(Test::Present);
    }
    if let Some((sign, text)) = comparison(value) {
        let limit = number(at + sign.len(), field, text)?;
        return Ok(match sign {
            ">" => Test::Between(Some(limit.next_up()), None),
            ">=" => Test::Between(Some(limit), None),
            "<" => Test::Between(None, Some(limit.next_down())),
            _ => Test::Between(None, Some(limit)),
        });
    }
    if let Some((from, to)) = value.split_once("..") {
        let to_at = at + from.len() + "..".len();
        let from = if from.is_empty() { Ok(None) } else { number(at, field, from).map(Some) };
        let to = if to.is_empty() { Ok(None) } else { number(to_at, field, to).map(Some) };
        match (from, to) {
            (Ok(from), Ok(to)) => return Ok(Test::Between(from, to)),
            (Err(_), Err(_)) if !needs_number(field) => {} // dots within a text
            (Err(error), _) | (_, Err(error)) => return Err(error),
        }
    }
    let (text, begins) = stem(at, value)?;
    if begins {
        return match field {
            Field::Status | Field::Partition | Field::Offset | Field::Duration | Field::Age => {
                Err(error(at + text.len(), format!("`{field}:` takes no `*` after a value; `{field}:*` finds any")))
            }
            _ => Ok(Test::Begins(field.fold(text).into_owned())),
        };
    }
    match field {
        Field::Trace => match super::super::fields::trace_id(text) {
            Some(id) => Ok(Test::Is(id)),
            None if text.len() < 16 && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Err(error(at, format!("a trace id has 32 hexadecimal digits; for its beginning write `trace:{text}*`")))
            }
            None => Err(error(at, format!("`{text}` is no trace id: it has 32 hexadecimal digits"))),
        },
        Field::Status => {
            let folded = field.fold(text);
            match STATUSES.iter().find(|known| ***known == *folded) {
                Some(known) => Ok(Test::Is((*known).to_owned())),
                None if *folded == *FAILED_ELSEWHERE => Ok(Test::Is("failed".to_owned())),
                None => Err(error(at, one_of("status", text, &STATUSES))),
            }
        }
        Field::Duration | Field::Age => {
            let exactly = number(at, field, text)?;
            Ok(Test::Between(Some(exactly), Some(exactly)))
        }
        Field::Partition | Field::Offset => match text.parse::<i64>() {
            Ok(number) => Ok(Test::Is(number.to_string())),
            Err(_) => Err(error(at, format!("`{text}` is no whole number"))),
        },
        _ => Ok(Test::Is(field.fold(text).into_owned())),
    }
}

/// A length of time as queries have it, such as `500ms` or `15m`; `None` for anything else, and for a negative one.
pub fn duration(text: &str) -> Option<Duration> {
    let nanos = number(0, &Field::Age, text).ok()?;
    (nanos >= 0.0 && nanos < u64::MAX as f64).then(|| Duration::from_nanos(nanos as u64))
}

fn needs_number(field: &Field) -> bool {
    matches!(field, Field::Partition | Field::Offset | Field::Duration | Field::Age)
}

/// A sign of comparison at the start of a value, and what follows it.
fn comparison(value: &str) -> Option<(&str, &str)> {
    let length = match value.as_bytes() {
        [b'>' | b'<', b'=', ..] => 2,
        [b'>' | b'<', ..] => 1,
        _ => return None,
    };
    Some(value.split_at(length))
}

fn number(at: usize, field: &Field, text: &str) -> Result<f64, QueryError> {
    let digits_end = text.find(|c: char| c.is_ascii_alphabetic() && !is_exponent(text, c)).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let factor = if field.is_time_span() {
        let known = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, nanos)| *nanos);
        known.ok_or_else(|| {
            let what = if unit.is_empty() { format!("`{text}` needs a unit") } else { format!("no unit `{unit}`") };
            error(at + digits_end, format!("{what}: write ns, us, ms, s, m, h or d, such as `{field}:>500ms`"))
        })?
    } else if unit.is_empty() {
        1.0
    } else {
        return Err(error(at, format!("`{text}` is no number")));
    };
    match digits.parse::<f64>() {
        Ok(number) if (number * factor).is_finite() => Ok(number * factor),
        _ => Err(error(at, format!("`{text}` is no number"))),
    }
}

/// `1e9` is a number, and its `e` no unit.
fn is_exponent(text: &str, c: char) -> bool {
    matches!(c, 'e' | 'E') && text.parse::<f64>().is_ok()
}

fn one_of(field: &str, written: &str, known: &[&'static str]) -> String {
    match suggest::closest(&written.to_lowercase(), known.iter().copied()) {
        Some(meant) => format!("no {field} `{written}`: did you mean `{meant}`?"),
        None => format!("no {field} `{written}`: it is one of {}", known.join(", ")),
    }
}
