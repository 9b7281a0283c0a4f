//! Lays environment variables and flags over the settings of the file: `SILLAGE_WEB__LISTEN` is `listen` in `[web]`,
//! `SILLAGE_SOURCE__0__BROKERS` is `brokers` in the first `[[source]]`.
//!
//! An empty variable counts as not set, because that is how compose files leave a setting out.

use super::mistake::Mistake;
use super::tree::{Node, Place, Step, Value};

/// What the names of all variables begin with.
pub const PREFIX: &str = "SILLAGE_";

/// What stands between the parts of a setting's path in a variable's name.
const SEPARATOR: &str = "__";

/// A broker client's own settings, which are not taken from the environment.
const FILE_ONLY: &str = "options";

/// Lays the variables over the settings, in the order of their names, so that `SOURCE__0` comes before `SOURCE__1`.
/// Returns what to warn about: variables that begin with a section's name, but have one underscore after it. Others that begin with
/// `SILLAGE_` are not ours: Kubernetes gives every container `SILLAGE_SERVICE_HOST` and `SILLAGE_PORT` for a service called `sillage`.
pub fn apply(
    variables: impl IntoIterator<Item = (String, String)>,
    sections: &[&str],
    root: &mut Node,
    mistakes: &mut Vec<Mistake>,
) -> Vec<String> {
    let mut ours: Vec<(Vec<Step>, String, String)> = Vec::new();
    let mut warnings = Vec::new();
    for (name, text) in variables {
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        if text.is_empty() {
            continue;
        }
        if path.contains(SEPARATOR) {
            ours.push((steps(path), name, text));
        } else if sections.iter().any(|section| begins_with(path, section)) {
            warnings.push(format!(
                "the environment variable {name} is no setting: two underscores stand between section and key, as in SILLAGE_WEB__LISTEN"
            ));
        }
    }
    ours.sort_by_key(|(steps, ..)| order(steps));
    for (steps, name, text) in ours {
        let place = Place::Variable(name);
        if steps.iter().any(|step| *step == Step::Key(FILE_ONLY.to_owned())) {
            let says = format!(
                "`{FILE_ONLY}` of a source are set in the file only: whoever starts us must not turn off what protects a broker"
            );
            mistakes.push(Mistake {
                place,
                says,
                hint: Some("name a file or a variable for each secret in them".to_owned()),
            });
            continue;
        }
        let node = Node { place: place.clone(), value: Value::Raw(text) };
        if let Err(says) = root.put(&steps, node) {
            mistakes.push(Mistake { place, says, hint: None });
        }
    }
    warnings.sort();
    warnings
}

/// Lays one flag over the settings.
pub fn apply_flag(flag: &'static str, section: &str, key: &str, text: &str, root: &mut Node) {
    let steps = [Step::Key(section.to_owned()), Step::Key(key.to_owned())];
    let node = Node { place: Place::Flag(flag), value: Value::Raw(text.to_owned()) };
    // It can't be put only where the file has `web = 3`; that is told as a mistake of its own.
    let _ = root.put(&steps, node);
}

/// The variable that sets what lies at the end of these steps.
pub fn variable(steps: &[Step]) -> String {
    let parts: Vec<String> = steps
        .iter()
        .map(|step| match step {
            Step::Key(name) => name.to_uppercase(),
            Step::Index(index) => index.to_string(),
        })
        .collect();
    format!("{PREFIX}{}", parts.join(SEPARATOR))
}

fn steps(path: &str) -> Vec<Step> {
    path.split(SEPARATOR)
        .map(|part| match part.parse() {
            Ok(index) => Step::Index(index),
            Err(_) => Step::Key(part.to_lowercase()),
        })
        .collect()
}

fn order(steps: &[Step]) -> Vec<(usize, String)> {
    steps
        .iter()
        .map(|step| match step {
            Step::Key(name) => (0, name.clone()),
            Step::Index(index) => (*index, String::new()),
        })
        .collect()
}

/// Whether a variable's name goes on with this section and an underscore.
fn begins_with(path: &str, section: &str) -> bool {
    path.to_lowercase().strip_prefix(section).is_some_and(|rest| rest.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(variables: &[(&str, &str)]) -> (Node, Vec<String>, Vec<String>) {
        let mut root = Node::empty(Place::Default);
        let mut mistakes = Vec::new();
        let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let warnings = apply(variables, &["web", "otlp"], &mut root, &mut mistakes);
        (root, mistakes.into_iter().map(|mistake| mistake.says).collect(), warnings)
    }

    #[test]
    fn variables_reach_keys_and_numbered_sections() {
        let (root, mistakes, _) = laid(&[
            ("SILLAGE_SOURCE__1__NAME", "second"),
            ("SILLAGE_SOURCE__0__NAME", "first"),
            ("SILLAGE_WEB__LISTEN", "127.0.0.1:1"),
            ("SILLAGE_WEB__PUBLIC_URL", ""),
            ("PATH", "/bin"),
        ]);
        assert_eq!(mistakes, Vec::<String>::new());
        let text = |path: &[Step]| match &root.at(path).unwrap().value {
            Value::Raw(text) => text.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(text(&steps("WEB__LISTEN")), "127.0.0.1:1");
        assert_eq!(text(&steps("SOURCE__0__NAME")), "first");
        assert_eq!(text(&steps("SOURCE__1__NAME")), "second");
        assert_eq!(root.at(&steps("WEB__PUBLIC_URL")), None, "an empty variable counts as not set");
        assert_eq!(variable(&steps("SOURCE__0__NAME")), "SILLAGE_SOURCE__0__NAME");
    }

    #[test]
    fn a_number_that_leaves_a_gap_is_told() {
        let (_, mistakes, _) = laid(&[("SILLAGE_SOURCE__1__NAME", "second")]);
        assert_eq!(mistakes, ["there are 0 before it: the next number is 0, not 1"]);
    }

    #[test]
    fn a_brokers_client_is_set_up_in_the_file_only() {
        for name in ["SILLAGE_SOURCE__0__OPTIONS", "SILLAGE_SOURCE__0__OPTIONS__SECURITY.PROTOCOL"] {
            let (_, mistakes, _) = laid(&[("SILLAGE_SOURCE__0__NAME", "main"), (name, "plaintext")]);
            assert!(mistakes.len() == 1 && mistakes[0].contains("in the file only"), "{mistakes:?}");
        }
    }

    #[test]
    fn one_underscore_instead_of_two_is_warned_about() {
        let (_, mistakes, warnings) = laid(&[
            ("SILLAGE_WEB_LISTEN", "x"),
            ("SILLAGE_SERVICE_HOST", "10.0.0.1"),
            ("SILLAGE_PORT_7455_TCP", "tcp"),
        ]);
        assert_eq!(mistakes, Vec::<String>::new());
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("SILLAGE_WEB_LISTEN"), "{warnings:?}");
    }
}
