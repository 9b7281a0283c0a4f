//! Schemas in a registry, as records name them, and what was read with their help.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// A body and a key as people read them, where a schema, a compact format or a compression stands before that.
///
/// They are kept beside the record's own bytes: the registry may be gone when somebody looks, and the bytes can't be made of the text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Decoded {
    /// The body as JSON, or as text where that is what was packed; `None` where its own bytes are that already, or can't be decoded.
    pub body: Option<Bytes>,
    /// The key: a text as it is, everything else as JSON; `None` as for the body.
    pub key: Option<Bytes>,
    /// The schema that the body names, whether it could be had or not.
    pub body_schema: Option<Arc<Schema>>,
    /// The schema that the key names.
    pub key_schema: Option<Arc<Schema>>,
}

impl Decoded {
    /// As a record has it: most have none of this, and no room for it.
    pub fn boxed(self) -> Option<Box<Decoded>> {
        (self != Decoded::default()).then(|| Box::new(self))
    }
}

/// A schema in a registry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schema {
    /// What the record names it by.
    pub id: SchemaId,
    /// The subject or artifact that it stands under, where the registry told.
    pub subject: Option<String>,
    /// Which version of it.
    pub version: Option<String>,
    /// The name of what it describes, such as `shop.OrderPlaced`.
    pub name: Option<String>,
}

/// What a record names a schema by.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum SchemaId {
    /// Confluent's id, and Apicurio's content id written the same way: only the registry tells which.
    Number(u32),
    /// Confluent's GUID.
    Guid([u8; 16]),
    /// Apicurio's id in eight bytes, as its serializers wrote it before version 3.
    Legacy(i64),
    /// Apicurio's id of a content.
    ContentId(i64),
    /// Apicurio's id of one version of an artifact.
    GlobalId(i64),
    /// Apicurio's hash of a content.
    ContentHash(String),
    /// Apicurio's group, artifact and version, divided by `/`; the version may be empty.
    Artifact(String),
}

impl Schema {
    /// A schema of which nothing is known but its id.
    pub fn unknown(id: SchemaId) -> Schema {
        Schema { id, subject: None, version: None, name: None }
    }
}

impl SchemaId {
    /// Which id it is, as the JSON API names it.
    pub fn kind(&self) -> &'static str {
        match self {
            SchemaId::Number(_) => "id",
            SchemaId::Guid(_) => "guid",
            SchemaId::Legacy(_) => "legacyId",
            SchemaId::ContentId(_) => "contentId",
            SchemaId::GlobalId(_) => "globalId",
            SchemaId::ContentHash(_) => "contentHash",
            SchemaId::Artifact(_) => "artifact",
        }
    }

    /// The id of that kind, from the text that [`fmt::Display`] makes of it.
    pub fn read(kind: &str, text: &str) -> Option<SchemaId> {
        match kind {
            "id" => text.parse().ok().map(SchemaId::Number),
            "guid" => {
                let digits: String = text.chars().filter(|digit| *digit != '-').collect();
                hex::decode(digits).ok()?.try_into().ok().map(SchemaId::Guid)
            }
            "legacyId" => text.parse().ok().map(SchemaId::Legacy),
            "contentId" => text.parse().ok().map(SchemaId::ContentId),
            "globalId" => text.parse().ok().map(SchemaId::GlobalId),
            "contentHash" => Some(SchemaId::ContentHash(text.to_owned())),
            "artifact" => Some(SchemaId::Artifact(text.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for SchemaId {
    /// The id alone, without its kind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SchemaId::Number(id) => write!(f, "{id}"),
            SchemaId::Guid(bytes) => {
                let hex = hex::encode(bytes);
                write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
            }
            SchemaId::Legacy(id) | SchemaId::ContentId(id) | SchemaId::GlobalId(id) => write!(f, "{id}"),
            SchemaId::ContentHash(text) | SchemaId::Artifact(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Schema {
    /// In one line: `id 7, orders-value version 3, shop.OrderPlaced`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.id {
            SchemaId::Number(_) => "id",
            SchemaId::Guid(_) => "GUID",
            SchemaId::Legacy(_) => "id in 8 bytes",
            SchemaId::ContentId(_) => "content id",
            SchemaId::GlobalId(_) => "global id",
            SchemaId::ContentHash(_) => "content hash",
            SchemaId::Artifact(_) => "artifact",
        };
        write!(f, "{kind} {}", self.id)?;
        if let Some(subject) = &self.subject {
            write!(f, ", {subject}")?;
        }
        if let Some(version) = &self.version {
            write!(f, " version {version}")?;
        }
        if let Some(name) = &self.name {
            write!(f, ", {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_id_reads_back_from_its_text() {
        for id in [
            SchemaId::Number(u32::MAX),
            SchemaId::Guid([0x1f; 16]),
            SchemaId::Legacy(-1),
            SchemaId::ContentId(7),
            SchemaId::GlobalId(i64::MAX),
            SchemaId::ContentHash("abc".to_owned()),
            SchemaId::Artifact("default/orders-value/".to_owned()),
        ] {
            assert_eq!(SchemaId::read(id.kind(), &id.to_string()), Some(id));
        }
        assert_eq!(SchemaId::read("id", "-1"), None);
        assert_eq!(SchemaId::read("guid", "é"), None);
    }

    #[test]
    fn a_schema_is_told_in_one_line() {
        let unknown = Schema::unknown(SchemaId::Number(7));
        assert_eq!(unknown.to_string(), "id 7");
        let known = Schema {
            subject: Some("orders-value".to_owned()),
            version: Some("3".to_owned()),
            name: Some("shop.OrderPlaced".to_owned()),
            ..unknown
        };
        assert_eq!(known.to_string(), "id 7, orders-value version 3, shop.OrderPlaced");
    }
}
