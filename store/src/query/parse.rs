//! Queries from text. A small grammar of our own, read by recursive descent:
//!
//! ```text
//! or    := and ("OR" and)*
//! and   := unary ("AND"? unary)*
//! unary := ("-" | "NOT") unary | "(" or ")" | "flow:" "(" or ")" | field ":" value | word "*"? | phrase "*"? | "*"
//! value := "*" | text "*"? | phrase "*"? | (">" | ">=" | "<" | "<=") number | number ".." number
//! field := trace | event | type | … | time | body.PATH | header.NAME | attr.NAME
//! ```
//!
//! No scripting, no regular expressions: every query can be bounded by its length and depth.

mod value; // what stands after a field's colon

use std::fmt;

use super::fields::NAMED;
use super::{Field, QUERY_BYTES_MAX, QUERY_DEPTH_MAX, Query, suggest, words};

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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The query with the mark `^` put in where the error points.
    #[track_caller]
    fn check(text: &str, marked: &str, says: &str) {
        let QueryError { at, message } = Query::parse(text).unwrap_err();
        assert_eq!(format!("{}^{}", &text[..at], &text[at..]), marked, "{message}");
        assert!(message.contains(says), "{message}");
    }

    #[test]
    fn an_error_points_at_the_place_and_says_what_was_meant() {
        check("key:x evnt:1", "key:x ^evnt:1", "no field `evnt`: did you mean `event`?");
        check("traceId:1", "^traceId:1", "did you mean `trace`?");
        check("http://x", "^http://x", "put it in quotes");
        check("body:x", "^body:x", "did you mean `body.PATH`?");
        check("status:ded", "status:^ded", "did you mean `dead`?");
        check("status:blue", "status:^blue", "one of dead, retried, failed, ok, waiting");
        check("kind:event", "kind:^event", "one of record, span, log");
        check("topic: orders", "topic:^ orders", "`topic:*` finds any");
        check("(a OR b", "^(a OR b", "never closed");
        check("a) b", "a^) b", "never opened");
        check("a ()", "a (^)", "nothing between");
        check("\"a b", "^\"a b", "quote is never closed");
        check("key:a\"b\"", "key:a^\"b\"", "space is missing");
        check("key:\"a\"b", "key:\"a\"^b", "space is missing");
        check("a*b", "a^*b", "end of a word");
        check("key:a*b*", "key:a^*b*", "end of a word");
        check("a OR", "a OR^", "missing at the end");
        check("OR a", "^OR a", "both sides");
        check("a - b", "a ^- b", "nothing to negate");
        check("…", "^…", "only letters and digits");
        check(">5", "^>5", "needs a field");
        check("duration:>500", "duration:>500^", "needs a unit");
        check("duration:>5y", "duration:>5^y", "no unit `y`");
        check("duration:1s..x", "duration:1s..^x", "no unit `x`");
        check("offset:1..b", "offset:1..^b", "no number");
        check("offset:x", "offset:^x", "no whole number");
        check("trace:abc", "trace:^abc", "`trace:abc*`");
        check("trace:zzz", "trace:^zzz", "32 hexadecimal digits");
        check("time:yesterday", "time:^yesterday", "needs `>`");
        check("time:>yesterday", "time:>^yesterday", "no time");
        check("status:(dead OR ok)", "status:^(dead OR ok)", "(status:a OR status:b)");
        check("flow:dead", "flow:^dead", "needs parentheses");
        check("flow:(a flow:(b))", "flow:(a ^flow:(b))", "inside another");
        check("header.\"a b\"", "header.\"a b\"^", "needs `:`");
    }

    #[test]
    fn length_and_depth_are_limited() {
        assert!(Query::parse(&"a ".repeat(QUERY_BYTES_MAX / 2)).is_ok());
        check(&"é".repeat(QUERY_BYTES_MAX), &format!("{}^{}", "é".repeat(2048), "é".repeat(2048)), "4096 bytes");
        let nested = |levels: usize| format!("{}a{}", "(".repeat(levels), ")".repeat(levels));
        assert!(Query::parse(&nested(QUERY_DEPTH_MAX)).is_ok());
        assert!(Query::parse(&nested(QUERY_DEPTH_MAX + 1)).unwrap_err().message.contains("16 levels"));
        assert!(Query::parse(&format!("{}a", "-".repeat(QUERY_BYTES_MAX - 1))).is_err());
    }

    #[test]
    fn and_binds_more_than_or_and_both_can_be_said() {
        let parsed = |text: &str| Query::parse(text).unwrap();
        assert_eq!(parsed("a b OR c"), parsed("(a AND b) OR c"));
        assert_ne!(parsed("a b OR c"), parsed("a (b OR c)"));
        assert_eq!(parsed("NOT a"), parsed("-a"));
        assert_eq!(parsed("a or b"), parsed("a AND or AND b"));
        assert_eq!(parsed("  "), Query::All);
        assert_eq!(parsed("12:30"), parsed("\"12 30\""));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = Query::parse(&text);
            let _ = super::super::goto(&text);
        }

        #[test]
        fn what_is_read_is_written_so_that_it_reads_the_same(text in r#"([-("a-cé*:.<>=0-9ms)]|OR |AND |NOT |key:|body\.|duration:|flow:\(|time:| ){0,16}"#) {
            match Query::parse(&text) {
                Ok(query) => prop_assert_eq!(Query::parse(&query.to_string()), Ok(query)),
                Err(error) => prop_assert!(text.is_char_boundary(error.at)),
            }
        }
    }
}
