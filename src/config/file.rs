//! Reads a TOML file into the tree of settings, with the place of each.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::Mistake;
use super::tree::{Member, Node, Place, Value};

/// The largest configuration file that is read: far above any real one, it guards against a wrong path.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads the text of a file. What can't be read is told, once a line, and the rest is read on.
pub fn parse(text: &str) -> (Node, Vec<Mistake>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut mistakes = Vec::new();
    let mut last_line = None;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let line = line_around(text, span.start);
        if last_line.as_ref() == Some(&line) {
            continue;
        }
        mistakes.push(unquoted(text, &line).unwrap_or_else(|| Mistake {
            place: Place::File(span),
            says: format!("this is no TOML: {}", error.message()),
            hint: None,
        }));
        last_line = Some(line);
    }
    (Node { place: Place::File(0..0), value: members(table.get_ref()) }, mistakes)
}

/// The range of the line that holds a byte, without its end.
pub fn line_around(text: &str, byte: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let byte = byte.min(bytes.len());
    let start = bytes[..byte].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let end = bytes[byte..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |newline| byte + newline);
    start..end
}

/// The usual slip in TOML: a text without quotes.
fn unquoted(text: &str, line: &Range<usize>) -> Option<Mistake> {
    let (key, value) = text[line.clone()].split_once('=')?;
    let shown = value.split(" #").next().unwrap_or(value).trim();
    let is_text = shown.starts_with(|letter: char| letter.is_alphanumeric() || "/.:*~".contains(letter));
    if !is_text || shown.contains(['"', '\'']) {
        return None;
    }
    let start = line.start + key.len() + 1 + value.find(shown).unwrap_or(0);
    Some(Mistake {
        place: Place::File(start..start + shown.len()),
        says: format!("the value of `{}` is no TOML", key.trim()),
        hint: Some("a text needs quotes around it".to_owned()),
    })
}

/// Reads one value as TOML writes it, such as `["a", "b"]`; `None` where it is none. All of it gets the given place.
pub fn parse_value(text: &str, place: &Place) -> Option<Value> {
    let value = DeValue::parse(text).ok()?;
    let mut node = node(&value);
    place_all(&mut node, place);
    Some(node.value)
}

fn place_all(node: &mut Node, place: &Place) {
    node.place = place.clone();
    match &mut node.value {
        Value::List(nodes) => nodes.iter_mut().for_each(|node| place_all(node, place)),
        Value::Table(members) => {
            for member in members {
                member.place = place.clone();
                place_all(&mut member.node, place);
            }
        }
        _ => {}
    }
}

fn members(table: &DeTable<'_>) -> Value {
    let mut members: Vec<(usize, Member)> = Vec::new();
    for (name, value) in table {
        let member = Member { name: name.get_ref().to_string(), place: Place::File(name.span()), node: node(value) };
        members.push((name.span().start, member));
    }
    // The parser sorts by name; people read from top to bottom.
    members.sort_by_key(|(start, _)| *start);
    Value::Table(members.into_iter().map(|(_, member)| member).collect())
}

fn node(value: &Spanned<DeValue<'_>>) -> Node {
    let place = Place::File(value.span());
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Text(number.as_str().to_owned()),
        },
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(truth) => Value::Boolean(*truth),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(values) => Value::List(values.iter().map(node).collect()),
        DeValue::Table(table) => members(table),
    };
    Node { place, value }
}
