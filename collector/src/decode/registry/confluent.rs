//! Confluent's API (schema-registry : RestService.java), which Apicurio and others have, too.

use std::collections::{HashSet, VecDeque};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use store::record::SchemaId;

use super::client::{Client, Failed};
use crate::decode::contract::Document;

/// How many other schemas one may refer to, directly or not.
pub const REFERENCES_MAX: usize = 64;

/// How many subjects of one schema are remembered: one that stands under more is shown under these.
const SUBJECTS_MAX: usize = 16;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    schema: String,
    /// Left out for Avro.
    #[serde(default)]
    schema_type: Option<String>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
    subject: String,
    version: i64,
}

#[derive(Deserialize)]
struct Subject {
    subject: String,
    version: i64,
}

#[derive(Deserialize)]
struct Id {
    id: u32,
}

/// Whether this is such an API.
pub async fn probe(client: &Client, base: &str) -> Result<bool, Failed> {
    Ok(client.json::<Vec<String>>(&format!("{base}/schemas/types")).await?.is_some())
}

/// The schema of an id.
pub async fn by_id(client: &Client, base: &str, id: u32) -> Result<Option<Document>, Failed> {
    let Some(told) = client.json::<Told>(&format!("{base}/schemas/ids/{id}")).await? else { return Ok(None) };
    let (kind, text, references) = (told.schema_type, told.schema, told.references);
    let (references, subjects) = tokio::join!(referred(client, base, references), subjects(client, base, id));
    Ok(Some(Document { kind: kind.unwrap_or_else(avro), text, references: references?, subjects }))
}

/// The schema of a GUID.
pub async fn by_guid(client: &Client, base: &str, guid: &SchemaId) -> Result<Option<Document>, Failed> {
    let Some(told) = client.json::<Told>(&format!("{base}/schemas/guids/{guid}")).await? else { return Ok(None) };
    let ids = client.json::<Vec<Id>>(&format!("{base}/schemas/guids/{guid}/ids")).await;
    let subjects = match ids.ok().flatten().as_deref() {
        Some([Id { id }, ..]) => subjects(client, base, *id).await,
        _ => Vec::new(),
    };
    let references = referred(client, base, told.references).await?;
    Ok(Some(Document { kind: told.schema_type.unwrap_or_else(avro), text: told.schema, references, subjects }))
}

/// Under which subjects a schema stands. Nobody needs that to decode, so that it may fail.
async fn subjects(client: &Client, base: &str, id: u32) -> Vec<(String, String)> {
    let told = client.json::<Vec<Subject>>(&format!("{base}/schemas/ids/{id}/versions")).await;
    let subjects = told.ok().flatten().unwrap_or_default().into_iter().take(SUBJECTS_MAX);
    subjects.map(|Subject { subject, version }| (subject, version.to_string())).collect()
}

/// What is meant where no kind is told.
fn avro() -> String {
    "AVRO".to_owned()
}

/// What a schema refers to, directly or not: name and text.
async fn referred(client: &Client, base: &str, first: Option<Vec<Reference>>) -> Result<Vec<(String, String)>, Failed> {
    let mut references = Vec::new();
    let mut seen = HashSet::new();
    let mut wanted: VecDeque<Reference> = first.unwrap_or_default().into();
    while let Some(Reference { name, subject, version }) = wanted.pop_front() {
        if !seen.insert(name.clone()) {
            continue;
        }
        if references.len() == REFERENCES_MAX {
            return Err(Failed::Unusable(format!("refers to more than {REFERENCES_MAX} others")));
        }
        let encoded = utf8_percent_encode(&subject, NON_ALPHANUMERIC);
        let told = client.json::<Told>(&format!("{base}/subjects/{encoded}/versions/{version}")).await?;
        let told = told.ok_or_else(|| {
            Failed::Unusable(format!("refers to version {version} of `{subject}`, which the registry doesn't know"))
        })?;
        references.push((name, told.schema));
        wanted.extend(told.references.unwrap_or_default());
    }
    Ok(references)
}
