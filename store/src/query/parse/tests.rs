//! What the parser takes, and how it says no.

use proptest::prelude::*;

use super::*;

/// The query with the mark `^` put in where the error points.
#[track_caller]
fn check(text: &str, marked: &str, says: &str) {
    let QueryError { at, message } = Query::parse(text).unwrap_err();
    assert_eq!(format!("{}^{}", &text[..at], &text[at..]), marked, "{message}");
    assert!(message.contains(says), "{message}");
}

#[test]
fn an_error_points_at_the_place_and_says_what_was_meant() {
    check("key:x evnt:1", "key:x ^evnt:1", "no field `evnt`: did you mean `event`?");
    check("traceId:1", "^traceId:1", "did you mean `trace`?");
    check("http://x", "^http://x", "put it in quotes");
    check("body:x", "^body:x", "did you mean `body.PATH`?");
    check("status:ded", "status:^ded", "did you mean `dead`?");
    check("status:blue", "status:^blue", "one of dead, retried, failed, ok, waiting");
    check("kind:event", "kind:^event", "one of record, span, log");
    check("topic: orders", "topic:^ orders", "`topic:*` finds any");
    check("(a OR b", "^(a OR b", "never closed");
    check("a) b", "a^) b", "never opened");
    check("a ()", "a (^)", "nothing between");
    check("\"a b", "^\"a b", "quote is never closed");
    check("key:a\"b\"", "key:a^\"b\"", "space is missing");
    check("key:\"a\"b", "key:\"a\"^b", "space is missing");
    check("a*b", "a^*b", "end of a word");
    check("key:a*b*", "key:a^*b*", "end of a word");
    check("a OR", "a OR^", "missing at the end");
    check("OR a", "^OR a", "both sides");
    check("a - b", "a ^- b", "nothing to negate");
    check("…", "^…", "only letters and digits");
    check(">5", "^>5", "needs a field");
    check("duration:>500", "duration:>500^", "needs a unit");
    check("duration:>5y", "duration:>5^y", "no unit `y`");
    check("duration:1s..x", "duration:1s..^x", "no unit `x`");
    check("offset:1..b", "offset:1..^b", "no number");
    check("offset:x", "offset:^x", "no whole number");
    check("trace:abc", "trace:^abc", "`trace:abc*`");
    check("trace:zzz", "trace:^zzz", "32 hexadecimal digits");
    check("time:yesterday", "time:^yesterday", "needs `>`");
    check("time:>yesterday", "time:>^yesterday", "no time");
    check("status:(dead OR ok)", "status:^(dead OR ok)", "(status:a OR status:b)");
    check("flow:dead", "flow:^dead", "needs parentheses");
    check("finding:duplicates", "finding:^duplicates", "did you mean `duplicate`?");
    check("finding:slow", "finding:^slow", "there are duplicate, reaction, partitions, order, undecodable, clock");
    check("finding:", "finding:^", "no kind of finding");
    check("flow:(a flow:(b))", "flow:(a ^flow:(b))", "inside another");
    check("header.\"a b\"", "header.\"a b\"^", "needs `:`");
}

#[test]
fn a_failed_span_is_also_found_by_the_word_that_other_tools_have_for_it() {
    for text in ["status:error", "status:ERROR", "status:failed"] {
        assert_eq!(Query::parse(text).unwrap().to_string(), "status:failed", "{text}");
    }
}

#[test]
fn length_and_depth_are_limited() {
    assert!(Query::parse(&"a ".repeat(QUERY_BYTES_MAX / 2)).is_ok());
    check(&"é".repeat(QUERY_BYTES_MAX), &format!("{}^{}", "é".repeat(2048), "é".repeat(2048)), "4096 bytes");
    let nested = |levels: usize| format!("{}a{}", "(".repeat(levels), ")".repeat(levels));
    assert!(Query::parse(&nested(QUERY_DEPTH_MAX)).is_ok());
    assert!(Query::parse(&nested(QUERY_DEPTH_MAX + 1)).unwrap_err().message.contains("16 levels"));
    assert!(Query::parse(&format!("{}a", "-".repeat(QUERY_BYTES_MAX - 1))).is_err());
}

#[test]
fn and_binds_more_than_or_and_both_can_be_said() {
    let parsed = |text: &str| Query::parse(text).unwrap();
    assert_eq!(parsed("a b OR c"), parsed("(a AND b) OR c"));
    assert_ne!(parsed("a b OR c"), parsed("a (b OR c)"));
    assert_eq!(parsed("NOT a"), parsed("-a"));
    assert_eq!(parsed("a or b"), parsed("a AND or AND b"));
    assert_eq!(parsed("  "), Query::All);
    assert_eq!(parsed("12:30"), parsed("\"12 30\""));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = Query::parse(&text);
        let _ = super::super::goto(&text);
    }

    #[test]
    fn what_is_read_is_written_so_that_it_reads_the_same(text in r#"([-("a-cé*:.<>=0-9ms)]|OR |AND |NOT |key:|body\.|duration:|flow:\(|time:| ){0,16}"#) {
        match Query::parse(&text) {
            Ok(query) => prop_assert_eq!(Query::parse(&query.to_string()), Ok(query)),
            Err(error) => prop_assert!(text.is_char_boundary(error.at)),
        }
    }
}
