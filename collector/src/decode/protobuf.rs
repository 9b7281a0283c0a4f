//! Protobuf, to JSON in its canonical mapping (protobuf.dev : programming-guides/json), but with whole numbers of 64 bits as numbers,
//! so that a query can compare them.
//!
//! protox compiles the schema's text with what it imports, prost-reflect reads a message by it. prost stops at a hundred nested
//! messages; a value takes up to fifty times its bytes while it is read, so what is read has a limit of its own.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use prost_reflect::{DynamicMessage, FileDescriptor, MessageDescriptor, SerializeOptions};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::Problem;
use super::json::Limited;

/// The largest body that is decoded: twice what Kafka takes by default, and at most 100 MiB of values while it is read.
const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// What the schema itself is called while it is compiled; nothing that it imports can have this name.
const ROOT: &str = "schema of this body.proto";

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    file: FileDescriptor,
}

impl Schema {
    /// Compiles a schema: a `.proto` text, or a `FileDescriptorProto` in base64, which Confluent's Python client registers.
    /// `imports` are the others that it names.
    pub fn read(text: &str, imports: &[(String, String)]) -> Result<Schema, Problem> {
        let mut files = Sources { files: HashMap::new() };
        files.add(ROOT, text)?;
        for (name, text) in imports {
            files.add(name, text)?;
        }
        let mut resolver = ChainFileResolver::new();
        resolver.add(files);
        resolver.add(GoogleFileResolver::new());
        let mut compiler = protox::Compiler::with_file_resolver(resolver);
        compiler.open_file(ROOT).map_err(|error| wrong(&error))?;
        let pool = compiler.descriptor_pool();
        let file = pool.get_file_by_name(ROOT).ok_or_else(|| Problem::new("its Protobuf schema is empty"))?;
        Ok(Schema { file })
    }

    /// The message that a list of indexes leads to: the first is one of the file's, each further one is within that.
    ///
    /// Clients in Python and Go count the hidden messages that stand for the entries of maps, Java's may leave them out
    /// (schema-registry : ProtobufSchema.java, `toMessageIndexes`): where indexes lead to one of these, they were left out.
    pub fn at(&self, indexes: &[i32]) -> Option<MessageDescriptor> {
        let counted = self.counting(indexes, |_| true).filter(|message| !message.is_map_entry());
        counted.or_else(|| self.counting(indexes, |message| !message.is_map_entry()))
    }

    fn counting(&self, indexes: &[i32], counts: fn(&MessageDescriptor) -> bool) -> Option<MessageDescriptor> {
        let place = |index: &i32| usize::try_from(*index).ok();
        let (first, inner) = indexes.split_first()?;
        let first = self.file.messages().nth(place(first)?)?;
        inner.iter().try_fold(first, |message, index| message.child_messages().filter(counts).nth(place(index)?))
    }

    /// The message of that name: the full one, or that of one at the top.
    pub fn named(&self, name: &str) -> Option<MessageDescriptor> {
        let full = self.file.parent_pool().get_message_by_name(name);
        full.or_else(|| self.file.messages().find(|message| message.name() == name))
    }

    /// The first message of the file.
    pub fn first(&self) -> Option<MessageDescriptor> {
        self.file.messages().next()
    }
}

/// One message as JSON, all of the bytes.
pub fn decode(message: MessageDescriptor, bytes: &[u8], bytes_max: usize) -> Result<String, Problem> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Problem::new(format!("it has more than {MESSAGE_BYTES_MAX} bytes, too many to decode Protobuf")));
    }
    let message = DynamicMessage::decode(message, bytes)
        .map_err(|error| Problem::new(format!("it doesn't fit its schema: {error}")))?;
    let options = SerializeOptions::new().stringify_64_bit_integers(false);
    let mut json = serde_json::Serializer::new(Limited::new(bytes_max));
    message
        .serialize_with_options(&mut json, &options)
        .map_err(|error| Problem::new(format!("it can't be shown as JSON: {error}")))?;
    String::from_utf8(json.into_inner().bytes).map_err(|_| Problem::new("it can't be shown as JSON"))
}

