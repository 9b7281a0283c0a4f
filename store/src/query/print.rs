//! A query as text that reads back as the same query.

use std::fmt;

use super::{Field, Query, Test};
use crate::time::Timestamp;

impl fmt::Display for Query {
    /// As [`Query::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Query::All => f.write_str("*"),
            Query::And(all) => match all.as_slice() {
                [] => f.write_str("*"),
                [first, rest @ ..] => {
                    within_and(f, first)?;
                    rest.iter().try_for_each(|query| {
                        f.write_str(" ")?;
                        within_and(f, query)
                    })
                }
            },
            Query::Or(any) => match any.as_slice() {
                // None of no queries holds.
                [] => f.write_str("-*"),
                [first, rest @ ..] => {
                    within_or(f, first)?;
                    rest.iter().try_for_each(|query| {
                        f.write_str(" OR ")?;
                        within_or(f, query)
                    })
                }
            },
            Query::Not(query) => {
                f.write_str("-")?;
                within_and(f, query)
            }
            Query::Kind(kind) => write!(f, "kind:{}", kind.as_str()),
            Query::Time { from, to } => time(f, *from, *to),
            Query::Term { field, test } => term(f, field, test),
            Query::Text { words, prefix } => {
                match words.as_slice() {
                    [] => return f.write_str("*"),
                    [word] if word.chars().all(char::is_alphanumeric) => f.write_str(word)?,
                    words => write!(f, "\"{}\"", words.join(" "))?,
                }
                f.write_str(if *prefix { "*" } else { "" })
            }
            Query::Flow(query) => write!(f, "flow:({query})"),
            Query::Finding(kind) => write!(f, "finding:{}", kind.unwrap_or("*")),
            Query::Waits(_) => f.write_str("status:waiting"),
        }
    }
}

fn within_and(f: &mut fmt::Formatter<'_>, query: &Query) -> fmt::Result {
    match query {
        Query::And(all) if !all.is_empty() => write!(f, "({query})"),
        Query::Or(any) if !any.is_empty() => write!(f, "({query})"),
        _ => write!(f, "{query}"),
    }
}

fn within_or(f: &mut fmt::Formatter<'_>, query: &Query) -> fmt::Result {
    match query {
        Query::Or(any) if !any.is_empty() => write!(f, "({query})"),
        _ => write!(f, "{query}"),
    }
}

fn time(f: &mut fmt::Formatter<'_>, from: Option<Timestamp>, to: Option<Timestamp>) -> fmt::Result {
    match (from, to) {
        (None, None) => f.write_str("time:*"),
        (Some(from), None) => write!(f, "time:>={from}"),
        (None, Some(to)) => write!(f, "time:<{to}"),
        (Some(from), Some(to)) => write!(f, "time:{from}..{to}"),
    }
}

fn term(f: &mut fmt::Formatter<'_>, field: &Field, test: &Test) -> fmt::Result {
    match test {
        Test::Present => write!(f, "{field}:*"),
        Test::Is(text) => without_quotes_if_it_can(f, field, test, text, ""),
        Test::Begins(text) => without_quotes_if_it_can(f, field, test, text, "*"),
        Test::Between(from, to) => {
            write!(f, "{field}:")?;
            between(f, field, *from, *to)
        }
    }
}

/// Quotes stand only where the text would mean something else without: asked of the parser itself, which can't be wrong about it.
fn without_quotes_if_it_can(
    f: &mut fmt::Formatter<'_>,
    field: &Field,
    test: &Test,
    text: &str,
    star: &str,
) -> fmt::Result {
    let bare = format!("{field}:{text}{star}");
    match Query::parse(&bare) {
        Ok(Query::Term { field: read, test: read_test }) if read == *field && read_test == *test => f.write_str(&bare),
        _ => write!(f, "{field}:{}{star}", Quoted(text)),
    }
}

fn between(f: &mut fmt::Formatter<'_>, field: &Field, from: Option<f64>, to: Option<f64>) -> fmt::Result {
    match (from, to) {
        (None, None) => f.write_str(".."),
        (Some(from), None) if is_just_above_a_rounder_one(from) => write!(f, ">{}", Number(field, from.next_down())),
        (Some(from), None) => write!(f, ">={}", Number(field, from)),
        (None, Some(to)) if is_just_above_a_rounder_one(-to) => write!(f, "<{}", Number(field, to.next_up())),
        (None, Some(to)) => write!(f, "<={}", Number(field, to)),
        (Some(from), Some(to)) => write!(f, "{}..{}", Number(field, from), Number(field, to)),
    }
}

/// `>500ms` is kept as "at least the next number above": written the way it was.
fn is_just_above_a_rounder_one(number: f64) -> bool {
    number.next_down().to_string().len() < number.to_string().len()
}

