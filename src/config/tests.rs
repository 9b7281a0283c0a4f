//! One case for each kind of mistake, with the exact text that people see.

use super::*;

mod webhook; // `[[webhook]]`

fn given(variables: &[(&str, &str)]) -> Given {
    let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Given { variables, ..Given::default() }
}

fn load_text(text: &str, given: &Given) -> Result<(Config, Vec<String>), String> {
    let source = Source { name: "sillage.toml", text };
    parse(source, given).map_err(|mistakes| report(&mistakes, source).to_string())
}

#[track_caller]
fn check_refused(text: &str, given: &Given, expected: &str) {
    let report = load_text(text, given).expect_err("this must be refused");
    assert_eq!(report.trim_end(), expected.trim_start_matches('\n').trim_end(), "\n{report}");
}

#[track_caller]
fn good(text: &str, given: &Given) -> Config {
    load_text(text, given).unwrap_or_else(|report| panic!("{report}")).0
}

#[test]
fn without_any_setting_everything_has_its_default() {
    let config = good("", &Given::default());
    assert_eq!(config.web.listen.to_string(), "127.0.0.1:7455");
    assert_eq!(config.otlp.grpc.to_string(), "127.0.0.1:4317");
    assert_eq!(config.otlp.http.to_string(), "127.0.0.1:4318");
    assert!(config.access.is_empty() && config.sources.is_empty() && !config.named.data);
}

#[test]
fn an_unknown_key_is_shown_with_what_was_meant() {
    check_refused(
        "[web]\nlistn = \"127.0.0.1:7455\"\n",
        &Given::default(),
        "
error: unknown key `listn` in [web]
 --> sillage.toml:2:1
  |
2 | listn = \"127.0.0.1:7455\"
  | ^^^^^ did you mean `listen`?

1 mistake in the configuration: nothing was started",
    );
}

#[test]
fn a_wrong_type_is_shown_at_the_value() {
    check_refused(
        "[web]\nallow_unauthenticated = \"yes\"\n",
        &Given::default(),
        "
error: `allow_unauthenticated` in [web]: true or false is needed, this is a text
 --> sillage.toml:2:25
  |
2 | allow_unauthenticated = \"yes\"
  |                         ^^^^^

1 mistake in the configuration: nothing was started",
    );
}

#[test]
fn a_bad_value_is_shown_at_the_value() {
    check_refused(
        "[otlp]\ngrpc = \"everywhere\"\n",
        &Given::default(),
        "
error: `grpc` in [otlp]: invalid socket address syntax
 --> sillage.toml:2:8
  |
2 | grpc = \"everywhere\"
  |        ^^^^^^^^^^^^

1 mistake in the configuration: nothing was started",
    );
}

#[test]
fn an_unknown_section_is_shown_with_what_was_meant() {
    check_refused(
        "[sotre]\npath = \"x\"\n",
        &Given::default(),
        "
error: unknown section `sotre`
 --> sillage.toml:1:2
  |
1 | [sotre]
  |  ^^^^^ did you mean `store`?

1 mistake in the configuration: nothing was started",
    );
}

