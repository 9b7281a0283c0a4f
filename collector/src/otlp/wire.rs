//! Protobuf's wire format, read in place.
//!
//! Generated decoders allocate what a few bytes ask for: 64 MiB of empty messages become gigabytes of structs.
//! Here every element is paid for from a [`Budget`] before it is made, and spans go straight into the store's types.
//! (protocolbuffers/protocolbuffers.github.io : content/programming-guides/encoding.md)

use std::fmt;

use store::value::{Text, Texts};

/// What decoding one request may allocate, in bytes, whatever its own size: four times the largest request.
/// Real requests take about three bytes a byte; hostile ones (empty messages of two bytes) up to two hundred.
pub(super) const DECODED_BYTES_MAX: usize = 4 * super::REQUEST_BYTES_MAX;

/// How deep values may be nested. Each level costs stack here and wherever the value is shown; prost stops at 100.
pub(super) const VALUE_DEPTH_MAX: usize = 48;

/// Why a message could not be decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum DecodeError {
    /// It is not what it claims to be: what, and where.
    Malformed(String),
    /// Its contents need more memory than one request may.
    TooLarge,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Malformed(what) => f.write_str(what),
            DecodeError::TooLarge => {
                write!(f, "its contents need more than {} MiB of memory: send smaller batches", DECODED_BYTES_MAX >> 20)
            }
        }
    }
}

/// Memory that decoding may still take, and the texts that were paid for already.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
    texts: Texts,
}

impl Budget {
    pub(super) fn new() -> Budget {
        Budget { left: DECODED_BYTES_MAX, texts: Texts::default() }
    }

    /// Pays for something that takes this many bytes.
    pub(super) fn pay(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.left = self.left.checked_sub(bytes).ok_or(DecodeError::TooLarge)?;
        Ok(())
    }

    /// Pays for one `T`, apart from what it owns.
    pub(super) fn pay_for<T>(&mut self) -> Result<(), DecodeError> {
        self.pay(size_of::<T>())
    }

    /// The text of a field, of which one copy serves the whole request.
    pub(super) fn share(&mut self, field: Field<'_>) -> Result<Text, DecodeError> {
        let (text, is_new) = self.texts.share(&String::from_utf8_lossy(field.bytes()?));
        if is_new {
            self.pay(text.len())?;
        }
        Ok(text)
    }

    /// How much was spent, in bytes.
    pub(super) fn spent(&self) -> usize {
        DECODED_BYTES_MAX - self.left
    }
}

/// One field of a message.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// Reads the fields of one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    /// Which message this is, for errors.
    message: &'static str,
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'static str, bytes: &'a [u8]) -> Fields<'a> {
        Fields { rest: bytes, message }
    }

    /// The next field with its number; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Field<'a>)>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| (1..=0x1fff_ffff).contains(number));
        let number = number.ok_or_else(|| self.malformed("a field number out of range"))?;
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| self.malformed("an absurd length"))?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            kind => return Err(self.malformed(&format!("field {number} has wire type {kind}, which nothing here has"))),
        };
        Ok(Some((number, field)))
    }

    /// How many of the fields ahead have this number; skipping costs next to nothing.
    pub(super) fn count(self, wanted: u32) -> Result<usize, DecodeError> {
        let (mut ahead, mut count) = (self, 0);
        while let Some((number, _)) = ahead.next()? {
            count += usize::from(number == wanted);
        }
        Ok(count)
    }

    /// Base 128, least significant group first. Seven bytes of ten are one or two long.
    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(self.malformed(if self.rest.len() < 10 { "it breaks off within a number" } else { "a number is too long" }))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            let missing = length - self.rest.len();
            return Err(self.malformed(&format!("it breaks off, {missing} bytes are missing")));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        Ok(self.take(N)?.try_into().expect("as many bytes as asked for were taken"))
    }

    fn malformed(&self, what: &str) -> DecodeError {
        DecodeError::Malformed(format!("`{}` can't be read as protobuf: {what}", self.message))
    }
}

impl<'a> Field<'a> {
    /// The bytes of a string, a message or bytes.
    pub(super) fn bytes(self) -> Result<&'a [u8], DecodeError> {
        match self {
            Field::Bytes(bytes) => Ok(bytes),
            other => Err(other.mistyped("bytes")),
        }
    }

    /// Text. What is no UTF-8 is replaced, not refused: a broken character is no reason to lose a span.
    pub(super) fn text(self) -> Result<String, DecodeError> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    pub(super) fn varint(self) -> Result<u64, DecodeError> {
        match self {
            Field::Varint(value) => Ok(value),
            other => Err(other.mistyped("a number")),
        }
    }

    /// A `uint32` or an enum: as protobuf has it, only the lower 32 bits count.
    pub(super) fn unsigned(self) -> Result<u32, DecodeError> {
        Ok(u32::try_from(self.varint()? & 0xffff_ffff).expect("masked to 32 bits"))
    }

    pub(super) fn fixed64(self) -> Result<u64, DecodeError> {
        match self {
            Field::Fixed64(value) => Ok(value),
            other => Err(other.mistyped("8 bytes")),
        }
    }

    pub(super) fn fixed32(self) -> Result<u32, DecodeError> {
        match self {
            Field::Fixed32(value) => Ok(value),
            other => Err(other.mistyped("4 bytes")),
        }
    }

    fn mistyped(self, expected: &str) -> DecodeError {
        let found = match self {
            Field::Varint(_) => "a number",
            Field::Fixed64(_) => "8 bytes",
            Field::Fixed32(_) => "4 bytes",
            Field::Bytes(_) => "bytes",
        };
        DecodeError::Malformed(format!("a field that holds {expected} came as {found}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u32, Field<'_>)>, DecodeError> {
        let mut fields = Fields::new("test", bytes);
        let mut found = Vec::new();
        while let Some(field) = fields.next()? {
            found.push(field);
        }
        Ok(found)
    }

    #[test]
    fn all_wire_types_are_read() {
        let bytes = [0x08, 0x96, 0x01, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x1a, 2, b'h', b'i', 0x25, 7, 0, 0, 0];
        let expected =
            vec![(1, Field::Varint(150)), (2, Field::Fixed64(1)), (3, Field::Bytes(b"hi")), (4, Field::Fixed32(7))];
        assert_eq!(fields(&bytes), Ok(expected));
        assert_eq!(
            fields(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
            Ok(vec![(1, Field::Varint(u64::MAX))])
        );
    }

    #[test]
    fn what_breaks_off_or_makes_no_sense_is_told_and_never_read_past() {
        for bytes in [
            &[0x08][..],                                                               // no value
            &[0x08, 0x80],                                                             // half a number
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // too long a number
            &[0x1a, 5, b'h'],                                                          // text breaks off
            &[0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],       // length beyond all memory
            &[0x11, 1, 2],                                                             // 8 bytes break off
            &[0x0b],                                                                   // a group
            &[0x00],                                                                   // field number 0
        ] {
            assert!(matches!(fields(bytes), Err(DecodeError::Malformed(_))), "{bytes:?}");
        }
    }

    #[test]
    fn memory_is_paid_for_until_the_budget_is_spent() {
        let mut budget = Budget::new();
        assert_eq!(budget.pay(DECODED_BYTES_MAX), Ok(()));
        assert_eq!(budget.spent(), DECODED_BYTES_MAX);
        assert_eq!(budget.pay(1), Err(DecodeError::TooLarge));
    }
}