/// Confluent's list of indexes before a message, and what follows: how many, then each, as zigzag varints; a lone 0 means `[0]`
/// (schema-registry : MessageIndexes.java).
pub fn indexes(bytes: &[u8]) -> Option<(Vec<i32>, &[u8])> {
    let (count, mut rest) = zigzag(bytes)?;
    if count == 0 {
        return Some((vec![0], rest));
    }
    let count = usize::try_from(count).ok().filter(|count| *count <= INDEXES_MAX)?;
    let mut indexes = Vec::with_capacity(count);
    for _ in 0..count {
        let (index, after) = zigzag(rest)?;
        indexes.push(index);
        rest = after;
    }
    Some((indexes, rest))
}

/// How deep messages are declared within each other; protoc allows no more than 32.
const INDEXES_MAX: usize = 32;

/// Apicurio's `Ref` before a message, and what follows: a message of its own behind its length, with a name as field 1
/// (apicurio-registry : serde/protobuf/ProtobufSerializer.java).
pub fn reference(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = varint(bytes)?;
    let (reference, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    let (length, name) = varint(reference.strip_prefix(b"\x0a")?)?;
    let name = (name.len() as u64 == length && !name.is_empty()).then_some(name)?;
    Some((std::str::from_utf8(name).ok()?, rest))
}

fn zigzag(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (value, rest) = varint(bytes)?;
    let value = u32::try_from(value).ok()?;
    Some(((value >> 1).cast_signed() ^ -(value & 1).cast_signed(), rest))
}

fn varint(mut bytes: &[u8]) -> Option<(u64, &[u8])> {
    let value = prost::encoding::decode_varint(&mut bytes).ok()?;
    Some((value, bytes))
}

/// The schema's own files by name.
struct Sources {
    files: HashMap<String, File>,
}

impl Sources {
    fn add(&mut self, name: &str, text: &str) -> Result<(), Problem> {
        let file = match STANDARD.decode(text.trim()) {
            Ok(bytes) => {
                let mut file = prost_types::FileDescriptorProto::decode(&*bytes)
                    .map_err(|error| Problem::new(format!("its Protobuf schema is no descriptor: {error}")))?;
                file.name = Some(name.to_owned());
                File::from_file_descriptor_proto(file)
            }
            Err(_) => File::from_source(name, text).map_err(|error| wrong(&error))?,
        };
        self.files.insert(name.to_owned(), file);
        Ok(())
    }
}

impl FileResolver for Sources {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        self.files.get(name).cloned().ok_or_else(|| protox::Error::file_not_found(name))
    }
}

