//! MessagePack, to JSON (msgpack/msgpack : spec.md). It has no mark of its own: only a record that names it is read as this.

use rmp::Marker;

use super::Problem;
use super::cursor::Cursor;
use super::json::{Around, Json};

/// One value as JSON, all of the bytes.
pub fn decode(bytes: &[u8], bytes_max: usize) -> Result<String, Problem> {
    let mut json = Json::new(bytes_max);
    let mut reader = Reader { bytes: Cursor { rest: bytes } };
    reader.value(&mut json)?;
    reader.bytes.end()?;
    Ok(json.into_text())
}

struct Reader<'a> {
    bytes: Cursor<'a>,
}

/// The extension type of times.
const TIMESTAMP: i8 = -1;

impl<'a> Reader<'a> {
    fn value(&mut self, json: &mut Json) -> Result<(), Problem> {
        let marker = self.marker()?;
        match marker {
            Marker::Null => json.bare("null"),
            Marker::False => json.bare(false),
            Marker::True => json.bare(true),
            Marker::FixPos(number) => json.bare(number),
            Marker::FixNeg(number) => json.bare(number),
            Marker::U8 => json.bare(u8::from_be_bytes(self.bytes.array()?)),
            Marker::U16 => json.bare(u16::from_be_bytes(self.bytes.array()?)),
            Marker::U32 => json.bare(u32::from_be_bytes(self.bytes.array()?)),
            Marker::U64 => json.bare(u64::from_be_bytes(self.bytes.array()?)),
            Marker::I8 => json.bare(i8::from_be_bytes(self.bytes.array()?)),
            Marker::I16 => json.bare(i16::from_be_bytes(self.bytes.array()?)),
            Marker::I32 => json.bare(i32::from_be_bytes(self.bytes.array()?)),
            Marker::I64 => json.bare(i64::from_be_bytes(self.bytes.array()?)),
            Marker::F32 => json.single(f32::from_be_bytes(self.bytes.array()?)),
            Marker::F64 => json.float(f64::from_be_bytes(self.bytes.array()?)),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => json.string(self.text(marker)?),
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                let length = self.length(marker)?;
                json.bytes(self.bytes.take(length)?)
            }
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                json.begin(Around::List)?;
                for _ in 0..self.length(marker)? {
                    self.value(json)?;
                }
                json.end(Around::List)
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                json.begin(Around::Object)?;
                for _ in 0..self.length(marker)? {
                    self.key(json)?;
                    self.value(json)?;
                }
                json.end(Around::Object)
            }
            Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16
            | Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32 => self.extension(marker, json),
            Marker::Reserved => Err(Problem::new("it has a byte that MessagePack never uses")),
        }
    }

    /// A name: a text, or a whole number as integer maps have it.
    fn key(&mut self, json: &mut Json) -> Result<(), Problem> {
        let marker = self.marker()?;
        match marker {
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => json.key(self.text(marker)?),
            Marker::FixPos(number) => json.key(&number.to_string()),
            Marker::FixNeg(number) => json.key(&number.to_string()),
            Marker::U8 => json.key(&u8::from_be_bytes(self.bytes.array()?).to_string()),
            Marker::U16 => json.key(&u16::from_be_bytes(self.bytes.array()?).to_string()),
            Marker::U32 => json.key(&u32::from_be_bytes(self.bytes.array()?).to_string()),
            Marker::U64 => json.key(&u64::from_be_bytes(self.bytes.array()?).to_string()),
            _ => Err(Problem::new("a map has a key that is neither a text nor a number")),
        }
    }

    fn extension(&mut self, marker: Marker, json: &mut Json) -> Result<(), Problem> {
        let length = self.length(marker)?;
        let [kind] = self.bytes.array()?;
        let bytes = self.bytes.take(length)?;
        match timestamp(kind.cast_signed(), bytes) {
            Some(at) => json.string(&at.to_string()),
            None => json.bytes(bytes),
        }
    }

    fn text(&mut self, marker: Marker) -> Result<&'a str, Problem> {
        let length = self.length(marker)?;
        self.bytes.text(length)
    }

    /// How many bytes, items or pairs follow.
    fn length(&mut self, marker: Marker) -> Result<usize, Problem> {
        Ok(match marker {
            Marker::FixStr(length) | Marker::FixArray(length) | Marker::FixMap(length) => length.into(),
            Marker::FixExt1 => 1,
            Marker::FixExt2 => 2,
            Marker::FixExt4 => 4,
            Marker::FixExt8 => 8,
            Marker::FixExt16 => 16,
            Marker::Str8 | Marker::Bin8 | Marker::Ext8 => u8::from_be_bytes(self.bytes.array()?).into(),
            Marker::Str16 | Marker::Bin16 | Marker::Ext16 | Marker::Array16 | Marker::Map16 => {
                u16::from_be_bytes(self.bytes.array()?).into()
            }
            _ => u32::from_be_bytes(self.bytes.array()?) as usize,
        })
    }

    fn marker(&mut self) -> Result<Marker, Problem> {
        let [byte] = self.bytes.array()?;
        Ok(Marker::from_u8(byte))
    }
}

/// The time that an extension means: seconds, or nanoseconds and seconds in 30 and 34 bits, or both in full.
fn timestamp(kind: i8, bytes: &[u8]) -> Option<jiff::Timestamp> {
    let (seconds, nanos) = match *bytes {
        _ if kind != TIMESTAMP => return None,
        [a, b, c, d] => (i64::from(u32::from_be_bytes([a, b, c, d])), 0),
        [_, _, _, _, _, _, _, _] => {
            let both = u64::from_be_bytes(bytes.try_into().ok()?);
            ((both & ((1 << 34) - 1)).cast_signed(), (both >> 34) as u32)
        }
        [a, b, c, d, ref seconds @ ..] => {
            (i64::from_be_bytes(seconds.try_into().ok()?), u32::from_be_bytes([a, b, c, d]))
        }
        _ => return None,
    };
    jiff::Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok()
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
        // python: msgpack.packb({"eventId": "e-1", "n": [1, -1, 300, 1.5, None, True], "b": b"\xff", 7: {}})
        check(
            b"\x84\xa7eventId\xa3e-1\xa1n\x96\x01\xff\xcd\x01\x2c\xcb\x3f\xf8\0\0\0\0\0\0\xc0\xc3\xa1b\xc4\x01\xff\x07\x80",
            r#"{"eventId":"e-1","n":[1,-1,300,1.5,null,true],"b":"ff","7":{}}"#,
        );
        check(b"\xd6\xff\0\0\0\x01", r#""1970-01-01T00:00:01Z""#);
        check(b"\xd7\xff\0\0\0\x04\0\0\0\x01", r#""1970-01-01T00:00:01.000000001Z""#);
        check(b"\xd4\x05\xab", r#""ab""#);
    }

    #[test]
    fn what_is_no_whole_value_says_why() {
        check(b"", "it ends where 1 bytes more are wanted");
        check(b"\xa3ab", "it ends where 3 bytes more are wanted");
        check(b"\x01\x01", "1 bytes are left over behind it");
        check(b"\xc1", "it has a byte that MessagePack never uses");
        check(b"\x81\xc0\x01", "a map has a key that is neither a text nor a number");
        check(&[0x91; 1_000], "its values are nested more than 100 deep");
        check(b"\xdd\xff\xff\xff\xff\xc0", "it ends where 1 bytes more are wanted");
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
