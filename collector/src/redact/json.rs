//! JSON, read in place: finds the values of names, and texts in which something may stand. What is cut off or broken is read as far as it
//! makes sense, because a poison message holds secrets like any other.

use std::borrow::Cow;

use memchr::memchr2;

use super::names::Place;
use super::text::{Edit, apply};
use super::{Action, Redactor, stand_in};
use crate::decode::text::looks_like_json;

/// How deep names are remembered. Below that a rule with several parts finds nothing; one with a single name still does.
const DEPTH_MAX: usize = 256;

/// How many times JSON may stand in a text of JSON, as outboxes do it; deeper it is looked at as text.
const NESTED_MAX: usize = 4;

/// How far into a body JSON may begin: behind the frame of a schema registry's serializer.
const BEGIN_MAX: usize = 16;

impl Redactor {
    /// Any bytes without what is to be taken out; `None` where they may stay as they are.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.nested(bytes, 0)
    }

    fn nested(&self, bytes: &[u8], nested: usize) -> Option<Vec<u8>> {
        let begin = bytes.iter().take(BEGIN_MAX).position(|byte| matches!(byte, b'{' | b'['));
        let begin = begin.filter(|begin| nested < NESTED_MAX && looks_like_json(&bytes[*begin..]));
        let Some(begin) = begin else { return self.text(bytes) };
        let mut walk = Walk {
            redactor: self,
            bytes,
            at: begin,
            nested,
            inside: Vec::new(),
            deeper: 0,
            key: None,
            edits: Vec::new(),
            is_broken: false,
        };
        walk.run();
        let (mut edits, is_broken) = (walk.edits, walk.is_broken);
        let mut bytes = Cow::Borrowed(bytes);
        apply(&mut bytes, &mut edits);
        if is_broken {
            return self.text(&bytes).or(match bytes {
                Cow::Borrowed(_) => None,
                Cow::Owned(bytes) => Some(bytes),
            });
        }
        // A pattern may reach over more than one value.
        self.matches(&mut bytes);
        match bytes {
            Cow::Borrowed(_) => None,
            Cow::Owned(bytes) => Some(bytes),
        }
    }
}

struct Walk<'a> {
    redactor: &'a Redactor,
    bytes: &'a [u8],
    at: usize,
    nested: usize,
    /// The names around this place, `None` for a list's.
    inside: Vec<Option<Cow<'a, [u8]>>>,
    /// How many objects and lists around this place are too deep for `inside`.
    deeper: usize,
    /// The name whose value comes next.
    key: Option<Cow<'a, [u8]>>,
    edits: Vec<Edit>,
    /// Something was met that is no JSON: a text that only begins like it, and is to be looked at as one, too.
    is_broken: bool,
}

