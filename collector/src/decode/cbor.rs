//! CBOR, to JSON (RFC 8949). Read as this where a record names it, or where it begins with CBOR's own mark and is whole.

use std::borrow::Cow;

use ciborium_ll::{Decoder, Error, Header, simple};

use super::Problem;
use super::cursor::Cursor;
use super::json::{Around, Json};

/// How self-described CBOR begins: tag 55799.
pub const MARK: [u8; 3] = [0xd9, 0xd9, 0xf7];

/// One value as JSON, all of the bytes.
pub fn decode(bytes: &[u8], bytes_max: usize) -> Result<String, Problem> {
    let mut json = Json::new(bytes_max);
    let mut reader = Reader { bytes: Cursor { rest: bytes } };
    let header = reader.pull()?;
    reader.value(header, &mut json)?;
    reader.bytes.end()?;
    Ok(json.into_text())
}

struct Reader<'a> {
    bytes: Cursor<'a>,
}

/// How many tags may stand before one value: real ones have one or two.
const TAGS_MAX: usize = 16;

impl<'a> Reader<'a> {
    fn pull(&mut self) -> Result<Header, Problem> {
        let mut decoder = Decoder::from(self.bytes.rest);
        let header = decoder.pull().map_err(|error| match error {
            Error::Io(_) => Problem::new("it ends in the middle of a value"),
            Error::Syntax(_) => Problem::new("it has a byte that is no CBOR"),
        })?;
        self.bytes.rest = &self.bytes.rest[decoder.offset()..];
        Ok(header)
    }

    fn value(&mut self, header: Header, json: &mut Json) -> Result<(), Problem> {
        match self.untagged(header)? {
            Header::Positive(number) => json.bare(number),
            Header::Negative(number) => json.bare(-1 - i128::from(number)),
            Header::Float(number) => json.float(number),
            Header::Simple(simple::FALSE) => json.bare(false),
            Header::Simple(simple::TRUE) => json.bare(true),
            Header::Simple(simple::NULL | simple::UNDEFINED) => json.bare("null"),
            Header::Simple(number) => json.bare(number),
            Header::Bytes(length) => {
                let bytes = self.string(length, true)?;
                json.bytes(&bytes)
            }
            Header::Text(length) => {
                let text = self.text(length)?;
                json.string(&text)
            }
            Header::Array(length) => {
                json.begin(Around::List)?;
                let mut items = 0;
                while let Some(header) = self.next(length, items)? {
                    self.value(header, json)?;
                    items += 1;
                }
                json.end(Around::List)
            }
            Header::Map(length) => {
                json.begin(Around::Object)?;
                let mut pairs = 0;
                while let Some(header) = self.next(length, pairs)? {
                    self.key(header, json)?;
                    let header = self.pull()?;
                    self.value(header, json)?;
                    pairs += 1;
                }
                json.end(Around::Object)
            }
            Header::Break | Header::Tag(_) => Err(Problem::new("it ends something that has not begun")),
        }
    }

    /// A name: a text, or a whole number as COSE and SenML have it.
    fn key(&mut self, header: Header, json: &mut Json) -> Result<(), Problem> {
        match self.untagged(header)? {
            Header::Text(length) => {
                let text = self.text(length)?;
                json.key(&text)
            }
            Header::Positive(number) => json.key(&number.to_string()),
            Header::Negative(number) => json.key(&(-1 - i128::from(number)).to_string()),
            _ => Err(Problem::new("a map has a key that is neither a text nor a number")),
        }
    }

    /// What stands behind tags; they say how to understand a value, which is shown as it is written.
    fn untagged(&mut self, mut header: Header) -> Result<Header, Problem> {
        for _ in 0..TAGS_MAX {
            let Header::Tag(_) = header else { return Ok(header) };
            header = self.pull()?;
        }
        Err(Problem::new(format!("more than {TAGS_MAX} tags stand before one value")))
    }

    /// The next item of so many, or of those before the break.
    fn next(&mut self, length: Option<usize>, done: usize) -> Result<Option<Header>, Problem> {
        match length {
            Some(length) if done == length => Ok(None),
            Some(_) => self.pull().map(Some),
            None => Ok(Some(self.pull()?).filter(|header| *header != Header::Break)),
        }
    }

    fn text(&mut self, length: Option<usize>) -> Result<String, Problem> {
        let bytes = self.string(length, false)?;
        String::from_utf8(bytes.into_owned()).map_err(|_| Problem::new("a text is no UTF-8"))
    }

    /// The bytes of a string; of one without a length those of its pieces, which each have one.
    fn string(&mut self, length: Option<usize>, is_bytes: bool) -> Result<Cow<'a, [u8]>, Problem> {
        if let Some(length) = length {
            return self.bytes.take(length).map(Cow::Borrowed);
        }
        let mut string = Vec::new();
        loop {
            match self.pull()? {
                Header::Bytes(Some(length)) if is_bytes => string.extend_from_slice(self.bytes.take(length)?),
                Header::Text(Some(length)) if !is_bytes => string.extend_from_slice(self.bytes.take(length)?),
                Header::Break => return Ok(Cow::Owned(string)),
                _ => return Err(Problem::new("a string has a piece that is none")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &str) {
        let told = decode(bytes, 1 << 16).map_err(|problem| problem.to_string());
        assert_eq!(told.unwrap_or_else(|says| says), expected);
    }

    #[test]
    fn values_are_json() {
        // The examples of RFC 8949, appendix A.
        check(b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615");
        check(b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff", "-18446744073709551616");
        check(b"\xf9\x3e\x00", "1.5");
        check(b"\xf9\x7e\x00", r#""NaN""#);
        check(b"\x83\xf4\xf5\xf6", "[false,true,null]");
        check(
            b"\xc0\x74\x32\x30\x31\x33\x2d\x30\x33\x2d\x32\x31\x54\x32\x30\x3a\x30\x34\x3a\x30\x30\x5a",
            r#""2013-03-21T20:04:00Z""#,
        );
        check(b"\x44\x01\x02\x03\x04", r#""01020304""#);
        check(b"\x9f\x01\x82\x02\x03\x9f\x04\x05\xff\xff", "[1,[2,3],[4,5]]");
        check(b"\xbf\x63Fun\xf5\x63Amt\x21\xff", r#"{"Fun":true,"Amt":-2}"#);
        check(b"\x7f\x65strea\x64ming\xff", r#""streaming""#);
        check(b"\xa2\x01\x02\x20\x04", r#"{"1":2,"-1":4}"#);
        check(b"\xd9\xd9\xf7\xa1\x67eventId\x63e-1", r#"{"eventId":"e-1"}"#);
    }

    #[test]
    fn what_is_no_whole_value_says_why() {
        check(b"", "it ends in the middle of a value");
        check(b"\x63ab", "it ends where 3 bytes more are wanted");
        check(b"\x01\x01", "1 bytes are left over behind it");
        check(b"\xff", "it ends something that has not begun");
        check(b"\x1c", "it has a byte that is no CBOR");
        check(b"\xa1\xf6\x01", "a map has a key that is neither a text nor a number");
        check(&[0x81; 1_000], "its values are nested more than 100 deep");
        check(&[0xc1; 1_000], "more than 16 tags stand before one value");
        check(b"\x5f\x61a\xff", "a string has a piece that is none");
        check(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x01", "it ends in the middle of a value");
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic_nor_exceed_the_limits(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(text) = decode(&bytes, 256) {
                prop_assert!(text.len() <= 256);
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
            }
        }
    }
}
