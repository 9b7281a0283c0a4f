//! A schema in a registry as the API shows it.

use serde::Serialize;
use store::record::Schema;

/// A schema in a registry, as the record names it, and what the registry told of it.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct SchemaView<'a> {
    id: String,
    id_kind: &'static str,
    subject: Option<&'a str>,
    version: Option<&'a str>,
    name: Option<&'a str>,
}

impl<'a> From<&'a Schema> for SchemaView<'a> {
    fn from(schema: &'a Schema) -> SchemaView<'a> {
        SchemaView {
            id: schema.id.to_string(),
            id_kind: schema.id.kind(),
            subject: schema.subject.as_deref(),
            version: schema.version.as_deref(),
            name: schema.name.as_deref(),
        }
    }
}
