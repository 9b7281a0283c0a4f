//! The few fields of a JSON body that say what event it is, read in one pass without building a tree.
//!
//! Everything else is only checked to be JSON: a body of a kilobyte costs about a microsecond and hardly an allocation.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use foldhash::HashMap;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::correlate::event::table::BODY;

/// The fields that were found.
#[derive(Debug, Default)]
pub struct Fields<'a> {
    found: Vec<Found<'a>>,
}

/// One field that was found.
#[derive(Debug)]
pub struct Found<'a> {
    /// Its row in [`BODY`].
    pub row: usize,
    /// Whether it was one level down.
    pub inner: bool,
    /// Its value as text.
    pub value: Cow<'a, str>,
}

/// Where fields are looked for one level down: CloudEvents' `data`, MassTransit's `message`, and what people call their envelopes.
const INNER: [&str; 5] = ["data", "message", "metadata", "meta", "payload"];

static ROWS: LazyLock<HashMap<&str, Vec<usize>>> = LazyLock::new(|| {
    let mut rows: HashMap<&str, Vec<usize>> = HashMap::default();
    for (index, row) in BODY.iter().enumerate() {
        rows.entry(row.name).or_default().push(index);
    }
    rows
});

impl<'a> Fields<'a> {
    /// Reads a whole text as JSON.
    pub fn read(text: &'a str) -> Result<Fields<'a>, serde_json::Error> {
        let mut fields = Fields::default();
        let mut deserializer = serde_json::Deserializer::from_str(text);
        Level { fields: &mut fields, inner: false }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(fields)
    }

    /// The fields in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &Found<'a>> {
        self.found.iter()
    }

    /// Whether there is a field of that name at the top.
    pub fn has(&self, name: &str) -> bool {
        self.found.iter().any(|found| !found.inner && BODY[found.row].name == name)
    }
}

/// One object of a body.
struct Level<'f, 'a> {
    fields: &'f mut Fields<'a>,
    inner: bool,
}

impl<'a> DeserializeSeed<'a> for Level<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Level<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key<'a>>()? {
            let rows = ROWS.get(key.0.as_ref());
            if let Some(rows) = rows.filter(|rows| !self.inner || BODY[rows[0]].inner) {
                if let Some(value) = map.next_value::<Scalar<'a>>()?.0 {
                    for row in rows {
                        let found = Found { row: *row, inner: self.inner, value: value.clone() };
                        self.fields.found.push(found);
                    }
                }
            } else if !self.inner && INNER.contains(&key.0.as_ref()) {
                map.next_value_seed(Level { fields: self.fields, inner: true })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A key, borrowed where it holds no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'a> serde::Deserialize<'a> for Key<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Key<'a>, D::Error> {
        match Scalar::deserialize(deserializer)?.0 {
            Some(text) => Ok(Key(text)),
            None => Err(D::Error::custom("a key that is no text")),
        }
    }
}

/// Text, or a number as text, or the first of a list; nothing else says anything.
struct Scalar<'a>(Option<Cow<'a, str>>);

impl<'a> serde::Deserialize<'a> for Scalar<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Scalar<'a>, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'a> Visitor<'a> for ScalarVisitor {
    type Value = Scalar<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Scalar<'a>, E> {
        Ok(Scalar(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar<'a>, E> {
        Ok(Scalar(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar<'a>, E> {
        Ok(Scalar(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar<'a>, E> {
        Ok(Scalar(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar<'a>, E> {
        Ok(Scalar(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Scalar<'a>, E> {
        Ok(Scalar(None))
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar<'a>, E> {
        Ok(Scalar(None))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Scalar<'a>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar(None))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Scalar<'a>, A::Error> {
        let first = seq.next_element::<Scalar<'a>>()?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first.unwrap_or(Scalar(None)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Vec<(&'static str, String)> {
        let fields = Fields::read(text).unwrap();
        fields.iter().map(|found| (BODY[found.row].name, found.value.to_string())).collect()
    }

    #[test]
    fn known_fields_are_read_and_all_else_is_passed_over() {
        let text = r#"{"a":{"eventId":"no"},"eventId":"e-1","items":[{"eventId":"no"}],"version":2,"sagaId":null}"#;
        assert_eq!(check(text), [("eventId", "e-1".to_owned()), ("version", "2".to_owned())]);
    }

    #[test]
    fn envelopes_are_looked_into_one_level_deep() {
        let text = r#"{"data":{"eventId":"e-1","id":"no","data":{"eventType":"no"}},"message":"text"}"#;
        assert_eq!(check(text), [("eventId", "e-1".to_owned())]);
    }

    #[test]
    fn the_first_of_a_list_counts_and_escapes_are_resolved() {
        let text = "{\"messageType\":[\"urn:message:A:B\",7],\"event\\u0049d\":\"\\u00e9\"}";
        assert_eq!(check(text), [("messageType", "urn:message:A:B".to_owned()), ("eventId", "é".to_owned())]);
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        for wrong in ["{", "{\"a\":1,}", "[1,2", "{} x", "{\"eventId\":}", &"[".repeat(100_000)] {
            let error = Fields::read(wrong).unwrap_err();
            assert!(error.line() >= 1, "{error}");
        }
    }

    #[test]
    fn any_json_is_json() {
        for right in
            ["{}", "[]", "[{\"eventId\":1}]", "{\"eventId\":[[]]}", "{\"version\":1.5e300}", "{\"data\":[1,{}]}"]
        {
            assert!(Fields::read(right).is_ok(), "{right}");
        }
    }
}
