//! How a schema registry's serializers frame a body or a key: by a prefix, or by headers.
//!
//! | Layout | Who |
//! |---|---|
//! | `00`, schema id in 4 bytes, payload | Confluent's default; Apicurio 3's default, whose number is a content id |
//! | `00`, `00 00 00 00` and 4 more bytes of an id, payload | Apicurio before 3 |
//! | `01`, GUID in 16 bytes, payload | Confluent, by option |
//! | header `__value_schema_id`: `01`, the GUID, Protobuf's indexes; no prefix | Confluent, by option |
//! | headers `apicurio.value.globalId` or `.contentId`: 8 bytes; no prefix | Apicurio, by option |
//! | headers `apicurio.value.contentHash`, or `.groupId`, `.artifactId`, `.version`: text; no prefix | Apicurio, by option |
//!
//! A key has `__key_schema_id` and `apicurio.key.…`. Of headers that repeat, the last counts, as their own readers have it.
//!
//! Sources: schema-registry : schema/id/SchemaId.java, HeaderSchemaIdSerializer.java · apicurio-registry : Default4ByteIdHandler.java,
//! Legacy8ByteIdHandler.java, DefaultHeadersHandler.java, ProtobufSerdeHeaders.java. Confluent and Apicurio prefixes look the same:
//! which one it is, only the registry tells.

use store::record::{Header, SchemaId};

use super::protobuf;

/// Which part of a record is framed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The key.
    Key,
    /// The body.
    Body,
}

/// A framed body or key.
#[derive(PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// What it names its schema by.
    pub id: SchemaId,
    /// What is framed.
    pub payload: &'a [u8],
    /// Which of a Protobuf file's messages it is.
    pub message: Message<'a>,
}

/// Which of a Protobuf file's messages a payload is, as far as its frame tells.
#[derive(PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// A header has the indexes that lead to it.
    At(Vec<i32>),
    /// A header has its name.
    Named(&'a str),
    /// The payload begins with that, if at all.
    InPayload,
}

/// The frame, where there is one.
pub fn frame<'a>(part: Part, headers: &'a [Header], bytes: &'a [u8]) -> Option<Frame<'a>> {
    // Most records have none of these headers: one look at the first letters spares them the rest.
    if !headers.iter().any(|header| header.name.starts_with("__") || header.name.starts_with("apicurio.")) {
        return by_prefix(bytes);
    }
    by_header(part, headers, bytes).or_else(|| Some(Frame { message: named(part, headers), ..by_prefix(bytes)? }))
}

/// The last header of that name.
fn value<'a>(headers: &'a [Header], name: &str) -> Option<&'a [u8]> {
    headers.iter().rev().find(|header| header.name == name)?.value.as_deref()
}

/// The message that Apicurio's serializers name in a header.
fn named(part: Part, headers: &[Header]) -> Message<'_> {
    let header = match part {
        Part::Key => "apicurio.protobuf.type.key",
        Part::Body => "apicurio.protobuf.type",
    };
    let name = value(headers, header).and_then(|name| std::str::from_utf8(name).ok());
    name.map_or(Message::InPayload, Message::Named)
}

fn by_header<'a>(part: Part, headers: &'a [Header], payload: &'a [u8]) -> Option<Frame<'a>> {
    let (confluent, apicurio) = match part {
        Part::Key => ("__key_schema_id", "apicurio.key."),
        Part::Body => ("__value_schema_id", "apicurio.value."),
    };
    if let Some([1, rest @ ..]) = value(headers, confluent)
        && let Some((guid, indexes)) = rest.split_first_chunk()
    {
        let message = protobuf::indexes(indexes).map_or(Message::InPayload, |(indexes, _)| Message::At(indexes));
        return Some(Frame { id: SchemaId::Guid(*guid), payload, message });
    }
    let own = |name: &str| {
        let named = headers.iter().rev().find(|header| header.name.strip_prefix(apicurio) == Some(name))?;
        named.value.as_deref()
    };
    let long = |name: &str| Some(i64::from_be_bytes(own(name)?.try_into().ok()?));
    let text = |name: &str| std::str::from_utf8(own(name)?).ok();
    let artifact = || {
        let (group, version) = (text("groupId").unwrap_or("default"), text("version").unwrap_or_default());
        Some(format!("{group}/{}/{version}", text("artifactId")?))
    };
    let id = long("globalId")
        .map(SchemaId::GlobalId)
        .or_else(|| long("contentId").map(SchemaId::ContentId))
        .or_else(|| text("contentHash").map(|hash| SchemaId::ContentHash(hash.to_owned())))
        .or_else(|| artifact().map(SchemaId::Artifact))?;
    Some(Frame { id, payload, message: named(part, headers) })
}

