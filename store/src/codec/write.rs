//! Writes protobuf messages straight from borrowed values, without building owned structs first.
//!
//! Encoding happens once for the log and once for a segment, for every entry: copies would cost more than the rest of it.
//! The wire format is protobuf's own (protobuf : encoding.md), so that prost reads it.

/// A protobuf message that is being written.
#[derive(Debug, Default)]
pub struct Message {
    bytes: Vec<u8>,
}

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;

impl Message {
    /// An empty message in a buffer that was used before.
    pub fn reusing(mut buffer: Vec<u8>) -> Message {
        buffer.clear();
        Message { bytes: buffer }
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// How many bytes were written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn key(&mut self, tag: u64, kind: u64) {
        self.varint(tag << 3 | kind);
    }

    /// A number that is left out where it is 0.
    pub fn number(&mut self, tag: u64, value: u64) {
        if value != 0 {
            self.number_present(tag, value);
        }
    }

    /// A number that is written even where it is 0: its presence counts.
    pub fn number_present(&mut self, tag: u64, value: u64) {
        self.key(tag, VARINT);
        self.varint(value);
    }

    /// A signed number in zigzag form, written even where it is 0.
    pub fn signed(&mut self, tag: u64, value: i64) {
        self.number_present(tag, ((value << 1) ^ (value >> 63)) as u64);
    }

    /// Eight bytes: times, hashes and floating-point numbers, which gain nothing from varints.
    pub fn fixed(&mut self, tag: u64, value: [u8; 8]) {
        self.key(tag, FIXED64);
        self.bytes.extend_from_slice(&value);
    }

    /// Bytes, written even where there are none.
    pub fn bytes(&mut self, tag: u64, value: &[u8]) {
        self.key(tag, LENGTH);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// Text that is left out where it is empty.
    pub fn text(&mut self, tag: u64, value: &str) {
        if !value.is_empty() {
            self.bytes(tag, value.as_bytes());
        }
    }

    /// Text that may be absent, which is another thing than empty.
    pub fn maybe_text(&mut self, tag: u64, value: Option<&str>) {
        if let Some(value) = value {
            self.bytes(tag, value.as_bytes());
        }
    }

    /// A message within this one. One byte is kept for its length; longer ones, which are few, are moved to make room.
    pub fn nested(&mut self, tag: u64, write: impl FnOnce(&mut Message)) {
        self.key(tag, LENGTH);
        self.bytes.push(0);
        let begin = self.bytes.len();
        write(self);
        let mut length = self.bytes.len() - begin;
        if length < 0x80 {
            self.bytes[begin - 1] = length as u8;
            return;
        }
        let mut varint = [0; 10];
        let mut used = 0;
        while length >= 0x80 {
            varint[used] = length as u8 | 0x80;
            used += 1;
            length >>= 7;
        }
        varint[used] = length as u8;
        let end = self.bytes.len();
        self.bytes.resize(end + used, 0);
        self.bytes.copy_within(begin..end, begin + used);
        self.bytes[begin - 1..begin + used].copy_from_slice(&varint[..=used]);
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::Message;

    #[derive(Clone, PartialEq, prost::Message)]
    struct Inner {
        #[prost(string, tag = "1")]
        text: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Outer {
        #[prost(uint64, tag = "1")]
        number: u64,
        #[prost(sint64, optional, tag = "2")]
        signed: Option<i64>,
        #[prost(message, repeated, tag = "17")]
        inner: Vec<Inner>,
        #[prost(sfixed64, tag = "18")]
        fixed: i64,
        #[prost(bytes = "bytes", optional, tag = "19")]
        bytes: Option<bytes::Bytes>,
    }

    #[test]
    fn prost_reads_what_was_written() {
        for (number, signed, length) in
            [(0, 0, 0), (1, -1, 1), (u64::MAX, i64::MIN, 127), (300, i64::MAX, 128), (7, 7, 70_000)]
        {
            let text = "x".repeat(length);
            let mut message = Message::default();
            message.number(1, number);
            message.signed(2, signed);
            message.nested(17, |inner| inner.text(1, &text));
            message.nested(17, |_| {});
            message.fixed(18, signed.to_le_bytes());
            message.bytes(19, b"");
            let read = Outer::decode(message.into_bytes().as_slice()).unwrap();
            let inner = vec![Inner { text }, Inner::default()];
            assert_eq!(
                read,
                Outer { number, signed: Some(signed), inner, fixed: signed, bytes: Some(bytes::Bytes::new()) }
            );
        }
    }
}
