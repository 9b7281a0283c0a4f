//! The tree as serde reads it, and what serde says of it in words for people.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

use super::file;
use super::read::{Kind, Wrong};
use super::tree::{Member, Node, Place, Step, Value};

impl<'de> Deserializer<'de> for &Node {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.value {
            Value::Text(text) | Value::Date(text) => visitor.visit_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(truth) => visitor.visit_bool(*truth),
            Value::List(nodes) => visitor.visit_seq(Items { nodes: nodes.iter().enumerate() }),
            Value::Table(members) => visitor.visit_map(Members { members: members.iter(), value: None }),
            Value::Raw(text) => match as_list_or_table(text, &self.place) {
                Some(node) => node.deserialize_any(visitor),
                None => match text.as_str() {
                    "true" => visitor.visit_bool(true),
                    "false" => visitor.visit_bool(false),
                    text => visitor.visit_str(text),
                },
            },
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.value {
            Value::Raw(text) if text == "1" => visitor.visit_bool(true),
            Value::Raw(text) if text == "0" => visitor.visit_bool(false),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.value {
            Value::Raw(text) => match text.trim().parse() {
                Ok(number) => visitor.visit_i64(number),
                Err(_) => self.deserialize_any(visitor),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.value {
            Value::Raw(text) => match text.trim().parse() {
                Ok(number) => visitor.visit_f64(number),
                Err(_) => self.deserialize_any(visitor),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.value {
            Value::Raw(text) => visitor.visit_str(text),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let Value::Raw(text) = &self.value else { return self.deserialize_any(visitor) };
        if let Some(node) = as_list_or_table(text, &self.place) {
            return node.deserialize_any(visitor);
        }
        // `a, b` is how variables write lists everywhere else.
        let nodes: Vec<Node> = text
            .split(',')
            .map(|part| Node { place: self.place.clone(), value: Value::Raw(part.trim().to_owned()) })
            .collect();
        visitor.visit_seq(Items { nodes: nodes.iter().enumerate() })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match &self.value {
            Value::Text(text) | Value::Raw(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            Value::Table(members) => visitor
                .visit_enum(de::value::MapAccessDeserializer::new(Members { members: members.iter(), value: None })),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    serde::forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

/// A variable's text as a list or table, where it is written as TOML writes one.
fn as_list_or_table(text: &str, place: &Place) -> Option<Node> {
    let value = text.trim().starts_with(['[', '{']).then(|| file::parse_value(text.trim(), place))??;
    Some(Node { place: place.clone(), value })
}

struct Items<'n> {
    nodes: std::iter::Enumerate<std::slice::Iter<'n, Node>>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Wrong;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        let Some((index, node)) = self.nodes.next() else { return Ok(None) };
        seed.deserialize(node).map(Some).map_err(|wrong| wrong.under(Step::Index(index), &node.place))
    }
}

struct Members<'n> {
    members: std::slice::Iter<'n, Member>,
    value: Option<&'n Member>,
}

impl<'de> de::MapAccess<'de> for Members<'_> {
    type Error = Wrong;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        let Some(member) = self.members.next() else { return Ok(None) };
        self.value = Some(member);
        let name: de::value::StrDeserializer<'_, Wrong> = member.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|wrong| wrong.under(Step::Key(member.name.clone()), &member.place))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Wrong> {
        let member = self.value.take().expect("serde asks for a value only after its key");
        seed.deserialize(&member.node).map_err(|wrong| wrong.under(Step::Key(member.name.clone()), &member.node.place))
    }
}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Wrong {
        Wrong::new(Kind::Other(message.to_string()))
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Wrong {
        Wrong::new(Kind::Type(format!("{} is needed, this is {}", plain(&expected.to_string()), named(&found))))
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Wrong {
        Wrong::new(Kind::Other(format!("{} is needed, this is {}", plain(&expected.to_string()), named(&found))))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Wrong {
        Wrong::new(Kind::Unknown(field.to_owned(), expected.to_vec()))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Wrong {
        Wrong::new(Kind::Variant(variant.to_owned(), expected.to_vec()))
    }

    fn missing_field(field: &'static str) -> Wrong {
        Wrong::new(Kind::Missing(field))
    }
}

/// What serde calls a type, in words for people.
fn plain(expected: &str) -> String {
    match expected {
        "a string" | "path string" => "a text in quotes".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list, such as [\"a\", \"b\"],".to_owned(),
        "a map" => "a table, such as { a = \"b\" },".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative,".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        other if other.starts_with("struct ") || other.contains("tagged enum") => "a table of keys".to_owned(),
        other => other.to_owned(),
    }
}

/// What was found, in words for people; never the text itself, which the line shows unless it may be a secret.
fn named(found: &de::Unexpected<'_>) -> String {
    match found {
        de::Unexpected::Bool(truth) => truth.to_string(),
        de::Unexpected::Unsigned(number) => format!("the number {number}"),
        de::Unexpected::Signed(number) => format!("the number {number}"),
        de::Unexpected::Float(number) => format!("the number {number}"),
        de::Unexpected::Str(_) => "a text".to_owned(),
        de::Unexpected::Seq => "a list".to_owned(),
        de::Unexpected::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}
