//! Trace and span ids, parsed once at the door.
//!
//! Not for event ids: those are whatever text their producer chose.

use std::fmt;
use std::str::FromStr;

/// A W3C trace id: 16 bytes, never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId([u8; 16]);

/// A W3C span id: 8 bytes, never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId([u8; 8]);

/// A text or byte string that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected {expected} hexadecimal digits, not all zero")]
pub struct InvalidId {
    /// How many hexadecimal digits were expected.
    pub expected: usize,
}

impl TraceId {
    /// From its 16 bytes; `None` where they are not 16 or all zero (the W3C and OTLP "no id").
    pub fn from_bytes(bytes: &[u8]) -> Option<TraceId> {
        let bytes: [u8; 16] = bytes.try_into().ok()?;
        (bytes != [0; 16]).then_some(TraceId(bytes))
    }

    /// From text as people and headers write it: 32 hex digits in either case, 16 (a 64-bit id, padded on the left),
    /// a UUID with dashes, or a whole `traceparent`.
    pub fn from_lenient(text: &str) -> Option<TraceId> {
        let text = text.trim();
        let parts: Vec<&str> = text.split('-').collect();
        if let [version, trace, span, flags, ..] = parts.as_slice()
            && version.len() == 2
            && trace.len() == 32
            && span.len() == 16
            && flags.len() == 2
        {
            return trace.parse().ok();
        }
        if text.len() == 36 && parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) {
            return parts.concat().parse().ok();
        }
        match text.len() {
            32 => text.parse().ok(),
            16 => format!("{text:0>32}").parse().ok(),
            _ => None,
        }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl SpanId {
    /// From its 8 bytes; `None` where they are not 8 or all zero.
    pub fn from_bytes(bytes: &[u8]) -> Option<SpanId> {
        let bytes: [u8; 8] = bytes.try_into().ok()?;
        (bytes != [0; 8]).then_some(SpanId(bytes))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl FromStr for TraceId {
    type Err = InvalidId;

    /// Exactly 32 hex digits, in either case.
    fn from_str(text: &str) -> Result<TraceId, InvalidId> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidId { expected: 32 })?;
        TraceId::from_bytes(&bytes).ok_or(InvalidId { expected: 32 })
    }
}

impl FromStr for SpanId {
    type Err = InvalidId;

    /// Exactly 16 hex digits, in either case.
    fn from_str(text: &str) -> Result<SpanId, InvalidId> {
        let mut bytes = [0; 8];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidId { expected: 16 })?;
        SpanId::from_bytes(&bytes).ok_or(InvalidId { expected: 16 })
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, &mut [0; 32], f)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, &mut [0; 16], f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes an id without room of its own: every entry that is kept passes here.
fn write_hex(id: &[u8], digits: &mut [u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    hex::encode_to_slice(id, digits).map_err(|_| fmt::Error)?;
    f.write_str(std::str::from_utf8(digits).map_err(|_| fmt::Error)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_is_understood_in_five_spellings() {
        let id: TraceId = "0af7651916cd43dd8448eb211c80319c".parse().unwrap();
        for spelling in [
            "0af7651916cd43dd8448eb211c80319c",
            "0AF7651916CD43DD8448EB211C80319C",
            "0af76519-16cd-43dd-8448-eb211c80319c",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "  0af7651916cd43dd8448eb211c80319c ",
        ] {
            assert_eq!(TraceId::from_lenient(spelling), Some(id), "{spelling}");
        }
        let short = TraceId::from_lenient("8448eb211c80319c").unwrap();
        assert_eq!(short.to_string(), "00000000000000008448eb211c80319c");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "0", "order-48213", &"0".repeat(32), "zz7651916cd43dd8448eb211c80319c0", "é"] {
            assert_eq!(TraceId::from_lenient(text), None, "{text}");
        }
        assert!("0000000000000000".parse::<SpanId>().is_err());
    }
}