fn wrong(error: &protox::Error) -> Problem {
    Problem::new(format!("its Protobuf schema can't be compiled: {error}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHOP: &str = r#"
        syntax = "proto3";
        package shop;
        import "google/protobuf/timestamp.proto";
        import "money.proto";
        message Placed {
          string event_id = 1;
          google.protobuf.Timestamp occurred_at = 2;
          money.Money total = 3;
          repeated Line lines = 4;
          map<string, int64> counts = 5;
          Kind kind = 6;
          bytes raw = 7;
          message Line { string sku = 1; }
          enum Kind { NONE = 0; WEB = 1; }
        }
        message Cancelled { Placed placed = 1; Cancelled of = 2; }
    "#;
    const MONEY: &str =
        r#"syntax = "proto3"; package money; message Money { double amount = 1; string currency = 2; }"#;

    fn shop() -> Schema {
        Schema::read(SHOP, &[("money.proto".to_owned(), MONEY.to_owned())]).unwrap()
    }

    #[test]
    fn a_message_with_imports_is_json_with_times_numbers_and_names() {
        // protoc --encode=shop.Placed < the same in text format
        let bytes = b"\x0a\x03e-1\x12\x06\x08\xf7\xaa\xa7\xc9\x06\x1a\x0e\x09\x33\x33\x33\x33\x33\xb3\x28\x40\x12\x03EUR\x22\x03\x0a\x01a\x22\x03\x0a\x01b\x2a\x05\x0a\x01n\x10\x07\x30\x01\x3a\x01\xff";
        let told = decode(shop().at(&[0]).unwrap(), bytes, 1 << 20).unwrap();
        assert_eq!(
            told,
            r#"{"eventId":"e-1","occurredAt":"2025-11-28T17:01:43Z","total":{"amount":12.35,"currency":"EUR"},"lines":[{"sku":"a"},{"sku":"b"}],"counts":{"n":7},"kind":"WEB","raw":"/w=="}"#
        );
    }

    #[test]
    fn messages_are_found_by_indexes_and_by_name() {
        let schema = shop();
        for indexes in [[0, 0], [0, 1]] {
            assert_eq!(
                schema.at(&indexes).unwrap().full_name(),
                "shop.Placed.Line",
                "with and without the map's entries"
            );
        }
        assert_eq!(schema.at(&[1]).unwrap().full_name(), "shop.Cancelled");
        for none in [&[][..], &[2], &[-1], &[0, 7], &[1, 0]] {
            assert!(schema.at(none).is_none(), "{none:?}");
        }
        assert_eq!(schema.named("Cancelled").unwrap().full_name(), "shop.Cancelled");
        assert_eq!(schema.named("shop.Placed.Line").unwrap().name(), "Line");
        assert!(schema.named("Line").is_none());
    }

    #[test]
    fn what_stands_before_a_message_is_told_apart() {
        assert_eq!(indexes(b"\x00rest"), Some((vec![0], &b"rest"[..])));
        assert_eq!(indexes(b"\x04\x02\x00rest"), Some((vec![1, 0], &b"rest"[..])));
        for none in [&b""[..], b"\x04\x02", b"\x7f", b"\x01"] {
            assert_eq!(indexes(none), None, "{none:?}");
        }
        assert_eq!(reference(b"\x08\x0a\x06Placedrest"), Some(("Placed", &b"rest"[..])));
        for none in [&b""[..], b"\x08\x0a\x07Placed!", b"\x00rest", b"\x02\x0a\x00", b"\x08\x12\x06Placed"] {
            assert_eq!(reference(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_schema_in_base64_is_a_descriptor() {
        let mut compiler = protox::Compiler::with_file_resolver({
            let mut files = Sources { files: HashMap::new() };
            files.add("money.proto", MONEY).unwrap();
            files
        });
        let set = compiler.open_file("money.proto").unwrap().file_descriptor_set();
        let text = STANDARD.encode(set.file[0].encode_to_vec());
        assert_eq!(Schema::read(&text, &[]).unwrap().first().unwrap().full_name(), "money.Money");
    }

    #[test]
    fn what_can_not_be_compiled_or_does_not_fit_says_why() {
        for (text, says) in [
            ("message {", "can't be compiled"),
            ("syntax = \"proto3\"; import \"gone.proto\";", "gone.proto"),
            ("AAAA", "no descriptor"),
        ] {
            let told = Schema::read(text, &[]).unwrap_err().to_string();
            assert!(told.contains(says), "{told}");
        }
        let placed = shop().at(&[0]).unwrap();
        let told = decode(placed.clone(), b"\x0a\xff", 1 << 20).unwrap_err().to_string();
        assert!(told.contains("doesn't fit"), "{told}");
        let told = decode(placed.clone(), b"\x0a\x03e-1", 10).unwrap_err().to_string();
        assert!(told.contains("10 bytes"), "{told}");
        let told = decode(placed, &vec![0; MESSAGE_BYTES_MAX + 1], 10).unwrap_err().to_string();
        assert!(told.contains("too many"), "{told}");
        // Nested in itself, deeper than any reader goes.
        let mut deep = Vec::new();
        for _ in 0..200 {
            let mut outer = vec![0x12];
            prost::encoding::encode_varint(deep.len() as u64, &mut outer);
            outer.extend(deep);
            deep = outer;
        }
        assert!(decode(shop().at(&[1]).unwrap(), &deep, 1 << 20).is_err());
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic_nor_exceed_the_limits(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (indexes(&bytes), reference(&bytes));
            for message in [&[0][..], &[1]] {
                if let Ok(text) = decode(shop().at(message).unwrap(), &bytes, 256) {
                    prop_assert!(text.len() <= 256);
                    prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
                }
            }
        }
    }
}
