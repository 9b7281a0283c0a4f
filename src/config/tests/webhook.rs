//! `[[webhook]]`: mistakes have a place, and no secret is shown with them.

use super::*;

const GOOD: &str = "[[webhook]]\nname = \"ops\"\nurl = \"https://hooks.example.org/T0/s3cret\"\nsecret = \"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n";

#[test]
fn a_mistake_in_a_webhook_is_shown_at_its_value_and_without_what_is_secret() {
    let with = |line: &str| format!("{GOOD}{line}\n");
    let refused = [
        (GOOD.replace("https", "http"), "3:7", "plain http"),
        (GOOD.replace("hooks.example.org", "10.0.0.7"), "3:7", "allow_private = true"),
        (GOOD.replace("whsec_", "s3cret_"), "4:10", "whsec_"),
        (with("format = \"slak\""), "5:10", "did you mean `slack`?"),
        (with("fromat = \"slack\""), "5:1", "did you mean `format`?"),
        (with("allow_private = \"yes\""), "5:17", "allow_private"),
        (with("format = \"template\"\ntemplate = '{\"a\": \"{{sumary}}\"}'"), "6:12", "known: `id`"),
        (with("headers = { authorization = \"s3cret\\n\" }"), "5:1", "can't be sent"),
        (with("secret = 5").replacen("secret = \"whsec", "ca = \"/nowhere/whsec", 1), "5:10", "list of secrets"),
        (format!("{GOOD}{GOOD}"), "6:8", "two [[webhook]] are called `ops`"),
        (GOOD.replace("[[webhook]]", "[webhook]"), "1:2", "double brackets"),
        ("[[webhook]]\nname = \"ops\"\n".to_owned(), "1:1", "`url` is missing"),
    ];
    for (text, place, says) in refused {
        let report = load_text(&text, &Given::default()).expect_err(&text);
        assert!(report.contains(&format!("sillage.toml:{place}")) && report.contains(says), "{text}\n{report}");
        assert!(!report.contains("s3cret") && !report.contains("AAAA"), "{report}");
    }
}

#[test]
fn webhooks_can_be_given_in_the_environment_and_show_no_secret() {
    let variables = [
        ("SILLAGE_WEBHOOK__0__NAME", "ops"),
        ("SILLAGE_WEBHOOK__0__URL", "https://hooks.example.org/s3cret"),
        ("SILLAGE_WEBHOOK__0__SECRET", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("SILLAGE_WEBHOOK__0__ALLOW_PRIVATE", "true"),
        ("SILLAGE_WEBHOOK__0__HEADERS", "{ authorization = \"s3cret\" }"),
    ];
    let config = good("", &given(&variables));
    assert_eq!((config.webhooks.len(), config.webhooks[0].secret.0.len()), (1, 1));
    assert!(config.webhooks[0].allow_private && config.webhooks[0].headers.len() == 1);
    let shown = format!("{config:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("whsec"), "{shown}");
}
