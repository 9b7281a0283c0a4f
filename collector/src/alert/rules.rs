//! The rules in force, and who can be told.

use std::collections::BTreeMap;

use store::Timestamp;
use store::alert::Rule;

use super::Config;

/// The rules in force, and who can be told.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rules {
    /// The rules, each checked.
    pub rules: Vec<Rule>,
    /// Whether they hold because none is configured.
    pub are_default: bool,
    /// The names of all webhooks.
    pub webhooks: Vec<String>,
    /// How often rules are looked at, and how soon anything is told.
    pub config: Config,
    /// Why a configuration given since is not in force, and since when.
    pub refused: Option<(Timestamp, String)>,
}

impl Rules {
    /// The configured rules, or those that hold where none is.
    pub fn new(configured: Vec<Rule>, webhooks: Vec<String>, config: Config) -> Rules {
        let are_default = configured.is_empty();
        let rules = if are_default { Rule::defaults() } else { configured };
        Rules { rules, are_default, webhooks, config, refused: None }
    }

    /// The webhooks that each rule is told to.
    pub(super) fn told_to(&self) -> BTreeMap<&str, Vec<&str>> {
        let webhooks = |rule: &'_ Rule| match &rule.webhooks {
            Some(named) => self.webhooks.iter().filter(|webhook| named.contains(webhook)).map(String::as_str).collect(),
            None => self.webhooks.iter().map(String::as_str).collect(),
        };
        self.rules.iter().map(|rule| (rule.name.as_str(), webhooks(rule))).collect()
    }

    /// These rules, read anew while a program runs that has the webhooks of `before`: those come and go at a start only.
    ///
    /// # Errors
    /// What to do, where a rule is to be told to a webhook that nobody sends to yet: its notifications would wait until the next start.
    pub fn after(self, before: &Rules) -> Result<Rules, String> {
        for rule in &self.rules {
            if let Some(new) = rule.webhooks.iter().flatten().find(|named| !before.webhooks.contains(named)) {
                return Err(format!(
                    "the rule `{}` is told to the webhook `{new}`, which is new: webhooks are read at the start only, so start sillage again",
                    rule.name
                ));
            }
        }
        Ok(Rules { webhooks: before.webhooks.clone(), ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(told: Option<&str>, webhooks: &[&str]) -> Rules {
        let mut rule = Rule::defaults().remove(0);
        rule.webhooks = told.map(|webhook| vec![webhook.to_owned()]);
        Rules::new(vec![rule], webhooks.iter().map(|webhook| (*webhook).to_owned()).collect(), Config::default())
    }

    #[test]
    fn rules_read_anew_are_told_to_the_webhooks_that_have_a_sender() {
        let before = rules(None, &["ops"]);
        let after = rules(None, &["ops", "team"]).after(&before).unwrap();
        assert_eq!(after.webhooks, ["ops"], "nobody sends to `team` before the next start");
        assert_eq!(
            rules(Some("ops"), &["ops"]).after(&before).unwrap().told_to().into_values().next().unwrap(),
            ["ops"]
        );
    }

    #[test]
    fn a_rule_that_is_told_to_a_new_webhook_is_refused_with_what_to_do() {
        let says = rules(Some("team"), &["ops", "team"]).after(&rules(None, &["ops"])).unwrap_err();
        assert!(says.contains("`team`, which is new") && says.contains("start sillage again"), "{says}");
    }
}
