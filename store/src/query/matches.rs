//! What a query means: whether it holds for an entry.

use std::borrow::Cow;

use super::phrase::has_phrase;
use super::{Field, Query, Test, text};
use crate::entry::Entry;
use crate::flow::Finding;
use crate::time::Timestamp;

impl Query {
    /// Whether this holds for one entry. `now` is what [`Field::Age`] is counted from.
    ///
    /// What is asked of the flow ([`Query::Flow`], [`Query::Finding`]) can't be seen on one entry: it counts as possible, also under a negation,
    /// so that nothing is lost before [`Query::matches_in`] decides.
    pub fn matches(&self, entry: &Entry, now: Timestamp) -> bool {
        self.holds(entry, Others::Unknown { possible: true }, now)
    }

    /// Whether this holds for one entry of a flow that is at hand as a whole: decides [`Query::Flow`] and [`Query::Finding`] too.
    pub fn matches_in(&self, entry: &Entry, whole: Whole<'_>, now: Timestamp) -> bool {
        self.holds(entry, Others::Known(whole), now)
    }

    /// Whether it asks something of the flow, so that [`Query::matches`] alone doesn't decide.
    pub fn asks_of_flow(&self) -> bool {
        match self {
            Query::Flow(_) | Query::Finding(_) => true,
            Query::And(all) | Query::Or(all) => all.iter().any(Query::asks_of_flow),
            Query::Not(query) => query.asks_of_flow(),
            Query::All
            | Query::Kind(_)
            | Query::Time { .. }
            | Query::Term { .. }
            | Query::Text { .. }
            | Query::Waits(_) => false,
        }
    }

    /// Both of these, without needless nesting.
    pub fn and(self, other: Query) -> Query {
        match (self, other) {
            (Query::All, query) | (query, Query::All) => query,
            (Query::And(mut all), query) => {
                all.push(query);
                Query::And(all)
            }
            (query, other) => Query::And(vec![query, other]),
        }
    }

    /// That a field has exactly this value.
    pub fn is(field: Field, value: impl Into<String>) -> Query {
        Query::Term { field, test: Test::Is(value.into()) }
    }

    fn holds(&self, entry: &Entry, others: Others<'_>, now: Timestamp) -> bool {
        match self {
            Query::All => true,
            Query::And(all) => all.iter().all(|query| query.holds(entry, others, now)),
            Query::Or(any) => any.iter().any(|query| query.holds(entry, others, now)),
            Query::Not(query) => !query.holds(entry, others.negated(), now),
            Query::Kind(kind) => entry.kind() == *kind,
            Query::Time { from, to } => {
                let time = entry.time();
                from.is_none_or(|from| time >= from) && to.is_none_or(|to| time < to)
            }
            Query::Term { field: Field::Age, test } => {
                let age = now.nanos_since(entry.time());
                match test {
                    Test::Between(..) => test.takes_number(age as f64),
                    Test::Present => true,
                    Test::Is(_) | Test::Begins(_) => false,
                }
            }
            Query::Term { field, test } => {
                let test = test.folded(field);
                field.values(entry).iter().any(|value| test.takes(value))
            }
            Query::Text { words: wanted, prefix } => {
                wanted.is_empty() || text(entry).iter().any(|piece| has_phrase(piece, wanted, *prefix))
            }
            Query::Waits(backlog) => backlog.has(entry),
            Query::Flow(query) => match others {
                Others::Unknown { possible } => possible,
                Others::Known(whole) => whole.entries.iter().any(|other| query.holds(other, others, now)),
            },
            Query::Finding(kind) => match others {
                Others::Unknown { possible } => possible,
                Others::Known(whole) => whole.findings.iter().any(|found| kind.is_none_or(|kind| found.kind == kind)),
            },
        }
    }
}

/// A flow as a whole, as far as queries ask of it.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a> {
    /// All of its entries.
    pub entries: &'a [&'a Entry],
    /// What is wrong with it.
    pub findings: &'a [Finding],
}

/// What is known of the other entries of the same flow.
#[derive(Clone, Copy)]
enum Others<'a> {
    /// Nothing: what is asked of them is taken as possible, which below a negation means taken as not so.
    Unknown { possible: bool },
    /// All of them.
    Known(Whole<'a>),
}

impl Others<'_> {
    fn negated(self) -> Self {
        match self {
            Others::Unknown { possible } => Others::Unknown { possible: !possible },
            known => known,
        }
    }
}

