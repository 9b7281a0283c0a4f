//! What was probably meant by a name that isn't known.

use super::fields::NAMED;

/// Names from other tools and from our own pages, and the field that has what they ask for.
const ELSEWHERE: [(&str, &str); 24] = [
    ("traceid", "trace"),
    ("trace_id", "trace"),
    ("eventid", "event"),
    ("event_id", "event"),
    ("id", "event"),
    ("eventtype", "type"),
    ("event_type", "type"),
    ("channel", "topic"),
    ("queue", "topic"),
    ("subject", "topic"),
    ("stream", "topic"),
    ("sequence", "offset"),
    ("broker", "source"),
    ("consumer", "group"),
    ("name", "span"),
    ("operation", "span"),
    ("outcome", "status"),
    ("state", "status"),
    ("severity", "role"),
    ("level", "role"),
    ("correlation", "cause"),
    ("exception", "cause"),
    ("latency", "duration"),
    ("attribute", "attr.NAME"),
];

/// Fields with a path, and how to write them.
const WITH_PATH: [(&str, &str); 5] = [
    ("body", "body.PATH"),
    ("header", "header.NAME"),
    ("headers", "header.NAME"),
    ("attr", "attr.NAME"),
    ("attributes", "attr.NAME"),
];

/// The field that was probably meant.
pub(super) fn field(written: &str) -> Option<&'static str> {
    let written = written.to_lowercase();
    if let Some((_, meant)) = ELSEWHERE.iter().chain(&WITH_PATH).find(|(name, _)| *name == written) {
        return Some(meant);
    }
    let head = written.split('.').next().unwrap_or_default();
    if let Some((_, meant)) = WITH_PATH.iter().find(|(name, _)| *name == head) {
        return Some(meant);
    }
    let names = NAMED.iter().map(|(name, _)| *name).chain(["time", "flow", "finding", "body", "header", "attr"]);
    closest(&written, names)
        .map(|name| WITH_PATH.iter().find(|(path, _)| *path == name).map_or(name, |(_, meant)| meant))
}

/// The nearest of some names, if one is near enough: one slip in a short word, two in a longer one.
pub(super) fn closest(written: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let slips_max = if written.len() > 4 { 2 } else { 1 };
    let near = names.map(|name| (distance(written, name), name)).filter(|(slips, _)| *slips <= slips_max);
    near.min_by_key(|(slips, _)| *slips).map(|(_, name)| name)
}

/// How many slips (a letter more, less, other, or two swapped) lie between two words (optimal string alignment distance).
fn distance(left: &str, right: &str) -> usize {
    /// No name is longer; a longer word is no slip of one.
    const LETTERS_MAX: usize = 24;
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len() > LETTERS_MAX || right.len() > LETTERS_MAX {
        return usize::MAX;
    }
    let mut table = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            if i == 0 || j == 0 {
                table[i][j] = i + j;
                continue;
            }
            let other = usize::from(left[i - 1] != right[j - 1]);
            let mut slips = (table[i - 1][j] + 1).min(table[i][j - 1] + 1).min(table[i - 1][j - 1] + other);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                slips = slips.min(table[i - 2][j - 2] + 1);
            }
            table[i][j] = slips;
        }
    }
    table[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_and_a_name_from_another_tool_are_understood() {
        for (written, meant) in [
            ("evnt", Some("event")),
            ("tpye", Some("type")),
            ("Topic", Some("topic")),
            ("traceId", Some("trace")),
            ("queue", Some("topic")),
            ("headers.x", Some("header.NAME")),
            ("bdy", Some("body.PATH")),
            ("http", None),
            ("zzz", None),
        ] {
            assert_eq!(field(written), meant, "{written}");
        }
    }
}
