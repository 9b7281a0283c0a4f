//! Queries from text. A small grammar of our own, read by recursive descent:
//!
//! ```text
//! or    := and ("OR" and)*
//! and   := unary ("AND"? unary)*
//! unary := ("-" | "NOT") unary | "(" or ")" | "flow:" "(" or ")" | "finding:" kind | field ":" value | word "*"? | phrase "*"? | "*"
//! value := "*" | text "*"? | phrase "*"? | (">" | ">=" | "<" | "<=") number | number ".." number
//! field := trace | event | type | … | time | body.PATH | header.NAME | attr.NAME
//! ```
//!
//! No scripting, no regular expressions: every query can be bounded by its length and depth.

mod value; // what stands after a field's colon

use std::fmt;

use super::fields::NAMED;
use super::{Field, QUERY_BYTES_MAX, QUERY_DEPTH_MAX, Query, suggest, words};
use crate::flow::finding::KINDS;

pub use value::duration;

/// Why a query can't be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueryError {
    /// Where, in bytes from the start; at a boundary of characters.
    pub at: usize,
    /// What is wrong, and what was probably meant.
    pub message: String,
}

impl std::error::Error for QueryError {}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.message, self.at)
    }
}

impl Query {
    /// Reads a query; an empty text asks for everything.
    ///
    /// At most [`QUERY_BYTES_MAX`] bytes and [`QUERY_DEPTH_MAX`] levels of parentheses and negations.
    pub fn parse(text: &str) -> Result<Query, QueryError> {
        if text.len() > QUERY_BYTES_MAX {
            let at = (0..=QUERY_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            return Err(error(at, format!("a query has at most {QUERY_BYTES_MAX} bytes")));
        }
        let mut parser = Parser { text, at: 0, in_flow: false };
        parser.skip_space();
        if parser.rest().is_empty() {
            return Ok(Query::All);
        }
        let query = parser.or(0)?;
        if parser.rest().is_empty() {
            return Ok(query);
        }
        Err(error(parser.at, "this parenthesis was never opened"))
    }
}

fn error(at: usize, message: impl Into<String>) -> QueryError {
    QueryError { at, message: message.into() }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    in_flow: bool,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, expected: char) -> bool {
        let taken = self.rest().starts_with(expected);
        if taken {
            self.at += expected.len_utf8();
        }
        taken
    }

    /// Whether a keyword stands here, by itself.
    fn at_keyword(&self, keyword: &str) -> bool {
        self.rest().strip_prefix(keyword).is_some_and(|after| after.is_empty() || after.starts_with(ends_word))
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let taken = self.at_keyword(keyword);
        if taken {
            self.at += keyword.len();
            self.skip_space();
        }
        taken
    }

    fn or(&mut self, depth: usize) -> Result<Query, QueryError> {
        let mut any = vec![self.and(depth)?];
        while self.take_keyword("OR") {
            any.push(self.and(depth)?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Query::Or(any) })
    }

    fn and(&mut self, depth: usize) -> Result<Query, QueryError> {
        let mut all = vec![self.unary(depth)?];
        loop {
            self.skip_space();
            let rest = self.rest();
            if rest.is_empty() || rest.starts_with(')') || self.at_keyword("OR") {
                return Ok(if all.len() == 1 { all.remove(0) } else { Query::And(all) });
            }
            self.take_keyword("AND");
            all.push(self.unary(depth)?);
        }
    }

    fn unary(&mut self, depth: usize) -> Result<Query, QueryError> {
        self.skip_space();
        let start = self.at;
        if depth > QUERY_DEPTH_MAX {
            return Err(error(start, format!("a query is nested at most {QUERY_DEPTH_MAX} levels deep")));
        }
        if self.take('-') || self.take_keyword("NOT") {
            if self.rest().is_empty() || self.rest().starts_with(ends_term) {
                return Err(error(
                    start,
                    "nothing to negate follows; to search for a dash, there is no need to: words are split at it",
                ));
            }
            return Ok(Query::Not(Box::new(self.unary(depth + 1)?)));
        }
        if self.take('(') {
            return self.parenthesis(start, depth);
        }
        match self.rest().chars().next() {
            None => Err(error(start, "something is missing at the end")),
            Some(')') => Err(error(start, "something is missing before this parenthesis")),
            Some('"') => self.phrase(),
            Some('<' | '>' | '=') => {
                Err(error(start, "a comparison needs a field before it, such as `duration:>500ms`"))
            }
            Some(_) if self.at_keyword("OR") || self.at_keyword("AND") => {
                let word = &self.rest()[..self.rest().find(ends_word).unwrap_or(self.rest().len())];
                Err(error(
                    start,
                    format!("`{word}` needs something on both sides; for the word itself write it in lower case"),
                ))
            }
            Some(_) => self.term(depth),
        }
    }

    /// What follows an opening parenthesis, closing one included.
    fn parenthesis(&mut self, opened: usize, depth: usize) -> Result<Query, QueryError> {
        self.skip_space();
        if self.rest().starts_with(')') {
            return Err(error(self.at, "there is nothing between these parentheses"));
        }
        let query = self.or(depth + 1)?;
        self.skip_space();
        if !self.take(')') {
            return Err(error(opened, "this parenthesis is never closed"));
        }
        Ok(query)
    }

