//! A mistake in the configuration, and how it is shown: where it stands, the line with a caret, and what was probably meant.

use std::fmt::Write;

use super::environment;
use super::tree::{Place, Step};

/// A mistake in the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Where it stands.
    pub place: Place,
    /// What is wrong.
    pub says: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

/// The file that the places of mistakes refer to.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// As people gave it.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Lines are shown up to this many characters: enough for every real one, and a binary file given by mistake doesn't flood the terminal.
const LINE_CHARS_MAX: usize = 160;

/// Words in a key that say that its value must not be repeated on a screen or in a log.
const SECRET_WORDS: [&str; 5] = ["secret", "password", "token", "sasl", "credential"];

/// The header of a section where addresses are secrets, and the words in its keys that say so, too.
const WEBHOOK: &str = "[[webhook";
const WEBHOOK_SECRET_WORDS: [&str; 2] = ["url", "headers"];

impl Mistake {
    /// The mistake as people read it.
    pub fn render(&self, source: Source<'_>) -> String {
        let mut text = format!("error: {}\n", self.says);
        let hint = self.hint.as_deref().unwrap_or("");
        match &self.place {
            Place::File(range) => {
                let spot = Spot::find(source.text, range.start);
                let gutter = spot.line.to_string().len();
                let line = shown(spot.content, spot.section);
                let width =
                    source.text.get(range.clone()).map_or(1, |part| part.lines().next().unwrap_or("").chars().count());
                let room = line.chars().count().saturating_sub(spot.column - 1).max(1);
                let carets = "^".repeat(width.clamp(1, room));
                let _ = writeln!(text, "{:gutter$}--> {}:{}:{}", "", source.name, spot.line, spot.column);
                let _ = writeln!(text, "{:gutter$} |", "");
                let _ = writeln!(text, "{} | {line}", spot.line);
                let under = format!("{:gutter$} | {:before$}{carets} {hint}", "", "", before = spot.column - 1);
                let _ = writeln!(text, "{}", under.trim_end());
            }
            Place::Variable(name) => {
                let _ = writeln!(text, " --> environment variable {name}");
                if !hint.is_empty() {
                    let _ = writeln!(text, "  = {hint}");
                }
            }
            Place::Flag(flag) => {
                let _ = writeln!(text, " --> command line, {flag}");
                if !hint.is_empty() {
                    let _ = writeln!(text, "  = {hint}");
                }
            }
            Place::Default => {
                if !hint.is_empty() {
                    let _ = writeln!(text, "  = {hint}");
                }
            }
        }
        text
    }
}

/// Line and column of a byte, both from 1; columns count characters.
struct Spot<'a> {
    line: usize,
    column: usize,
    content: &'a str,
    /// The nearest header above it.
    section: &'a str,
}

impl Spot<'_> {
    fn find(text: &str, byte: usize) -> Spot<'_> {
        let mut byte = byte.min(text.len());
        while !text.is_char_boundary(byte) {
            byte -= 1;
        }
        let start = text[..byte].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[byte..].find('\n').map_or(text.len(), |newline| byte + newline);
        Spot {
            line: text[..start].matches('\n').count() + 1,
            column: text[start..byte].chars().count() + 1,
            content: text[start..end].trim_end_matches('\r'),
            section: text[..start].lines().rev().map(str::trim).find(|line| line.starts_with('[')).unwrap_or(""),
        }
    }
}

