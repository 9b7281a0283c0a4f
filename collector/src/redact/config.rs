//! `[[redact]]`: one rule a table, by the name of a field, by the name of a header, or by a pattern.

use regex::bytes::RegexBuilder;
use serde::Deserialize;

use super::names::{Named, Stands};
use super::text::Pattern;
use crate::error::CollectorError;

/// A `[[redact]]` table: one of `field`, `header` and `regex`, and what becomes of what it finds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The end of a path: `email` is every field and attribute of that name, `customer.email` those inside a `customer`.
    /// Names are compared without regard to case, `_` and `-`.
    pub field: Option<String>,
    /// The name of a record's header, or of one that a span tells (`http.request.header.*`).
    pub header: Option<String>,
    /// A regular expression; all that it matches in bodies, keys, headers, attributes and texts is taken out.
    pub regex: Option<String>,
    /// What becomes of it. `mask` by default: that something was there can be seen.
    pub action: Action,
}

/// What becomes of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// `[redacted]` stands in its place.
    #[default]
    Mask,
    /// `redacted-` and the beginning of its SHA-256 stand in its place: equal values can still be found by it.
    /// Who can guess a value can check the guess, so don't hash what has few possible values.
    Hash,
    /// It goes, with its name; nothing tells that it was there.
    Drop,
    /// It stays, although a rule that always holds would take it out.
    Keep,
}

/// A rule that can be used.
pub(super) enum Rule {
    Named(Named),
    Pattern(Pattern),
}

/// How much memory one pattern may take once it is prepared: far more than any rule that people write, far less than a slip can ask for.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl Config {
    /// Whether the rule can be used.
    pub fn check(&self) -> Result<(), CollectorError> {
        self.read().map(|_| ())
    }

    /// Whether what it takes out leaves nothing behind that tells of it.
    pub fn drops(&self) -> bool {
        self.action == Action::Drop
    }

    pub(super) fn read(&self) -> Result<Rule, CollectorError> {
        let wrong = |says: String| Err(CollectorError::Config(says));
        match (&self.field, &self.header, &self.regex) {
            (Some(field), None, None) => match Named::new(field, Stands::Anywhere, self.action) {
                Some(named) => Ok(Rule::Named(named)),
                None => {
                    wrong("`field` of [[redact]] is no name: write it as \"email\" or \"customer.email\"".to_owned())
                }
            },
            (None, Some(header), None) => match Named::new(header, Stands::InHeaders, self.action) {
                Some(named) => Ok(Rule::Named(named)),
                None => wrong("`header` of [[redact]] is no name: write it as \"x-user\"".to_owned()),
            },
            (None, None, Some(regex)) if self.action == Action::Keep => {
                let _ = regex;
                wrong("`action` of [[redact]] is \"keep\", which is for `field` and `header` only".to_owned())
            }
            (None, None, Some(regex)) => match RegexBuilder::new(regex).size_limit(PATTERN_BYTES_MAX).build() {
                Ok(built) if built.is_match(b"") => {
                    wrong("`regex` of [[redact]] matches nothing at all, so it would match everywhere".to_owned())
                }
                Ok(built) => Ok(Rule::Pattern(Pattern { regex: built, action: self.action })),
                Err(error) => {
                    let text = error.to_string();
                    let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    wrong(format!("`regex` of [[redact]] is no regular expression: {reason}"))
                }
            },
            (None, None, None) => wrong(
                "[[redact]] says nothing of what to take out: give one of `field`, `header` and `regex`".to_owned(),
            ),
            _ => wrong(
                "[[redact]] has more than one of `field`, `header` and `regex`: give each a table of its own"
                    .to_owned(),
            ),
        }
    }
}
