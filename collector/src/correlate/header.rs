//! Header values, read in the encoding that their *name* tells.
//!
//! A Kafka header has no type tag, and the same logical number is written in four ways. Eight ASCII digits and an `i64` have the
//! same length, so nothing here ever guesses from the bytes.

use std::borrow::Cow;

use store::record::Header;

/// How a header's value is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// UTF-8 text; numbers in decimal digits.
    Text,
    /// Four bytes, big-endian; one byte in old versions (Spring).
    Int32,
    /// Eight bytes, big-endian (Spring, Apicurio, Datadog).
    Int64,
    /// One to eight bytes, big-endian, two's complement: Java's `BigInteger.toByteArray` (Spring's `retry_topic-*-timestamp`).
    BigInteger,
}

/// Which occurrence of a repeated header speaks of now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Take {
    /// The first.
    First,
    /// The last.
    Last,
}

/// The value of a header as text, without white space around it; `None` where it is null, empty or no UTF-8.
pub fn text(header: &Header) -> Option<&str> {
    let text = std::str::from_utf8(header.value.as_deref()?).ok()?.trim();
    (!text.is_empty()).then_some(text)
}

/// The value of a header as a number.
pub fn number(header: &Header, encoding: Encoding) -> Option<i64> {
    let bytes = header.value.as_deref()?;
    match encoding {
        Encoding::Text => text(header)?.parse().ok(),
        Encoding::Int32 => match *bytes {
            [byte] => Some(i64::from(byte)),
            [a, b, c, d] => Some(i64::from(i32::from_be_bytes([a, b, c, d]))),
            _ => None,
        },
        Encoding::Int64 => Some(i64::from_be_bytes(bytes.try_into().ok()?)),
        Encoding::BigInteger => {
            let sign = if bytes.first()? & 0x80 != 0 { 0xff } else { 0 };
            let mut whole = [sign; 8];
            whole[8_usize.checked_sub(bytes.len())?..].copy_from_slice(bytes);
            Some(i64::from_be_bytes(whole))
        }
    }
}

/// The longest header name that any table holds, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A header's name in lower case, to look it up in a table; `None` where it is longer than any name in one.
/// Names are compared without regard to case, because NATS, HTTP and proxies keep or change it as they like.
pub fn lowered<'a>(name: &str, room: &'a mut [u8; NAME_BYTES_MAX]) -> Option<&'a str> {
    let room = room.get_mut(..name.len())?;
    room.copy_from_slice(name.as_bytes());
    room.make_ascii_lowercase();
    std::str::from_utf8(room).ok()
}

/// Room for [`lowered`].
pub fn room() -> [u8; NAME_BYTES_MAX] {
    [0; NAME_BYTES_MAX]
}

/// Percent-encoded text as it is meant (CloudEvents on NATS and HTTP, Jaeger); what is no UTF-8 then is left encoded.
pub fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap_or(Cow::Borrowed(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &'static [u8], encoding: Encoding) -> Option<i64> {
        let value = Some(bytes::Bytes::from_static(bytes));
        number(&Header { name: "x".to_owned(), value }, encoding)
    }

    #[test]
    fn the_same_number_is_read_in_four_encodings() {
        assert_eq!(check(b"42", Encoding::Text), Some(42));
        assert_eq!(check(&[0, 0, 0, 42], Encoding::Int32), Some(42));
        assert_eq!(check(&[42], Encoding::Int32), Some(42), "old versions wrote one byte");
        assert_eq!(check(&[0, 0, 0, 0, 0, 0, 0, 42], Encoding::Int64), Some(42));
        assert_eq!(check(&[42], Encoding::BigInteger), Some(42));
        assert_eq!(check(&[0x01, 0x9a, 0xb0, 0x00, 0x00, 0x00], Encoding::BigInteger), Some(0x019a_b000_0000));
        assert_eq!(check(&[0xff], Encoding::BigInteger), Some(-1));
    }

    #[test]
    fn a_number_of_the_wrong_length_is_no_number() {
        assert_eq!(check(b"12345678", Encoding::Int32), None);
        assert_eq!(check(&[0, 0, 0, 42], Encoding::Int64), None);
        assert_eq!(check(b"", Encoding::BigInteger), None);
        assert_eq!(check(b"123456789", Encoding::BigInteger), None);
        assert_eq!(check(b"", Encoding::Int32), None);
        assert_eq!(check(b"four", Encoding::Text), None);
    }
}
