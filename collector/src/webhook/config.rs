//! `[[webhook]]`: who is told of alerts, and how.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de};

use super::target::Target;
use crate::error::CollectorError;

/// One `[[webhook]]` table. `Debug` shows neither its address nor its secrets.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its name, by which rules name it.
    pub name: String,
    /// Where it is, or `file:...` or `env:...`: Slack's and Teams' addresses are secrets.
    pub url: String,
    /// What its requests are signed with, `whsec_...`, or `file:...` or `env:...`; several while one is exchanged for another. For PagerDuty the
    /// integration key.
    #[serde(default)]
    pub secret: Secrets,
    /// What is sent.
    #[serde(default)]
    pub format: Format,
    /// With `format = "template"`: the text that is sent, with `{{names}}` in it.
    #[serde(default)]
    pub template: Option<String>,
    /// What else is said in the request's head, such as `authorization`; values also as `file:...` or `env:...`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Whether it may be on this machine, or in a private network; only there it may be plain http. No by default.
    #[serde(default)]
    pub allow_private: bool,
    /// A file with the certificates of the authorities that its own is believed by, in place of this system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// What is sent to a webhook.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Our own, as Standard Webhooks has it. The default.
    #[default]
    Standard,
    /// What Prometheus' Alertmanager sends to its webhooks, or takes at `/api/v2/alerts`.
    Alertmanager,
    /// A message to a channel of Slack.
    Slack,
    /// A card in a channel of Microsoft Teams.
    Teams,
    /// An event for PagerDuty.
    Pagerduty,
    /// What the configuration says.
    Template,
}

impl Format {
    /// As the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Standard => "standard",
            Format::Alertmanager => "alertmanager",
            Format::Slack => "slack",
            Format::Teams => "teams",
            Format::Pagerduty => "pagerduty",
            Format::Template => "template",
        }
    }
}

/// The secrets of a webhook: a text, or a list of them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secrets(pub Vec<String>);

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secrets, D::Error> {
        struct OneOrMore;

        impl<'de> de::Visitor<'de> for OneOrMore {
            type Value = Secrets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret, or a list of secrets")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secrets, E> {
                Ok(Secrets(vec![text.to_owned()]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Secrets, A::Error> {
                let mut secrets = Vec::new();
                while let Some(secret) = items.next_element()? {
                    secrets.push(secret);
                }
                Ok(Secrets(secrets))
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("name", &self.name).field("format", &self.format).finish_non_exhaustive()
    }
}

impl Config {
    /// Checks all keys without calling anybody, and that its secrets can be read.
    pub fn check(&self) -> Result<(), CollectorError> {
        Target::read(self).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn check(json: serde_json::Value) -> Result<(), String> {
        let mut all =
            serde_json::json!({ "name": "ops", "url": "https://hooks.example.org/T1/s3cret-path", "secret": SECRET });
        for (key, value) in json.as_object().unwrap() {
            all[key] = value.clone();
        }
        let config: Config = serde_json::from_value(all).map_err(|error| error.to_string())?;
        let shown = format!("{config:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("whsec"), "{shown}");
        config.check().map_err(|error| error.to_string())
    }

    #[test]
    fn a_webhook_that_can_be_called_is_taken() {
        for right in [
            serde_json::json!({}),
            serde_json::json!({ "secret": [SECRET, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] }),
            serde_json::json!({ "url": "http://127.0.0.1:9/hook", "allow_private": true }),
            serde_json::json!({ "url": "http://localhost:9/hook", "allow_private": true }),
            serde_json::json!({ "format": "slack", "secret": [] }),
            serde_json::json!({ "format": "alertmanager", "secret": [], "headers": { "Authorization": "Bearer a" } }),
            serde_json::json!({ "format": "pagerduty", "secret": "0123456789abcdef0123456789abcdef" }),
            serde_json::json!({ "format": "template", "template": "{\"text\": \"{{summary}}\"}" }),
        ] {
            assert_eq!(check(right.clone()), Ok(()), "{right}");
        }
    }

    #[test]
    fn a_mistake_names_its_key_says_what_to_do_and_shows_no_secret() {
        for (wrong, key, says) in [
            (serde_json::json!({ "url": "http://hooks.example.org/s3cret" }), "`url`", "https"),
            (serde_json::json!({ "url": "https://me:s3cret@hooks.example.org/" }), "`url`", "`headers`"),
            (serde_json::json!({ "url": "hooks/s3cret path" }), "`url`", "no address"),
            (serde_json::json!({ "url": "https://127.0.0.1/s3cret" }), "`url`", "allow_private"),
            (serde_json::json!({ "url": "https://localhost/s3cret" }), "`url`", "allow_private"),
            (
                serde_json::json!({ "url": "https://169.254.169.254/", "allow_private": true }),
                "`url`",
                "no webhook goes",
            ),
            (serde_json::json!({ "url": "http://8.8.8.8/", "allow_private": true }), "`url`", "use https"),
            (serde_json::json!({ "url": "https://hooks.example.org:99999/" }), "`url`", "65535"),
            (
                serde_json::json!({ "url": "http://10.0.0.7/", "allow_private": true, "ca": "a.pem" }),
                "`ca`",
                "without https",
            ),
            (serde_json::json!({ "url": "env:SILLAGE_NOT_SET" }), "`url`", "isn't set"),
            (serde_json::json!({ "secret": [] }), "`secret`", "openssl rand"),
            (serde_json::json!({ "secret": "s3cret" }), "`secret`", "whsec_"),
            (serde_json::json!({ "secret": "file:/nowhere/at/all" }), "`secret`", "/nowhere/at/all"),
            (serde_json::json!({ "secret": vec![SECRET; 5] }), "`secret`", "at most 4"),
            (serde_json::json!({ "format": "pagerduty", "secret": [] }), "`secret`", "integration key"),
            (serde_json::json!({ "format": "template" }), "`template`", "missing"),
            (serde_json::json!({ "template": "x" }), "`template`", "format = \"template\""),
            (serde_json::json!({ "format": "template", "template": "{{sumary}}" }), "`template`", "`summary`"),
            (serde_json::json!({ "format": "template", "template": "{\"text\": {{summary}}}" }), "`template`", "JSON"),
            (serde_json::json!({ "headers": { "Host": "a" } }), "`headers`", "Host"),
            (serde_json::json!({ "headers": { "a b": "s3cret" } }), "`headers`", "a b"),
            (serde_json::json!({ "headers": { "a": "s3cret\n" } }), "`headers`", "can't be sent"),
            (serde_json::json!({ "ca": "/nowhere/ca.pem" }), "`ca`", "/nowhere/ca.pem"),
            (serde_json::json!({ "name": " " }), "`name`", "1 to 100"),
        ] {
            let error = check(wrong.clone()).unwrap_err();
            assert!(error.contains(key) && error.contains(says), "{wrong}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        assert!(check(serde_json::json!({ "secret": 7 })).unwrap_err().contains("a list of secrets"));
        assert!(
            check(serde_json::json!({ "format": "email" })).is_err()
                && check(serde_json::json!({ "urls": "x" })).is_err()
        );
    }
}
