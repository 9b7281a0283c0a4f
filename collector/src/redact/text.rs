//! What stands in the middle of a text: patterns, numbers of cards, and `password=…` as logs and addresses write it.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr2, memchr2_iter};
use regex::bytes::Regex;

use super::names::{Extent, Place};
use super::{Action, HASH_PREFIX, MASK, Redactor, card, stand_in};

/// A regular expression of `[[redact]]`.
#[derive(Debug)]
pub(super) struct Pattern {
    /// What is looked for.
    pub regex: Regex,
    /// What becomes of it.
    pub action: Action,
}

impl Redactor {
    /// A text without what is to be taken out; `None` where it may stay as it is.
    pub(super) fn text(&self, text: &[u8]) -> Option<Vec<u8>> {
        if self.is_harmless(text) {
            return None;
        }
        let mut text = Cow::Borrowed(text);
        let mut edits = Vec::new();
        self.named(&text, &mut edits);
        apply(&mut text, &mut edits);
        cards(&text, &mut edits);
        apply(&mut text, &mut edits);
        self.matches(&mut text);
        match text {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) => Some(text),
        }
    }

    /// Whether nothing can stand in a text, as in most numbers and words of a body: it is too short for a card's number, and has no sign
    /// between a name and a value.
    fn is_harmless(&self, text: &[u8]) -> bool {
        self.patterns.is_empty() && text.len() < card::DIGITS_MIN && memchr2(b'=', b':', text).is_none()
    }

    /// Takes out what the patterns match, wherever it stands.
    pub(super) fn matches(&self, text: &mut Cow<'_, [u8]>) {
        let mut edits = Vec::new();
        for Pattern { regex, action } in &self.patterns {
            edits.extend(
                regex
                    .find_iter(text)
                    .filter(|found| !found.is_empty())
                    .map(|found| Edit { range: found.range(), with: stand_in(*action, found.as_bytes()).into_bytes() }),
            );
            apply(text, &mut edits);
        }
    }

    /// `name=value`, `"name": "value"`, and for credentials and cookies `Name: value` to the end of the line.
    fn named(&self, text: &[u8], edits: &mut Vec<Edit>) {
        let mut done = 0;
        for sign in memchr2_iter(b'=', b':', text) {
            if sign < done {
                continue;
            }
            let Some((name, is_quoted)) = name_before(&text[done..sign], done) else { continue };
            let Some(rule) = self.names.find(&text[name.clone()], std::iter::empty(), Place::Field) else { continue };
            let is_line = rule.extent() == Extent::Line;
            if rule.action() == Action::Keep || (text[sign] == b':' && !is_quoted && !is_line) {
                continue;
            }
            let value = value_behind(text, sign + 1, if is_quoted { Extent::Word } else { rule.extent() });
            // What JSON around it already took out is not taken out twice.
            let told = &text[value.clone()];
            if told.is_empty() || told.starts_with(MASK.as_bytes()) || told.starts_with(HASH_PREFIX.as_bytes()) {
                continue;
            }
            done = value.end;
            let with = stand_in(rule.action(), &text[value.clone()]).into_bytes();
            let range = if rule.action() == Action::Drop { name.start..value.end } else { value };
            edits.push(Edit { range, with });
        }
    }
}

/// The name that ends a text, and whether it stands in quotes.
fn name_before(text: &[u8], offset: usize) -> Option<(Range<usize>, bool)> {
    let without =
        |text: &[u8], strip: fn(u8) -> bool| text.iter().rposition(|byte| !strip(*byte)).map_or(0, |at| at + 1);
    let end = without(text, |byte| matches!(byte, b' ' | b'"' | b'\'' | b'\\'));
    let is_quoted = text[end..].iter().any(|byte| matches!(byte, b'"' | b'\''));
    let begin = without(&text[..end], |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    (begin < end).then_some((offset + begin..offset + end, is_quoted))
}

/// The value that begins a text after a sign: what stands in quotes, a word, or a line.
fn value_behind(text: &[u8], from: usize, extent: Extent) -> Range<usize> {
    let begin = from + text[from..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\\')).count();
    match text.get(begin) {
        Some(quote @ (b'"' | b'\'')) => {
            let is_escaped_whole = text[begin - 1] == b'\\';
            let mut end = begin + 1;
            while end < text.len() && text[end] != *quote {
                let skips = text[end] == b'\\' && !is_escaped_whole;
                end += if skips { 2 } else { 1 };
            }
            let end = end.min(text.len());
            let end = if is_escaped_whole && text[end - 1] == b'\\' { end - 1 } else { end };
            begin + 1..end.max(begin + 1)
        }
        Some(_) => {
            let ends = |byte: &u8| match extent {
                Extent::Line => matches!(byte, b'\r' | b'\n'),
                Extent::Word => {
                    byte.is_ascii_whitespace() || matches!(byte, b'&' | b',' | b';' | b')' | b'}' | b'"' | b'\'')
                }
            };
            begin..text[begin..].iter().position(ends).map_or(text.len(), |length| begin + length)
        }
        None => from..from,
    }
}

fn cards(text: &[u8], edits: &mut Vec<Edit>) {
    let mut at = 0;
    while let Some(range) = card::find(text, at) {
        at = range.end;
        edits.push(Edit { range, with: stand_in(Action::Mask, b"").into_bytes() });
    }
}

/// One piece of a text that something else takes the place of.
#[derive(Debug)]
pub(super) struct Edit {
    /// Which piece.
    pub range: Range<usize>,
    /// What takes its place.
    pub with: Vec<u8>,
}

/// Makes the changes, which stand in order and don't overlap, and forgets them.
pub(super) fn apply(text: &mut Cow<'_, [u8]>, edits: &mut Vec<Edit>) {
    if edits.is_empty() {
        return;
    }
    let mut edited = Vec::with_capacity(text.len());
    let mut at = 0;
    for edit in edits.drain(..) {
        edited.extend_from_slice(&text[at..edit.range.start]);
        edited.extend_from_slice(&edit.with);
        at = edit.range.end;
    }
    edited.extend_from_slice(&text[at..]);
    *text = Cow::Owned(edited);
}