#[test]
fn a_webhook_that_a_rule_names_and_that_there_is_not_is_shown_at_its_name() {
    check_refused(
        "[[alert]]\nname = \"late\"\nkind = \"lag_time\"\nabove = \"30s\"\nwebhooks = [\"ops\"]\n",
        &Given::default(),
        "
error: no [[webhook]] is called `ops`
 --> sillage.toml:5:13
  |
5 | webhooks = [\"ops\"]
  |             ^^^^^ there is no [[webhook]]: add one, or leave the key out

1 mistake in the configuration: nothing was started",
    );
}

#[test]
fn single_and_double_brackets_are_told_apart() {
    check_refused(
        "[source]\nname = \"main\"\n[[web]]\n",
        &Given::default(),
        "
error: [[source]] may be given several times: double brackets are needed
 --> sillage.toml:1:2
  |
1 | [source]
  |  ^^^^^^ write [[source]]

error: [web] is given once: single brackets are needed, not double ones
 --> sillage.toml:3:3
  |
3 | [[web]]
  |   ^^^ write [web]

2 mistakes in the configuration: nothing was started",
    );
}

#[test]
fn text_that_is_no_toml_is_shown_where_it_breaks() {
    check_refused(
        "[web]\nlisten = 127.0.0.1:7455\n",
        &Given::default(),
        "
error: the value of `listen` is no TOML
 --> sillage.toml:2:10
  |
2 | listen = 127.0.0.1:7455
  |          ^^^^^^^^^^^^^^ a text needs quotes around it

1 mistake in the configuration: nothing was started",
    );
    check_refused(
        "[web\nlisten = \"127.0.0.1:7455\"\n",
        &Given::default(),
        "
error: this is no TOML: unclosed table, expected `]`
 --> sillage.toml:1:5
  |
1 | [web
  |     ^

1 mistake in the configuration: nothing was started",
    );
}

#[test]
fn all_mistakes_are_told_at_once_from_the_top() {
    let report = load_text(
        "[web]\nlistn = \"a\"\nlisten = 3\n\n[[source]]\nname = \"main\"\ntype = \"kafak\"\n\n[otlp]\ngrp = \"x\"\n",
        &given(&[("SILLAGE_STORE__PAHT", "x")]),
    )
    .expect_err("this must be refused");
    let says: Vec<&str> = report.lines().filter(|line| line.starts_with("error")).collect();
    assert_eq!(
        says,
        [
            "error: unknown key `listn` in [web]",
            "error: `listen` in [web]: a text in quotes is needed, this is the number 3",
            "error: `type` in [[source]] can't be `kafak`",
            "error: unknown key `grp` in [otlp]",
            "error: unknown key `paht` in [store]",
        ],
        "{report}"
    );
    assert!(report.contains("did you mean `kafka`?"), "{report}");
    assert!(report.ends_with("5 mistakes in the configuration: nothing was started\n"), "{report}");
}

#[test]
fn a_mistake_in_a_variable_names_the_variable_and_the_one_that_was_meant() {
    check_refused(
        "",
        &given(&[("SILLAGE_WEB__LISTN", "x")]),
        "
error: unknown key `listn` in [web]
 --> environment variable SILLAGE_WEB__LISTN
  = did you mean SILLAGE_WEB__LISTEN?

1 mistake in the configuration: nothing was started",
    );
}

#[test]
fn a_mistake_in_a_flag_names_the_flag() {
    let given = Given { listen: Some("7455".to_owned()), ..Given::default() };
    check_refused(
        "",
        &given,
        "
error: `listen` in [web]: `7455` is no address with a port, such as \"127.0.0.1:7455\" or \"0.0.0.0:7455\"
 --> command line, --listen

1 mistake in the configuration: nothing was started",
    );
}

#[test]
fn a_missing_key_is_shown_at_its_section() {
    check_refused(
        "[[source]]\ntype = \"kafka\"\nbrokers = [\"a:9092\"]\n",
        &Given::default(),
        "
error: `name` is missing in [[source]]
 --> sillage.toml:1:1
  |
1 | [[source]]
  | ^^^^^^^^^^ add a line `name = ...`

1 mistake in the configuration: nothing was started",
    );
}

#[test]
fn variables_override_the_file_and_flags_override_variables() {
    let text = "[web]\nlisten = \"127.0.0.1:1\"\n[otlp]\nallow_unauthenticated = false\n[[source]]\nname = \"main\"\ntype = \"kafka\"\nbrokers = [\"a:9092\"]\n";
    let variables = [
        ("SILLAGE_WEB__LISTEN", "127.0.0.1:2"),
        ("SILLAGE_OTLP__ALLOW_UNAUTHENTICATED", "true"),
        ("SILLAGE_OTLP__GRPC", "127.0.0.1:0"),
        ("SILLAGE_SOURCE__0__BROKERS", "a:9092, b:9092"),
        ("SILLAGE_SOURCE__1__NAME", "second"),
        ("SILLAGE_SOURCE__1__TYPE", "kafka"),
        ("SILLAGE_SOURCE__1__BROKERS", "[\"c:9092\"]"),
    ];
    let config = good(text, &given(&variables));
    assert_eq!(config.web.listen.port(), 2);
    assert!(config.otlp.allow_unauthenticated);
    assert_eq!(config.otlp.grpc.port(), 0);
    let names: Vec<String> = config.sources.iter().map(|source| source.name().to_string()).collect();
    assert_eq!(names, ["main", "second"]);

    let flags = Given { listen: Some("127.0.0.1:3".to_owned()), data: Some("there".to_owned()), ..given(&variables) };
    let config = good(text, &flags);
    assert_eq!(config.web.listen.port(), 3);
    assert!(config.named.data);
}

#[test]
fn an_address_that_others_reach_needs_access_or_a_clear_word() {
    let open = "[web]\nlisten = \"0.0.0.0:7455\"\n";
    check_refused(
        open,
        &Given::default(),
        "
error: `listen` in [web] is 0.0.0.0:7455, which other machines reach, and nobody has to say who they are
 --> sillage.toml:2:10
  |
2 | listen = \"0.0.0.0:7455\"
  |          ^^^^^^^^^^^^^^ add [[access]], or set allow_unauthenticated = true in [web]

1 mistake in the configuration: nothing was started",
    );
    good(&format!("{open}allow_unauthenticated = true\n"), &Given::default());
    good(
        &format!("{open}[[access]]\nname = \"ops\"\nsecret = \"long enough\"\nrole = \"operate\"\n"),
        &Given::default(),
    );
    assert!(load_text("[otlp]\ngrpc = \"0.0.0.0:4317\"\n", &Given::default()).is_err());
    good("[otlp]\ngrpc = \"0.0.0.0:4317\"\nallow_unauthenticated = true\n", &Given::default());
}

#[test]
fn a_secret_that_cannot_be_read_is_told_before_anything_starts() {
    check_refused(
        "[[access]]\nname = \"ops\"\nsecret = \"file:/does/not/exist\"\n",
        &Given::default(),
        "
error: `secret` of [[access]] `ops`: can't read the secret's file `/does/not/exist`: No such file or directory (os error 2)
 --> sillage.toml:3:10
  |
3 | secret = \"file:/does/not/exist\"
  |          ^^^^^^^^^^^^^^^^^^^^^^ give the secret itself, or \"file:PATH\", or \"env:NAME\"

1 mistake in the configuration: nothing was started",
    );
}

#[test]
fn what_a_part_refuses_is_shown_at_the_value_before_anything_starts() {
    let refused = [
        ("[otlp]\nforward = \"htp://x\"\n", "2:11", "must begin with http://"),
        ("[otlp]\nforward = \"http://x:99999\"\n", "2:11", "65535"),
        ("[telemetry]\nendpoint = \"http://localhost:4318\"\n", "2:12", "its own spans would never come to an end"),
        ("[telemetry]\nsample_ratio = 2.0\n", "2:16", "from 0 to 1"),
        ("[[source]]\nname = \"k\"\ntype = \"kafka\"\nbrokers = [\"here\"]\n", "4:11", "localhost:9092"),
        (
            "[[source]]\nname = \"k\"\ntype = \"kafka\"\nbrokers = [\"a:1\"]\n[source.options]\n\"sasl.pasword\" = \"env:X\"\n",
            "6:18",
            "did you mean `sasl.password`?",
        ),
        (
            "[[source]]\nname = \"k\"\ntype = \"kafka\"\nbrokers = [\"a:1\"]\noptions = { \"socket.timeout.ms\" = \"soon\" }\n",
            "5:35",
            "socket.timeout.ms",
        ),
        ("[[convention]]\nname = \"a\"\nreason = \"x\"\nstack = \"X\"\n", "4:9", "is the header `X`, like `reason`"),
        ("[[convention]]\nname = \"a\"\nreasn = \"x\"\n", "3:1", "did you mean `reason`?"),
        ("[[convention]]\nname = \"a\"\n", "1:1", "how to recognise it"),
        (
            "[[source]]\nname = \"n\"\ntype = \"nats\"\nurl = \"nats://a:1\"\ntoken = \"file:/nowhere/at/all\"\n",
            "5:9",
            "/nowhere/at/all",
        ),
    ];
    for (text, place, says) in refused {
        let report = load_text(text, &Given::default()).expect_err(text);
        assert!(report.contains(&format!("sillage.toml:{place}")) && report.contains(says), "{text}\n{report}");
    }
}

#[test]
fn equal_names_and_equal_ports_are_refused() {
    let twice = "[[source]]\nname = \"main\"\ntype = \"kafka\"\nbrokers = [\"a:9092\"]\n".repeat(2);
    let report = load_text(&twice, &Given::default()).expect_err("this must be refused");
    assert!(report.contains("two [[source]] are called `main`\n --> sillage.toml:6:8"), "{report}");
    let report =
        load_text("[web]\nlisten = \"127.0.0.1:4317\"\n", &Given::default()).expect_err("this must be refused");
    assert!(report.contains("`grpc` in [otlp] is 127.0.0.1:4317, like `listen` in [web]"), "{report}");
}

#[test]
fn a_file_that_is_not_there_is_told_with_what_to_do() {
    let given = Given { file: Some("/does/not/exist.toml".into()), ..Given::default() };
    let refused = load(&given).expect_err("this must be refused");
    assert!(
        refused.to_string().contains("/does/not/exist.toml isn't there\n  = check the path after --config"),
        "{refused}"
    );
}