/// Text in quotes, its quotes and backslashes escaped.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// Units of time, longest first, in nanoseconds.
pub(super) const UNITS: [(&str, f64); 7] =
    [("d", 86_400e9), ("h", 3_600e9), ("m", 60e9), ("s", 1e9), ("ms", 1e6), ("us", 1e3), ("ns", 1.0)];

/// A number as its field has it: with the longest unit that it is a whole multiple of, where it counts time.
struct Number<'a>(&'a Field, f64);

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Number(field, number) = self;
        if !field.is_time_span() {
            return write!(f, "{number}");
        }
        for (unit, nanos) in UNITS {
            let many = number / nanos;
            if many.fract() == 0.0 && many * nanos == *number && (many != 0.0 || unit == "s") {
                return write!(f, "{many}{unit}");
            }
        }
        write!(f, "{number}ns")
    }
}

/// Any query that can be written down.
#[cfg(test)]
pub(super) fn arbitrary_query() -> impl proptest::strategy::Strategy<Value = Query> {
    use proptest::prelude::*;

    use crate::flow::finding::KINDS;

    let word = prop_oneof!["[a-z0-9]{1,8}", Just("billing".to_owned()), Just("order".to_owned())];
    let text = prop_oneof![
        "[a-zA-Z0-9*.<>=\"\\\\ ():-]{0,12}",
        any::<String>(),
        Just("orders".to_owned()),
        Just("dead".to_owned())
    ];
    let field = prop_oneof![
        proptest::sample::select(super::fields::NAMED.map(|(_, field)| field).to_vec()),
        "[a-z.\": ]{1,8}".prop_map(Field::Body),
        "[A-Za-z-]{1,8}".prop_map(Field::Header),
        "[a-z.]{1,12}".prop_map(Field::Attribute),
    ];
    let number = prop_oneof![
        (-100_i32..100).prop_map(f64::from),
        proptest::num::f64::NORMAL | proptest::num::f64::ZERO,
        (0_u32..10_000).prop_map(|ms| f64::from(ms) * 1e6),
        (0_u32..100).prop_map(|ms| (f64::from(ms) * 1e6).next_up()),
    ];
    let instant = (0_i64..4_000_000_000_000_000_000).prop_map(Timestamp::from_nanos);
    let test = prop_oneof![
        text.clone().prop_map(Test::Is),
        text.prop_map(Test::Begins),
        (proptest::option::of(number.clone()), proptest::option::of(number))
            .prop_map(|(from, to)| Test::Between(from, to)),
        Just(Test::Present),
    ];
    let leaf = prop_oneof![
        Just(Query::All),
        proptest::sample::select(vec![crate::entry::Kind::Record, crate::entry::Kind::Span]).prop_map(Query::Kind),
        (proptest::option::of(instant.clone()), proptest::option::of(instant))
            .prop_map(|(from, to)| Query::Time { from, to }),
        (field, test).prop_map(|(field, test)| match (&field, &test) {
            // A kind is no number, and the parser says so.
            (Field::Kind, Test::Between(..)) => Query::Term { field, test: Test::Present },
            _ => Query::Term { field, test },
        }),
        (proptest::collection::vec(word, 1..4), any::<bool>())
            .prop_map(|(words, prefix)| Query::Text { words, prefix }),
    ];
    let several = |inner: BoxedStrategy<Query>| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Query::And),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Query::Or),
            inner.prop_map(|query| Query::Not(Box::new(query))),
        ]
    };
    let plain = leaf.prop_recursive(3, 16, 3, several).boxed();
    let flow = plain.clone().prop_map(|query| Query::Flow(Box::new(query)));
    let finding = proptest::option::of(proptest::sample::select(KINDS.to_vec())).prop_map(Query::Finding);
    prop_oneof![6 => plain, 2 => flow, 1 => finding].boxed().prop_recursive(2, 8, 3, several)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_query_is_written_the_way_people_write_it() {
        for text in [
            "*",
            "refused",
            "refu*",
            "\"card declined\"",
            "key:order-48213",
            "topic:orders* -status:dead",
            "(type:OrderPlaced OR type:OrderCancelled) service:billing",
            "duration:>500ms",
            "duration:<=2s",
            "duration:1500us..5m",
            "offset:10..20",
            "body.total.amount:>=12.5",
            "body.amount:<-5",
            "header.\"my header\":x",
            "attr.http.route:\"/orders (all)\"",
            "key:\"500..600\"",
            "flow:(status:dead) kind:span",
            "time:>=2026-11-23T14:00:00.000000000Z",
            "age:<15m",
            "trace:0af7*",
            "event:*",
        ] {
            assert_eq!(Query::parse(text).unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn a_query_reads_back_as_itself(query in arbitrary_query()) {
            let text = query.to_string();
            // Longer ones are refused, as they would be from a person.
            if text.len() <= super::super::QUERY_BYTES_MAX {
                prop_assert_eq!(Query::parse(&text), Ok(query), "{}", text);
            }
        }
    }
}
