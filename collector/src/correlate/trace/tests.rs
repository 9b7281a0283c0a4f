use super::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn headers(pairs: &[(&str, &str)]) -> Vec<Header> {
    pairs.iter().map(|(name, value)| Header { name: (*name).into(), value: Some(value.to_string().into()) }).collect()
}

fn check(pairs: &[(&str, &str)]) -> (Option<(String, Option<String>)>, bool) {
    let traced = read(&headers(pairs));
    let ids = traced.context.map(|found| (found.trace_id.to_string(), found.span_id.map(|id| id.to_string())));
    (ids, traced.problem.is_some())
}

fn whole() -> (Option<(String, Option<String>)>, bool) {
    (Some((TRACE.into(), Some(SPAN.into()))), false)
}

#[test]
fn w3c_is_read_whatever_the_case_of_its_name() {
    let value = format!("00-{TRACE}-{SPAN}-03");
    assert_eq!(check(&[("traceparent", &value)]), whole());
    assert_eq!(check(&[("Traceparent", &value)]), whole());
    assert_eq!(check(&[("TRACEPARENT", &format!(" {value} "))]), whole());
}

#[test]
fn a_later_version_of_w3c_is_read_by_its_first_four_fields() {
    assert_eq!(check(&[("traceparent", &format!("01-{TRACE}-{SPAN}-01-what-ever"))]), whole());
}

#[test]
fn a_wrong_traceparent_is_told_and_the_next_format_tried() {
    for wrong in [
        "",
        "garbage",
        &format!("ff-{TRACE}-{SPAN}-01"),
        &format!("00-{TRACE}-{SPAN}-01-more"),
        &format!("00-{}-{SPAN}-01", "0".repeat(32)),
        &format!("00-{TRACE}-{}-01", "0".repeat(16)),
        &format!("00-{TRACE}-{SPAN}"),
        "00-é-x-01",
    ] {
        assert_eq!(check(&[("traceparent", wrong)]), (None, true), "{wrong}");
        let (found, problem) = check(&[("traceparent", wrong), ("b3", &format!("{TRACE}-{SPAN}-1"))]);
        assert_eq!((found, problem), (whole().0, true), "{wrong}");
    }
}

#[test]
fn what_a_wrong_header_holds_is_shown_without_its_control_characters() {
    let problem = read(&headers(&[("traceparent", "a\nb\u{1b}[31m")])).problem.unwrap();
    assert!(!problem.contains(['\n', '\u{1b}']) && problem.contains("traceparent"), "{problem}");
}

#[test]
fn masstransit_hides_w3c_under_another_name() {
    assert_eq!(check(&[("MT-Activity-Id", &format!("00-{TRACE}-{SPAN}-01"))]), whole());
}

#[test]
fn b3_is_read_as_one_header_and_as_many() {
    assert_eq!(check(&[("b3", &format!("{TRACE}-{SPAN}"))]), whole());
    assert_eq!(check(&[("b3", &format!("{TRACE}-{SPAN}-d-{SPAN}"))]), whole());
    assert_eq!(check(&[("b3", "0")]), (None, false), "a sampling decision alone");
    assert_eq!(check(&[("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN), ("X-B3-Sampled", "1")]), whole());
    let (short, _) = check(&[("x-b3-traceid", "8448eb211c80319c"), ("x-b3-spanid", SPAN)]);
    assert_eq!(short.unwrap().0, "00000000000000008448eb211c80319c");
    assert_eq!(check(&[("b3", "1-2-3")]), (None, true));
}

#[test]
fn jaeger_ids_lack_their_leading_zeros_and_may_be_percent_encoded() {
    assert_eq!(check(&[("uber-trace-id", &format!("{TRACE}:{SPAN}:0:1"))]), whole());
    assert_eq!(check(&[("uber-trace-id", &format!("{TRACE}%3A{SPAN}%3A0%3A1"))]), whole());
    let (short, _) = check(&[("uber-trace-id", "abc:def:0:1")]);
    assert_eq!(short, Some((format!("{:0>32}", "abc"), Some(format!("{:0>16}", "def")))));
    assert_eq!(check(&[("uber-trace-id", "abc:def")]), (None, true));
}

#[test]
fn opentracing_headers_are_read() {
    assert_eq!(check(&[("ot-tracer-traceid", TRACE), ("ot-tracer-spanid", SPAN)]), whole());
}

#[test]
fn datadog_splits_a_trace_id_into_a_decimal_half_and_a_tag() {
    let low = u64::from_str_radix(&TRACE[16..], 16).unwrap().to_string();
    let span = u64::from_str_radix(SPAN, 16).unwrap().to_string();
    let tags = format!("_dd.p.dm=-1,_dd.p.tid={}", &TRACE[..16]);
    let pairs = [("x-datadog-trace-id", low.as_str()), ("x-datadog-parent-id", &span), ("x-datadog-tags", &tags)];
    assert_eq!(check(&pairs), whole());
    let (short, _) = check(&pairs[..2]);
    assert_eq!(short.unwrap().0, format!("{:0>32}", &TRACE[16..]));
    assert_eq!(check(&[("x-datadog-trace-id", "0")]), (None, true));
    let json = format!(r#"{{"x-datadog-trace-id":"{low}","x-datadog-parent-id":"{span}","x-datadog-tags":"{tags}"}}"#);
    assert_eq!(check(&[("_datadog", &json)]), whole());
    assert_eq!(check(&[("_datadog", "{")]), (None, true));
}

#[test]
fn x_ray_joins_the_two_parts_of_its_root() {
    let value = format!("Root=1-{}-{};Parent={SPAN};Sampled=1", &TRACE[..8], &TRACE[8..]);
    assert_eq!(check(&[("AWSTraceHeader", &value)]), whole());
    assert_eq!(check(&[("X-Amzn-Trace-Id", &value)]), whole());
    assert_eq!(check(&[("AWSTraceHeader", "Root=1-2;Parent=3")]), (None, true));
}

#[test]
fn wolverines_parent_id_counts_only_where_it_is_a_traceparent() {
    assert_eq!(check(&[("parent-id", &format!("00-{TRACE}-{SPAN}-01"))]), whole());
    assert_eq!(check(&[("parent-id", "order-17")]), (None, false));
}

#[test]
fn w3c_goes_before_all_others_and_says_where_it_was_found() {
    let other = "1".repeat(32);
    let pairs = headers(&[("b3", &format!("{other}-{SPAN}")), ("TraceParent", &format!("00-{TRACE}-{SPAN}-01"))]);
    let context = read(&pairs).context.unwrap();
    assert_eq!((context.trace_id.to_string().as_str(), &*context.found_in), (TRACE, "TraceParent"));
}

#[test]
fn a_null_header_is_none() {
    assert!(read(&[Header { name: "traceparent".into(), value: None }]).context.is_none());
}