fn by_prefix(bytes: &[u8]) -> Option<Frame<'_>> {
    let (id, payload) = match bytes {
        [0, 0, 0, 0, 0, a, b, c, d, payload @ ..] if !payload.is_empty() => {
            (SchemaId::Legacy(u32::from_be_bytes([*a, *b, *c, *d]).into()), payload)
        }
        [0, a, b, c, d, payload @ ..] if !payload.is_empty() && [*a, *b, *c, *d] != [0; 4] => {
            (SchemaId::Number(u32::from_be_bytes([*a, *b, *c, *d])), payload)
        }
        [1, rest @ ..] => {
            let (guid, payload) = rest.split_first_chunk().filter(|(_, payload)| !payload.is_empty())?;
            (SchemaId::Guid(*guid), payload)
        }
        _ => return None,
    };
    Some(Frame { id, payload, message: Message::InPayload })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(headers: &[(&str, &'static [u8])]) -> Vec<Header> {
        headers
            .iter()
            .map(|(name, value)| Header { name: (*name).to_owned(), value: Some(bytes::Bytes::from_static(value)) })
            .collect()
    }

    const GUID: &[u8] = b"\x01\0\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
    const NINE: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 9];

    #[test]
    fn a_prefix_names_the_schema() {
        let check = |bytes: &[u8]| by_prefix(bytes).map(|frame| (frame.id, frame.payload.to_vec()));
        assert_eq!(check(b"\0\0\0\0\x07{}"), Some((SchemaId::Number(7), b"{}".to_vec())));
        assert_eq!(check(b"\0\xff\xff\xff\xff{}"), Some((SchemaId::Number(u32::MAX), b"{}".to_vec())));
        assert_eq!(check(b"\0\0\0\0\0\0\0\0\x07{}"), Some((SchemaId::Legacy(7), b"{}".to_vec())));
        let (id, payload) = check(&[GUID, b"\x02a"].concat()).unwrap();
        assert_eq!((id.to_string().as_str(), &*payload), ("00112233-4455-6677-8899-aabbccddeeff", &b"\x02a"[..]));
    }

    #[test]
    fn a_header_names_the_schema_and_leaves_the_bytes_alone() {
        let confluent = headers(&[("__value_schema_id", b"\x01short"), ("__value_schema_id", GUID)]);
        let framed = frame(Part::Body, &confluent, b"{}").unwrap();
        assert_eq!(
            (framed.id.to_string().as_str(), framed.payload),
            ("00112233-4455-6677-8899-aabbccddeeff", &b"{}"[..])
        );
        assert_eq!(framed.message, Message::InPayload);
        assert_eq!(frame(Part::Key, &confluent, b"{}"), None);
        for (names, expected) in [
            (vec![("apicurio.value.globalId", NINE)], SchemaId::GlobalId(9)),
            (vec![("apicurio.value.contentId", NINE)], SchemaId::ContentId(9)),
            (vec![("apicurio.value.contentHash", b"abc")], SchemaId::ContentHash("abc".to_owned())),
            (
                vec![
                    ("apicurio.value.groupId", b"shop"),
                    ("apicurio.value.artifactId", b"orders-value"),
                    ("apicurio.value.version", b"3"),
                ],
                SchemaId::Artifact("shop/orders-value/3".to_owned()),
            ),
            (vec![("apicurio.value.artifactId", b"a")], SchemaId::Artifact("default/a/".to_owned())),
        ] {
            let named = headers(&names);
            assert_eq!(frame(Part::Body, &named, b"x").unwrap().id, expected);
        }
        let key = headers(&[("apicurio.key.globalId", NINE), ("apicurio.protobuf.type.key", b"Key")]);
        let framed = frame(Part::Key, &key, b"x").unwrap();
        assert_eq!((framed.id, framed.message), (SchemaId::GlobalId(9), Message::Named("Key")));
    }

    #[test]
    fn a_header_holds_protobufs_indexes_too() {
        const WITH_INDEXES: &[u8] = b"\x01\0\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x04\x02\x00";
        let named = headers(&[("__value_schema_id", WITH_INDEXES)]);
        assert_eq!(frame(Part::Body, &named, b"x").unwrap().message, Message::At(vec![1, 0]));
    }

    #[test]
    fn what_is_too_short_or_begins_otherwise_is_not_framed() {
        for body in [
            b"".as_slice(),
            b"\0",
            b"\0\0\0\0\x07",
            b"{\"a\":1}",
            b"\x02abcdef",
            b"\0\0\0\0\0\0\0\0\0",
            &GUID[..16],
            GUID,
        ] {
            assert_eq!(by_prefix(body), None, "{body:?}");
        }
        assert_eq!(frame(Part::Body, &headers(&[("__value_schema_id", b"\x01short")]), b"x"), None);
        assert_eq!(frame(Part::Body, &headers(&[("apicurio.value.globalId", b"1")]), b"x"), None);
    }
}