impl<'a> Walk<'a> {
    fn run(&mut self) {
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => self.string(),
                b'{' | b'[' => {
                    self.enter();
                    self.at += 1;
                }
                b'}' | b']' => {
                    self.leave();
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                _ => self.scalar(),
            }
        }
    }

    fn enter(&mut self) {
        let key = self.key.take();
        if self.inside.len() < DEPTH_MAX {
            self.inside.push(key);
        } else {
            self.deeper += 1;
        }
    }

    fn leave(&mut self) {
        if self.deeper > 0 {
            self.deeper -= 1;
        } else {
            self.inside.pop();
        }
    }

    /// A name with its value, or a text.
    fn string(&mut self) {
        let begin = self.at;
        let end = string_end(self.bytes, begin);
        let sign = skip_space(self.bytes, end);
        if self.bytes.get(sign) != Some(&b':') {
            self.text(begin, end);
            self.at = end;
            return;
        }
        let key = unescaped(self.bytes, begin, end);
        let around = self.inside.iter().rev().filter_map(|key| key.as_deref());
        let action = self.redactor.names.find(&key, around, Place::Field).map(super::names::Named::action);
        let Some(action) = action else {
            self.key = Some(key);
            self.at = sign + 1;
            return;
        };
        let value = skip_space(self.bytes, sign + 1);
        let value_end = value_end(self.bytes, value);
        self.at = value_end;
        match action {
            Action::Keep => {}
            Action::Drop => self.remove(begin, value_end),
            Action::Mask | Action::Hash if &self.bytes[value..value_end] == b"null" => {}
            Action::Mask | Action::Hash => {
                let is_text = self.bytes.get(value) == Some(&b'"');
                let told =
                    if is_text { unescaped(self.bytes, value, value_end) } else { self.bytes[value..value_end].into() };
                let with = format!("\"{}\"", stand_in(action, &told)).into_bytes();
                self.edits.push(Edit { range: value..value_end, with });
            }
        }
    }

    /// Removes a name with its value and one comma.
    fn remove(&mut self, mut begin: usize, mut end: usize) {
        let behind = skip_space(self.bytes, end);
        if self.bytes.get(behind) == Some(&b',') {
            end = skip_space(self.bytes, behind + 1);
        } else {
            // The last of its object: the comma before it goes, and that may stand before others that went.
            while let Some(last) = self.edits.pop_if(|last| last.with.is_empty() && last.range.end >= begin) {
                begin = last.range.start;
            }
            let before = self.bytes[..begin].iter().rposition(|byte| !byte.is_ascii_whitespace());
            if let Some(comma) = before.filter(|before| self.bytes[*before] == b',') {
                begin = comma;
            }
        }
        self.edits.push(Edit { range: begin..end, with: Vec::new() });
        self.at = end;
    }

    /// A text: looked into as it is meant, written as JSON again.
    fn text(&mut self, begin: usize, end: usize) {
        self.key = None;
        let meant = unescaped(self.bytes, begin, end);
        let Some(without) = self.redactor.nested(&meant, self.nested + 1) else { return };
        let quoted =
            serde_json::to_vec(&String::from_utf8_lossy(&without)).expect("text can always be written as JSON");
        self.edits.push(Edit { range: begin..end, with: quoted });
    }

    /// A number, or what is no JSON at all.
    fn scalar(&mut self) {
        self.key = None;
        let begin = self.at;
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b'{' | b'[' | b'"' | b'\n');
        let length = self.bytes[begin..].iter().position(ends).unwrap_or(self.bytes.len() - begin);
        let told = self.bytes[begin..begin + length].trim_ascii_end();
        let is_number = told.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        self.is_broken |= !is_number && !matches!(told, b"true" | b"false" | b"null");
        if let Some(without) = self.redactor.text(told) {
            // A number has no place for words: it becomes a text.
            let with = if is_number { [b"\"", without.as_slice(), b"\""].concat() } else { without };
            self.edits.push(Edit { range: begin..begin + told.len(), with });
        }
        self.at = begin + length;
    }
}

/// Where the string ends that begins here, behind its quote; the end of the bytes where it has none.
fn string_end(bytes: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        if bytes[at + found] == b'"' {
            return at + found + 1;
        }
        at += found + 2;
    }
    bytes.len()
}

/// Where the value ends that begins here.
fn value_end(bytes: &[u8], begin: usize) -> usize {
    match bytes.get(begin) {
        Some(b'"') => string_end(bytes, begin),
        Some(b'{' | b'[') => {
            let (mut at, mut depth) = (begin, 0_usize);
            while let Some(byte) = bytes.get(at) {
                match byte {
                    b'"' => {
                        at = string_end(bytes, at);
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return at;
                }
            }
            bytes.len()
        }
        _ => {
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
            bytes[begin..].iter().position(ends).map_or(bytes.len(), |length| begin + length)
        }
    }
}

fn skip_space(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// What a string means; its bytes as they are where it is cut off or no JSON.
fn unescaped(bytes: &[u8], begin: usize, end: usize) -> Cow<'_, [u8]> {
    let is_closed = end > begin + 1 && bytes[end - 1] == b'"';
    let raw = &bytes[begin + 1..if is_closed { end - 1 } else { end }];
    if memchr::memchr(b'\\', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    serde_json::from_slice::<String>(&bytes[begin..end])
        .map_or(Cow::Borrowed(raw), |text| Cow::Owned(text.into_bytes()))
}