/// A line as it may be shown: without control characters, not too long, and without its value where that may be a secret.
fn shown(line: &str, section: &str) -> String {
    let (key, value) = line.split_once('=').unwrap_or((line, ""));
    let key_lower = key.to_lowercase();
    let words = SECRET_WORDS.iter().chain(WEBHOOK_SECRET_WORDS.iter().filter(|_| section.starts_with(WEBHOOK)));
    let line = if words.into_iter().any(|word| key_lower.contains(word)) && !value.is_empty() {
        // A value that only points to the secret may be shown.
        let points =
            ["file:", "env:"].iter().any(|prefix| value.trim().trim_start_matches(['"', '\'']).starts_with(prefix));
        if points { line.to_owned() } else { format!("{key}= ****") }
    } else if line.contains("://") && line.contains('@') {
        blank_userinfo(line)
    } else {
        line.to_owned()
    };
    line.chars().take(LINE_CHARS_MAX).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// A line with the `name:password@` of its first URL made unreadable, of the same length so that carets still fit.
fn blank_userinfo(line: &str) -> String {
    let Some(start) = line.find("://").map(|at| at + 3) else { return line.to_owned() };
    let Some(length) = line[start..].find('@') else { return line.to_owned() };
    let stars = "*".repeat(line[start..start + length].chars().count());
    format!("{}{stars}{}", &line[..start], &line[start + length..])
}

/// Of the known names the one that was probably meant: at most a third of the letters differ, and two at the most for short names.
pub fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let written = written.to_lowercase().replace('-', "_");
    let allowed = (written.chars().count().max(3) / 3).clamp(1, 3);
    known
        .iter()
        .map(|name| (distance(&written, name), *name))
        .filter(|(distance, name)| *distance <= allowed || (written.len() > 3 && name.starts_with(&written)))
        .min()
        .map(|(_, name)| name)
}

/// What to write instead of an unknown key: the nearest known one, else all of them.
pub fn suggestion(written: &str, known: &[&str], place: &Place, steps: &[Step]) -> Option<String> {
    if known.is_empty() {
        return None;
    }
    let spelled = |name: &str| match place {
        Place::Variable(_) => {
            let mut steps = steps.to_vec();
            steps.pop();
            steps.push(Step::Key(name.to_owned()));
            environment::variable(&steps)
        }
        _ => format!("`{name}`"),
    };
    Some(match nearest(written, known) {
        Some(name) => format!("did you mean {}?", spelled(name)),
        None => format!("known here: {}", known.join(", ")),
    })
}

/// How many letters must be put in, left out, changed or swapped with their neighbour to get from one text to the other
/// (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=right.len()).collect();
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let changed = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            rows[i][j] = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                rows[i][j] = rows[i][j].min(rows[i - 2][j - 2] + 1);
            }
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_for_usual_slips() {
        let known = ["listen", "public_url", "allow_unauthenticated"];
        for (written, meant) in [
            ("listn", Some("listen")),
            ("lisetn", Some("listen")),
            ("Listen", Some("listen")),
            ("public-url", Some("public_url")),
            ("allow_unauthenticate", Some("allow_unauthenticated")),
            ("publ", Some("public_url")),
            ("port", None),
            ("x", None),
        ] {
            assert_eq!(nearest(written, &known), meant, "{written}");
        }
    }

    #[test]
    fn a_line_that_may_hold_a_secret_is_not_repeated() {
        let source = Source { name: "s.toml", text: "[[access]]\nsecret = hunter2\n" };
        let mistake = Mistake { place: Place::File(20..27), says: "a string is needed".to_owned(), hint: None };
        assert_eq!(
            mistake.render(source),
            "error: a string is needed\n --> s.toml:2:10\n  |\n2 | secret = ****\n  |          ^^^^\n"
        );
        assert_eq!(shown("url = \"amqp://me:hunter2@host\"", "[[source]]"), "url = \"amqp://**********@host\"");
        assert_eq!(shown("secret = \"file:/run/x\"", ""), "secret = \"file:/run/x\"");
    }

    #[test]
    fn columns_count_characters_and_carets_stay_within_the_line() {
        let source = Source { name: "s.toml", text: "a = \"é\" # ö\nb = é" };
        let mistake = Mistake { place: Place::File(18..400), says: "no".to_owned(), hint: Some("yes".to_owned()) };
        assert_eq!(mistake.render(source), "error: no\n --> s.toml:2:5\n  |\n2 | b = é\n  |     ^ yes\n");
    }
}
