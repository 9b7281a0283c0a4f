//! How a schema registry's serializers frame a body: by a prefix, or by headers.
//!
//! | Layout | Who |
//! |---|---|
//! | `00`, schema id in 4 bytes, payload | Confluent's default; Apicurio 3's default, whose number is a content id |
//! | `00`, `00 00 00 00` and 4 more bytes of an id, payload | Apicurio before 3 |
//! | `01`, GUID in 16 bytes, payload | Confluent, by option |
//! | header `__value_schema_id`: `01` and the GUID; no prefix | Confluent, by option |
//! | headers `apicurio.value.globalId` or `.contentId`: 8 bytes; no prefix | Apicurio, by option |
//!
//! Sources: schema-registry : schema/id/SchemaId.java, HeaderSchemaIdSerializer.java · apicurio-registry : Default4ByteIdHandler.java,
//! Legacy8ByteIdHandler.java, KafkaSerdeHeaders.java. Confluent and Apicurio prefixes look the same: which one it is, only the registry tells.

use store::record::Header;

/// A framed body.
#[derive(PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// How, in words, with the schema's id.
    pub says: String,
    /// What is framed.
    pub payload: &'a [u8],
}

/// The frame of a body, where it has one.
pub fn frame<'a>(headers: &[Header], body: &'a [u8]) -> Option<Frame<'a>> {
    by_header(headers).map(|says| Frame { says, payload: body }).or_else(|| by_prefix(body))
}

fn by_header(headers: &[Header]) -> Option<String> {
    headers.iter().find_map(|header| {
        let value = header.value.as_deref()?;
        match header.name.as_str() {
            "__value_schema_id" => match value {
                [1, guid @ ..] if guid.len() >= 16 => {
                    Some(format!("Confluent framed by header, schema {}", uuid(guid)))
                }
                _ => None,
            },
            "apicurio.value.globalId" => Some(format!("Apicurio framed by header, global id {}", long(value)?)),
            "apicurio.value.contentId" => Some(format!("Apicurio framed by header, content id {}", long(value)?)),
            _ => None,
        }
    })
}

fn by_prefix(body: &[u8]) -> Option<Frame<'_>> {
    match body {
        [0, 0, 0, 0, 0, a, b, c, d, payload @ ..] if !payload.is_empty() => {
            let id = u32::from_be_bytes([*a, *b, *c, *d]);
            Some(Frame { says: format!("Apicurio framed in 8 bytes, schema id {id}"), payload })
        }
        [0, a, b, c, d, payload @ ..] if !payload.is_empty() && [*a, *b, *c, *d] != [0; 4] => {
            let id = u32::from_be_bytes([*a, *b, *c, *d]);
            Some(Frame { says: format!("Confluent framed, schema id {id}"), payload })
        }
        _ => None,
    }
}

fn long(value: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(value.try_into().ok()?))
}

fn uuid(bytes: &[u8]) -> String {
    let hex = hex::encode(&bytes[..16]);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &'static [u8])], body: &'static [u8]) -> Option<(String, &'static [u8])> {
        let headers: Vec<Header> = headers
            .iter()
            .map(|(name, value)| Header { name: (*name).to_owned(), value: Some(bytes::Bytes::from_static(value)) })
            .collect();
        frame(&headers, body).map(|frame| (frame.says, frame.payload))
    }

    #[test]
    fn a_prefix_names_the_schema() {
        assert_eq!(check(&[], b"\0\0\0\0\x07{}"), Some(("Confluent framed, schema id 7".into(), b"{}".as_slice())));
        assert_eq!(
            check(&[], b"\0\0\0\0\0\0\0\0\x07{}"),
            Some(("Apicurio framed in 8 bytes, schema id 7".into(), b"{}".as_slice()))
        );
    }

    #[test]
    fn a_header_names_the_schema_and_leaves_the_body_alone() {
        let guid = b"\x01\0\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
        let (says, payload) = check(&[("__value_schema_id", guid)], b"{}").unwrap();
        assert_eq!(
            (says.as_str(), payload),
            ("Confluent framed by header, schema 00112233-4455-6677-8899-aabbccddeeff", b"{}".as_slice())
        );
        let (says, _) = check(&[("apicurio.value.globalId", &[0, 0, 0, 0, 0, 0, 0, 9])], b"{}").unwrap();
        assert_eq!(says, "Apicurio framed by header, global id 9");
    }

    #[test]
    fn what_is_too_short_or_begins_otherwise_is_not_framed() {
        for body in [b"".as_slice(), b"\0", b"\0\0\0\0\x07", b"{\"a\":1}", b"\x02abcdef", b"\0\0\0\0\0\0\0\0\0"] {
            assert_eq!(by_prefix(body), None, "{body:?}");
        }
        assert_eq!(check(&[("__value_schema_id", b"\x01short")], b"x"), None);
    }
}
