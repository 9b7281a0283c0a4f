//! JSON that is written with limits: what every decoder writes into, so that none of them needs limits of its own.
//!
//! A few bytes can stand for very many values (a list of a thousand million nulls), and for very deep ones. Whatever is decoded
//! ends here: each value takes room for its letters, and a level of depth for each object or list around it.

use std::fmt::{Display, Write};
use std::io;

use super::Problem;

/// How deep decoded bodies may nest. JSON's readers give up at 128 levels (serde_json, and others near it).
pub const DEPTH_MAX: usize = 100;

/// JSON under construction.
#[derive(Debug)]
pub struct Json {
    text: String,
    bytes_max: usize,
    depth: usize,
    /// Whether a comma goes before what comes next.
    follows: bool,
}

/// What stands around values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Around {
    /// `{}`.
    Object,
    /// `[]`.
    List,
}

impl Json {
    /// Nothing yet; at most so many bytes.
    pub fn new(bytes_max: usize) -> Json {
        Json { text: String::new(), bytes_max, depth: 0, follows: false }
    }

    /// What was written.
    pub fn into_text(self) -> String {
        self.text
    }

    /// Begins an object or a list.
    pub fn begin(&mut self, around: Around) -> Result<(), Problem> {
        if self.depth == DEPTH_MAX {
            return Err(Problem::new(format!("its values are nested more than {DEPTH_MAX} deep")));
        }
        self.depth += 1;
        self.comma();
        self.follows = false;
        self.push(if around == Around::Object { "{" } else { "[" })
    }

    /// Ends what was begun last.
    pub fn end(&mut self, around: Around) -> Result<(), Problem> {
        self.depth -= 1;
        self.follows = true;
        self.push(if around == Around::Object { "}" } else { "]" })
    }

    /// The name of the value that comes next.
    pub fn key(&mut self, name: &str) -> Result<(), Problem> {
        self.comma();
        self.quoted(name)?;
        self.follows = false;
        self.push(":")
    }

    /// A text.
    pub fn string(&mut self, text: &str) -> Result<(), Problem> {
        self.comma();
        self.follows = true;
        self.quoted(text)
    }

    /// Bytes, as hexadecimal digits.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.comma();
        self.follows = true;
        self.fits(2 * bytes.len() + 2)?;
        self.push(&format!("\"{}\"", hex::encode(bytes)))
    }

    /// What is written without quotes: a number, `true`, `false`, `null`.
    pub fn bare(&mut self, value: impl Display) -> Result<(), Problem> {
        self.comma();
        self.follows = true;
        // Writing to a string doesn't fail.
        let _ = write!(self.text, "{value}");
        self.fits(0)
    }

    /// A floating-point number; those that JSON lacks as texts.
    pub fn float(&mut self, number: f64) -> Result<(), Problem> {
        if number.is_finite() { self.bare(format_args!("{number:?}")) } else { self.string(&number.to_string()) }
    }

    /// A number of single precision, with its own digits and not those of its double.
    pub fn single(&mut self, number: f32) -> Result<(), Problem> {
        if number.is_finite() { self.bare(format_args!("{number:?}")) } else { self.string(&number.to_string()) }
    }

    fn quoted(&mut self, text: &str) -> Result<(), Problem> {
        self.fits(text.len() + 2)?;
        let quoted = serde_json::to_string(text).expect("text can always be written as JSON");
        self.push(&quoted)
    }

    fn comma(&mut self) {
        if self.follows {
            self.text.push(',');
        }
    }

    fn push(&mut self, piece: &str) -> Result<(), Problem> {
        self.text.push_str(piece);
        self.fits(0)
    }

    fn fits(&self, more: usize) -> Result<(), Problem> {
        if self.text.len() + more <= self.bytes_max { Ok(()) } else { Err(Problem::too_large(self.bytes_max)) }
    }
}

/// Bytes that another serializer writes, up to a limit.
#[derive(Debug)]
pub struct Limited {
    /// What was written.
    pub bytes: Vec<u8>,
    bytes_max: usize,
}

impl Limited {
    /// Nothing yet; at most so many bytes.
    pub fn new(bytes_max: usize) -> Limited {
        Limited { bytes: Vec::new(), bytes_max }
    }
}

impl io::Write for Limited {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + piece.len() > self.bytes_max {
            return Err(io::Error::other(Problem::too_large(self.bytes_max)));
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_quotes_and_numbers_are_where_json_has_them() {
        let mut json = Json::new(200);
        json.begin(Around::Object).unwrap();
        json.key("a\"b").unwrap();
        json.begin(Around::List).unwrap();
        json.bare(1).unwrap();
        json.string("é\n").unwrap();
        json.begin(Around::List).unwrap();
        json.end(Around::List).unwrap();
        json.end(Around::List).unwrap();
        json.key("f").unwrap();
        json.float(1e300).unwrap();
        json.key("g").unwrap();
        json.single(0.1).unwrap();
        json.key("n").unwrap();
        json.float(f64::NAN).unwrap();
        json.key("b").unwrap();
        json.bytes(&[0, 255]).unwrap();
        json.end(Around::Object).unwrap();
        let text = json.into_text();
        assert_eq!(text, r#"{"a\"b":[1,"é\n",[]],"f":1e300,"g":0.1,"n":"NaN","b":"00ff"}"#);
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }

    #[test]
    fn room_and_depth_have_an_end() {
        let mut json = Json::new(10);
        assert!(json.string("123456789").unwrap_err().to_string().contains("10 bytes"));
        let mut json = Json::new(1_000);
        for _ in 0..DEPTH_MAX {
            json.begin(Around::List).unwrap();
        }
        assert!(json.begin(Around::List).unwrap_err().to_string().contains("deep"));
    }
}