impl Test {
    /// Whether a value of [`Field::values`] passes. The test must be folded like the value: [`Test::folded`].
    pub fn takes(&self, value: &str) -> bool {
        match self {
            Test::Is(text) => value == text,
            Test::Begins(text) => value.starts_with(text.as_str()),
            Test::Between(..) => value.parse().is_ok_and(|number| self.takes_number(number)),
            Test::Present => true,
        }
    }

    /// With its text as [`Field::fold`] has it, and a trace id in any spelling as its 32 digits.
    pub fn folded<'a>(&'a self, field: &Field) -> Cow<'a, Test> {
        let folded = match self {
            Test::Is(text) if *field == Field::Trace => {
                super::fields::trace_id(text).map_or_else(|| field.fold(text), Cow::Owned)
            }
            Test::Is(text) => field.fold(text),
            Test::Begins(text) if *field == Field::Event => Cow::Borrowed(text.as_str()),
            Test::Begins(text) => field.fold(text),
            Test::Between(..) | Test::Present => return Cow::Borrowed(self),
        };
        match (self, folded) {
            (_, Cow::Borrowed(_)) => Cow::Borrowed(self),
            (Test::Begins(_), Cow::Owned(text)) => Cow::Owned(Test::Begins(text)),
            (_, Cow::Owned(text)) => Cow::Owned(Test::Is(text)),
        }
    }

    fn takes_number(&self, number: f64) -> bool {
        let Test::Between(from, to) = self else { return false };
        !number.is_nan() && from.is_none_or(|from| number >= from) && to.is_none_or(|to| number <= to)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture;
    use crate::query::print::arbitrary_query;

    fn entries() -> Vec<Entry> {
        let body = r#"{"orderId":"order-48213","total":{"amount":12.5,"currency":"EUR"},"lines":[{"sku":"a.1"},{"sku":"b.2"}],"a.b":{"c":true}}"#;
        vec![
            fixture::record("orders", 3, 48213)
                .event("OrderPlaced")
                .id("evt-1")
                .producer("shop-api")
                .version("2")
                .key("order-48213")
                .trace(1)
                .header("Tenant", "acme")
                .body(body)
                .at(1.0)
                .entry(),
            fixture::record("orders.retry", 0, 1)
                .event("OrderPlaced")
                .id("evt-1")
                .trace(1)
                .retry("billing", 2)
                .at(2.0)
                .entry(),
            fixture::record("orders.DLT", 0, 0).id("evt-1").trace(1).dead("billing", "card declined").at(3.0).entry(),
            fixture::span("billing", "process orders")
                .trace(1)
                .consumed("orders", 3, 48213)
                .group("billing-v2")
                .at(1.5)
                .took(0.75)
                .attribute("payment.provider", "acme pay")
                .failed("card declined")
                .entry(),
            fixture::log("billing", "card declined for order-48213").trace(1).severity(17).at(1.6).entry(),
        ]
    }

    /// Which of the entries a query holds for: r(ecord), c(opy), d(ead letter), s(pan), l(og).
    #[track_caller]
    fn check(query: &str, expected: &str) {
        let query = Query::parse(query).unwrap();
        let now = fixture::at(61.5);
        let found: String = entries()
            .iter()
            .zip("rcdsl".chars())
            .filter(|(entry, _)| query.matches(entry, now))
            .map(|(_, name)| name)
            .collect();
        assert_eq!(found, expected, "{query}");
    }

    #[test]
    fn an_order_is_found_by_every_field_that_names_it() {
        check("key:order-48213", "r");
        check("key:order-*", "r");
        check("event:evt-1", "rcd");
        check("type:OrderPlaced topic:orders", "r");
        check("topic:orders*", "rcds");
        check("partition:3 offset:48213", "rs");
        check("offset:>=48213", "rs");
        check("source:main kind:record", "rcd");
        check("producer:shop-api", "r");
        check("version:2", "r");
        check("header.tenant:acme", "r");
        check("attr.payment.provider:\"acme pay\"", "s");
        check("attr.service.name:billing", "sl");
        check("trace:F1000000-0000-0000-0000-000000000001", "rcdsl");
        check("trace:f1*", "rcdsl");
        check("group:billing*", "cds");
        check("span:process*", "s");
        check("cause:RuntimeError", "d");
    }

    #[test]
    fn a_field_of_the_body_is_found_by_its_path() {
        check("body.orderId:order-48213", "r");
        check("body.total.amount:>12", "r");
        check("body.total.amount:>12.5", "");
        check("body.total.currency:EUR", "r");
        check("body.lines.sku:b.2", "r");
        check("body.a.b.c:true", "r");
        check("body.total:*", "r");
        check("body.missing:*", "");
    }

    #[test]
    fn outcomes_are_found_by_status_and_role() {
        check("status:dead", "d");
        check("status:retried", "c");
        check("status:failed", "s");
        check("status:ok", "");
        check("status:waiting", "");
        check("role:event", "r");
        check("role:retry", "c");
        check("role:error", "l");
        check("role:consumer", "s");
    }

    #[test]
    fn durations_ages_and_times_compare() {
        check("duration:>500ms", "s");
        check("duration:>0.75s", "");
        check("duration:..1s", "s");
        check("age:<60s", "cdl");
        check("age:>60s", "r");
        check("age:60s", "s");
        check("time:2026-11-23T14:00:01Z..2026-11-23T14:00:02Z", "rsl");
    }

    #[test]
    fn words_and_phrases_are_found_in_any_case() {
        check("48213", "rl");
        check("order-48213", "rl");
        check("\"Card DECLINED\"", "dsl");
        check("\"declined card\"", "");
        check("decl*", "dsl");
        check("order-482*", "rl");
        check("declined -kind:span", "dl");
        check("kind:span OR kind:log", "sl");
    }

    #[test]
    fn what_is_asked_of_the_flow_loses_nothing_before_the_flow_is_known() {
        let (entries, now) = (entries(), fixture::at(61.5));
        let all: Vec<&Entry> = entries.iter().collect();
        let without_dead_letter: Vec<&Entry> =
            all.iter().copied().filter(|entry| entry.time() != fixture::at(3.0)).collect();
        for (text, with, without) in
            [("flow:(status:dead) key:order-48213", true, false), ("-flow:(status:dead) key:order-48213", false, true)]
        {
            let query = Query::parse(text).unwrap();
            assert!(query.asks_of_flow());
            assert!(query.matches(&entries[0], now), "{text}");
            for (entries_of_it, holds) in [(&all, with), (&without_dead_letter, without)] {
                let whole = Whole { entries: entries_of_it, findings: &[] };
                assert_eq!(query.matches_in(&entries[0], whole, now), holds, "{text}");
            }
        }
    }

    #[test]
    fn a_finding_is_one_of_the_whole_flow() {
        let (entries, now) = (entries(), fixture::at(61.5));
        let found = [Finding { kind: "duplicate", says: String::new(), position: None }];
        for (text, with, without) in [
            ("finding:duplicate", true, false),
            ("finding:order", false, false),
            ("finding:* kind:record", true, false),
            ("-finding:duplicate", false, true),
            ("flow:(finding:duplicate status:dead)", true, false),
        ] {
            let query = Query::parse(text).unwrap();
            assert!(query.asks_of_flow() && query.matches(&entries[0], now), "{text}");
            let in_flow = |findings: &[Finding]| {
                let all: Vec<&Entry> = entries.iter().collect();
                query.matches_in(&entries[0], Whole { entries: &all, findings }, now)
            };
            assert_eq!((in_flow(&found), in_flow(&[])), (with, without), "{text}");
        }
    }

    #[test]
    fn an_upper_case_uuid_is_the_same_event() {
        let entry = fixture::record("t", 0, 0).id("0AF76519-16CD-43DD-8448-EB211C80319C").entry();
        let query = Query::parse("event:0af76519-16cd-43dd-8448-eb211c80319c").unwrap();
        assert!(query.matches(&entry, fixture::START));
        assert!(
            !Query::parse("event:evt-A")
                .unwrap()
                .matches(&fixture::record("t", 0, 0).id("evt-a").entry(), fixture::START)
        );
    }

    proptest! {
        #[test]
        fn and_or_and_not_keep_the_laws_of_logic(left in arbitrary_query(), right in arbitrary_query()) {
            let now = fixture::at(61.5);
            for entry in entries() {
                let (l, r) = (left.matches(&entry, now), right.matches(&entry, now));
                prop_assert_eq!(Query::And(vec![left.clone(), right.clone()]).matches(&entry, now), l && r);
                prop_assert_eq!(left.clone().and(right.clone()).matches(&entry, now), l && r);
                prop_assert_eq!(Query::Or(vec![left.clone(), right.clone()]).matches(&entry, now), l || r);
                let not = Query::Not(Box::new(left.clone()));
                let not_not = Query::Not(Box::new(not.clone()));
                prop_assert_eq!(not_not.matches(&entry, now), l);
                prop_assert!(l || not.matches(&entry, now));
                if !left.asks_of_flow() {
                    prop_assert_eq!(not.matches(&entry, now), !l);
                }
            }
        }
    }
}
