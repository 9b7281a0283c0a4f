//! What somebody changed in a text, line by line, for people: on pages, and as text where a script asks.

use std::time::Duration;

use serde::de::IgnoredAny;
use similar::{ChangeTag, TextDiff};

use crate::page::flow::payload;
use crate::wording;

/// How many lines a page shows of a difference; the API has the whole.
const LINES_MAX: usize = 1_000;

/// How much of a line a page shows, in bytes.
const LINE_BYTES_MAX: usize = 2_000;

/// How many lines that are the same stand around those that are not.
const AROUND: usize = 3;

/// How long the shortest difference is looked for; then a longer one does.
const TIME_MAX: Duration = Duration::from_millis(500);

/// What was changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The lines that changed, with some around them.
    pub lines: Vec<Line>,
    /// Whether both are JSON and were laid out, so that what changed stands in lines of its own.
    pub is_laid_out: bool,
    /// What is not shown; empty where all is.
    pub cut: String,
}

/// A line of a difference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// `-` where it goes, `+` where it comes, a space where it stays, `⋯` for lines that stay and are left out.
    pub sign: char,
    /// What stands there, with letters that can't be seen written out.
    pub text: String,
}

impl Difference {
    /// For a page.
    pub fn shown(before: &str, after: &str) -> Difference {
        let mut whole = Difference::between(before, after);
        let (all, mut is_cut) = (whole.lines.len(), false);
        whole.lines.truncate(LINES_MAX);
        for line in &mut whole.lines {
            let shown = wording::beginning(&line.text, LINE_BYTES_MAX).len();
            is_cut |= shown < line.text.len();
            line.text.truncate(shown);
        }
        if all > LINES_MAX {
            whole.cut = format!("The first {LINES_MAX} of {all} lines are shown; the API has them all.");
        } else if is_cut {
            whole.cut = "Long lines are cut; the API has them whole.".to_owned();
        }
        whole
    }

    /// The whole.
    pub fn between(before: &str, after: &str) -> Difference {
        let laid_out = laid_out(before).zip(laid_out(after)).filter(|(before, after)| before != after);
        let is_laid_out = laid_out.is_some();
        let (before, after) = laid_out.unwrap_or_else(|| (before.to_owned(), after.to_owned()));
        let difference = TextDiff::configure().timeout(TIME_MAX).diff_lines(&before, &after);
        let mut lines = Vec::new();
        let mut shown_to = 0;
        for group in difference.grouped_ops(AROUND) {
            let begin = group.first().map_or(0, |first| first.old_range().start);
            if begin > shown_to {
                lines.push(Line { sign: '⋯', text: wording::many((begin - shown_to) as u64, "line") + " the same" });
            }
            for change in group.iter().flat_map(|operation| difference.iter_changes(operation)) {
                let sign = match change.tag() {
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                    ChangeTag::Equal => ' ',
                };
                // What ends a line may be all that changed.
                let (text, end) = match change.value().strip_suffix('\n') {
                    Some(text) => (text, ""),
                    None => (change.value(), if is_laid_out { "" } else { " (no line end)" }),
                };
                lines.push(Line { sign, text: wording::visible(text) + end });
            }
            shown_to = group.last().map_or(shown_to, |last| last.old_range().end);
        }
        Difference { lines, is_laid_out, cut: String::new() }
    }

    /// As scripts and terminals read it.
    pub fn to_text(&self) -> String {
        self.lines.iter().map(|line| format!("{} {}\n", line.sign, line.text)).collect()
    }
}

/// JSON, one value a line; `None` for what is none.
fn laid_out(text: &str) -> Option<String> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    Some(payload::json(text).into_iter().map(|token| token.text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(before: &str, after: &str) -> String {
        Difference::between(before, after).to_text()
    }

    #[test]
    fn one_value_of_json_in_a_single_line_is_one_line_of_the_difference() {
        let before = r#"{"a":1,"b":1,"c":1,"d":1,"currency":"XXX","total":12.90}"#;
        let said = text(before, &before.replace("XXX", "EUR"));
        assert_eq!(
            said,
            "⋯ 2 lines the same\n    \"b\": 1,\n    \"c\": 1,\n    \"d\": 1,\n-   \"currency\": \"XXX\",\n+   \"currency\": \"EUR\",\n    \"total\": 12.90\n  }\n"
        );
    }

    #[test]
    fn what_can_not_be_seen_is_told_too() {
        assert_eq!(text("{\"a\": 1}", "{\"a\":1}"), "- {\"a\": 1} (no line end)\n+ {\"a\":1} (no line end)\n");
        assert!(text("a\nb\n", "a\nb").contains("+ b (no line end)"));
        let said = text("a\nb\n", "a\r\nb\n");
        assert!(said.contains("- a\n") && said.matches('+').count() == 1 && !said.contains('\r'), "{said}");
    }

    #[test]
    fn what_a_page_can_not_carry_is_cut_and_said() {
        let many: String = (0..3_000).map(|number| format!("{number}\n")).collect();
        let shown = Difference::shown(&many, "");
        assert_eq!(shown.lines.len(), LINES_MAX);
        assert!(shown.cut.contains("of 3000 lines"), "{}", shown.cut);
        let long = "é".repeat(100_000);
        let shown = Difference::shown("a", &long);
        assert!(shown.lines[1].text.len() <= LINE_BYTES_MAX && !shown.cut.is_empty());
    }
}
