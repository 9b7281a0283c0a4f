//! Bytes that are read from the front, for formats that say how long each thing is.

use super::Problem;

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    /// The bytes that were not read yet.
    pub rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// The next so many bytes. A length is believed only as far as there are bytes, so that none sets memory aside.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Problem> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| Problem::new(format!("it ends where {length} bytes more are wanted")))?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next bytes, of which the type says how many.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        Ok(self.take(N)?.try_into().expect("it was taken in this length"))
    }

    /// The next so many bytes as text.
    pub fn text(&mut self, length: usize) -> Result<&'a str, Problem> {
        std::str::from_utf8(self.take(length)?).map_err(|_| Problem::new("a text is no UTF-8"))
    }

    /// That nothing is left.
    pub fn end(&self) -> Result<(), Problem> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Problem::new(format!("{left} bytes are left over behind it"))),
        }
    }
}