    fn phrase(&mut self) -> Result<Query, QueryError> {
        let start = self.at;
        let phrase = self.quoted()?;
        let prefix = self.take('*');
        self.end_of_term()?;
        as_text(start, &phrase, prefix)
    }

    /// A word or `field:value`.
    fn term(&mut self, depth: usize) -> Result<Query, QueryError> {
        let start = self.at;
        let rest = self.rest();
        let name_length = rest.find(|c| ends_word(c) || c == ':').unwrap_or(rest.len());
        let name = &rest[..name_length];
        let after = &rest[name_length..];
        let named_by_quotes = after.starts_with('"') && matches!(name, "body." | "header." | "attr.");
        if named_by_quotes {
            self.at += name_length;
            let quoted = self.quoted()?;
            if !self.take(':') {
                return Err(error(self.at, format!("`{name}\"…\"` needs `:` and a value")));
            }
            let field =
                with_path(&name[..name.len() - 1], &quoted).expect("the three names with a path were just compared");
            return self.value(start, field);
        }
        if after.starts_with(':') && name.starts_with(|c: char| c.is_alphabetic()) {
            self.at += name_length + 1;
            return match name {
                "flow" => self.flow(start, depth),
                "finding" => self.finding(),
                "time" => self.time(),
                _ => self.value(start, field(start, name)?),
            };
        }
        let word = &rest[..rest.find(ends_word).unwrap_or(rest.len())];
        self.at += word.len();
        self.end_of_term()?;
        if word == "*" {
            return Ok(Query::All);
        }
        let (stem, prefix) = stem(start, word)?;
        as_text(start, stem, prefix)
    }

    fn flow(&mut self, start: usize, depth: usize) -> Result<Query, QueryError> {
        let opened = self.at;
        if self.in_flow {
            return Err(error(start, "`flow:(…)` can't stand inside another one"));
        }
        if !self.take('(') {
            return Err(error(opened, "`flow:` needs parentheses, such as `flow:(status:dead)`"));
        }
        self.in_flow = true;
        let query = self.parenthesis(opened, depth)?;
        self.in_flow = false;
        Ok(Query::Flow(Box::new(query)))
    }

    fn finding(&mut self) -> Result<Query, QueryError> {
        let rest = self.rest();
        let at = self.at;
        let kind = &rest[..rest.find(ends_word).unwrap_or(rest.len())];
        self.at += kind.len();
        self.end_of_term()?;
        if kind == "*" {
            return Ok(Query::Finding(None));
        }
        let known = KINDS.iter().find(|known| **known == kind);
        let known = known.ok_or_else(|| {
            let hint = match suggest::closest(kind, KINDS.into_iter()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("there are {}, and `*` for any", KINDS.join(", ")),
            };
            error(at, format!("no kind of finding is called `{kind}`: {hint}"))
        })?;
        Ok(Query::Finding(Some(*known)))
    }

    /// Text in quotes at this place, its escapes `\"` and `\\` resolved.
    fn quoted(&mut self) -> Result<String, QueryError> {
        let opened = self.at;
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = opened + at + 1;
                    return Ok(text);
                }
                '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
                other => text.push(other),
            }
        }
        Err(error(opened, "this quote is never closed"))
    }

    fn end_of_term(&self) -> Result<(), QueryError> {
        match self.rest().chars().next() {
            None | Some(')') => Ok(()),
            Some(c) if c.is_whitespace() => Ok(()),
            Some('"') => Err(error(self.at, "a space is missing before this quote; quotes go around the whole value")),
            Some('(') => Err(error(self.at, "a space is missing before this parenthesis")),
            Some(_) => Err(error(self.at, "a space is missing here")),
        }
    }
}

/// What ends a word or a value without quotes.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"')
}

fn ends_term(c: char) -> bool {
    c.is_whitespace() || c == ')'
}

fn field(at: usize, name: &str) -> Result<Field, QueryError> {
    if let Some((_, field)) = NAMED.iter().find(|(known, _)| *known == name) {
        return Ok(field.clone());
    }
    if let Some((kind, path)) = name.split_once('.')
        && !path.is_empty()
        && let Some(field) = with_path(kind, path)
    {
        return Ok(field);
    }
    let hint = match suggest::field(name) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "to search for this as text, put it in quotes".to_owned(),
    };
    Err(error(at, format!("no field `{name}`: {hint}")))
}

fn with_path(kind: &str, path: &str) -> Option<Field> {
    match kind {
        "body" => Some(Field::Body(path.to_owned())),
        "header" => Some(Field::Header(path.to_owned())),
        "attr" => Some(Field::Attribute(path.to_owned())),
        _ => None,
    }
}

/// A word without its `*`, and whether it had one.
fn stem(at: usize, word: &str) -> Result<(&str, bool), QueryError> {
    let (stem, prefix) = word.strip_suffix('*').map_or((word, false), |stem| (stem, true));
    match stem.find('*') {
        Some(star) => Err(error(at + star, "`*` works only at the end of a word; for the character itself use quotes")),
        None => Ok((stem, prefix)),
    }
}

fn as_text(at: usize, text: &str, prefix: bool) -> Result<Query, QueryError> {
    let words: Vec<String> = words(text).map(std::borrow::Cow::into_owned).collect();
    if words.is_empty() {
        return Err(error(at, "nothing to search for: only letters and digits are searched, not signs"));
    }
    Ok(Query::Text { words, prefix })
}

#[cfg(test)]
mod tests;
