use super::*;

fn read(json: &str) -> Rule {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// What is wrong with a rule that has these keys beside its name.
fn wrong(keys: &str) -> String {
    let json = format!(r#"{{"name": "a", {keys}}}"#);
    match serde_json::from_str::<Rule>(&json) {
        Ok(rule) => rule.check().join("; "),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_rule_of_every_kind_is_right_with_what_it_needs() {
    for keys in [
        r#""kind": "lag_records", "above": 1000, "below": 10, "group": "billing*""#,
        r#""kind": "lag_time", "above": "30s", "below": "10s", "topic": ["orders", "!orders.test"]"#,
        r#""kind": "group_state", "state": ["stalled", "belowStart"], "for": "2m""#,
        r#""kind": "no_members", "source": "main""#,
        r#""kind": "retry_rate", "above": "5%", "consumer": "billing", "over": "10m", "at_least": 5"#,
        r#""kind": "dead_letters", "above": 0, "over": "1h""#,
        r#""kind": "dead_letter_cause""#,
        r#""kind": "flow_time", "type": "OrderPlaced", "above": "4s", "percentile": 50"#,
        r#""kind": "missing_reaction", "event": "OrderPlaced", "one_of": ["Paid", "Declined"], "within": "60s""#,
        r#""kind": "error_rate", "above": 0.02"#,
        r#""kind": "finding", "finding": ["duplicate"], "labels": {"team": "orders"}"#,
        r#""kind": "source_down", "webhooks": []"#,
        r#""kind": "disk_low", "below": "2GiB", "above": "3GiB""#,
    ] {
        assert_eq!(wrong(keys), "", "{keys}");
    }
    assert!(Rule::defaults().iter().all(|rule| rule.check().is_empty()));
}

#[test]
fn a_mistake_names_its_key_first_and_says_what_would_be_right() {
    for (keys, says) in [
        (r#""kind": "lag_time", "above": "soon""#, "`above`: `soon` is no length of time"),
        (r#""kind": "lag_time", "above": 30"#, "`above`: `30` is no length of time"),
        (r#""kind": "lag_records", "above": "30s""#, "`above`: `30s` is no number"),
        (r#""kind": "error_rate", "above": 5"#, "`above`: `5` is no share: write it as 5% or 0.05"),
        (r#""kind": "lag_time""#, "`kind` lag_time needs the key above"),
        (
            r#""kind": "source_down", "above": 3"#,
            "`above` says nothing in a rule of kind source_down, which takes source",
        ),
        (r#""kind": "lag_time", "above": "1s", "below": "2s""#, "`below` is where it stops"),
        (r#""kind": "disk_low", "below": "2GiB", "above": "1GiB""#, "`above` is where it stops"),
        (r#""kind": "lag_time", "above": "1s", "group": "bill[ing]""#, "`bill[ing]` is no pattern"),
        (r#""kind": "lag_time", "above": "1s", "group": """#, "an empty pattern matches nothing"),
        (r#""kind": "lag_time", "above": "1s", "for": "2 moments""#, "`2 moments` is no length of time"),
        (r#""kind": "lag_time", "above": "1s", "for": "30d""#, "`for` is longer than 7d"),
        (r#""kind": "flow_time", "above": "1s", "type": "A", "percentile": 100"#, "`percentile` is a whole number"),
        (r#""kind": "group_state", "state": []"#, "`state` is an empty list"),
        (r#""kind": "source_down", "labels": {"group": "x"}"#, "`group` is set by Sillage itself"),
        (r#""kind": "source_down", "labels": {"a b": "x"}"#, "`a b` is no name of a label"),
        (r#""kind": "lag_tme", "above": "1s""#, "unknown variant"),
    ] {
        let told = wrong(keys);
        assert!(told.contains(says), "{keys}: {told}");
    }
}

#[test]
fn thresholds_mean_what_the_kind_measures_and_stop_where_they_began_by_default() {
    let bounds = |json: &str| read(json).bounds().unwrap();
    let lag = bounds(r#"{"name": "a", "kind": "lag_time", "above": "1m", "below": "30s"}"#);
    assert_eq!(lag, Bounds { enter: 60_000.0, leave: 30_000.0, rises: true });
    assert_eq!(bounds(r#"{"name": "a", "kind": "retry_rate", "above": "5 %"}"#).leave, 0.05);
    let disk = bounds(r#"{"name": "a", "kind": "disk_low", "below": "1KiB"}"#);
    assert_eq!(disk, Bounds { enter: 1_024.0, leave: 1_024.0, rises: false });
}

#[test]
fn what_is_printed_says_all_that_was_read() {
    let rule = read(
        r#"{"name": "a \"b\" \\ \n", "kind": "missing_reaction", "source": "main", "event": "OrderPlaced",
            "one_of": ["Paid", "Declined"], "within": "1m", "over": "1h", "for": "10s", "keep_firing": "30s",
            "severity": "critical", "labels": {"team": "orders"}, "webhooks": ["ops"]}"#,
    );
    let toml = rule.to_toml();
    for line in [
        r#"name = "a \"b\" \\ \n""#,
        r#"kind = "missing_reaction""#,
        r#"one_of = ["Paid", "Declined"]"#,
        r#"within = "1m""#,
        r#"for = "10s""#,
        r#"severity = "critical""#,
        r#"labels = { team = "orders" }"#,
        r#"webhooks = ["ops"]"#,
    ] {
        assert!(toml.lines().any(|printed| printed == line), "{line} is missing in {toml}");
    }
}
