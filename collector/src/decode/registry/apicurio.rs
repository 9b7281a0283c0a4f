//! Apicurio's own API in version 3 (apicurio-registry : common/src/main/resources/META-INF/openapi.json).

use std::collections::{HashSet, VecDeque};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use store::record::SchemaId;

use super::client::{Client, Failed};
use super::confluent::REFERENCES_MAX;
use crate::decode::contract::Document;

/// The group of artifacts that have none.
const GROUP_DEFAULT: &str = "default";

/// What stands in place of a version for the newest one.
const NEWEST: &str = "branch=latest";

#[derive(Deserialize)]
struct About {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    #[serde(default)]
    group_id: Option<String>,
    artifact_id: String,
    #[serde(default)]
    version: Option<String>,
    name: String,
}

#[derive(Deserialize)]
struct Search {
    versions: Vec<Version>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    artifact_id: String,
    artifact_type: String,
    version: String,
}

/// Whether this is such an API.
pub async fn probe(client: &Client, base: &str) -> Result<bool, Failed> {
    Ok(client.json::<About>(&format!("{base}/system/info")).await?.is_some_and(|about| !about.name.is_empty()))
}

/// The schema of one of Apicurio's ids.
pub async fn document(client: &Client, base: &str, id: &SchemaId) -> Result<Option<Document>, Failed> {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (content, references, search) = match id {
        SchemaId::ContentId(number) => (
            format!("ids/contentIds/{number}"),
            format!("ids/contentIds/{number}/references"),
            format!("contentId={number}"),
        ),
        SchemaId::GlobalId(number) => (
            format!("ids/globalIds/{number}"),
            format!("ids/globalIds/{number}/references"),
            format!("globalId={number}"),
        ),
        SchemaId::ContentHash(hash) => {
            let hash = encode(hash);
            (format!("ids/contentHashes/{hash}"), format!("ids/contentHashes/{hash}/references"), String::new())
        }
        SchemaId::Artifact(artifact) => {
            let mut parts = artifact.splitn(3, '/');
            let [group, name, version] = [(); 3].map(|()| parts.next().unwrap_or_default());
            let at = version_path(Some(group), name, Some(version));
            let search = format!("groupId={}&artifactId={}", encode(group), encode(name));
            (format!("{at}/content"), format!("{at}/references"), search)
        }
        SchemaId::Number(_) | SchemaId::Guid(_) | SchemaId::Legacy(_) => return Ok(None),
    };
    let content = format!("{base}/{content}");
    let (text, references, told) =
        tokio::join!(client.text(&content), referred(client, base, &references), versions(client, base, &search));
    let Some(text) = text? else { return Ok(None) };
    let kind = told.first().map(|version| version.artifact_type.clone()).unwrap_or_default();
    let is_meant = |version: &Version| match id {
        SchemaId::Artifact(artifact) => artifact.ends_with('/') || artifact.ends_with(&format!("/{}", version.version)),
        _ => true,
    };
    let subjects = told.into_iter().filter(is_meant).map(|version| (version.artifact_id, version.version)).collect();
    Ok(Some(Document { kind, text, references: references?, subjects }))
}

/// What the registry keeps a schema as. Nobody needs that to decode, so that it may fail.
async fn versions(client: &Client, base: &str, search: &str) -> Vec<Version> {
    if search.is_empty() {
        return Vec::new();
    }
    let told = client.json::<Search>(&format!("{base}/search/versions?limit=16&{search}")).await;
    told.ok().flatten().map(|search| search.versions).unwrap_or_default()
}

/// What a schema refers to, directly or not: name and text.
async fn referred(client: &Client, base: &str, path: &str) -> Result<Vec<(String, String)>, Failed> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let first = client.json::<Vec<Reference>>(&format!("{base}/{path}")).await?;
    let mut wanted: VecDeque<Reference> = first.unwrap_or_default().into();
    while let Some(reference) = wanted.pop_front() {
        if !seen.insert(reference.name.clone()) {
            continue;
        }
        if found.len() == REFERENCES_MAX {
            return Err(Failed::Unusable(format!("refers to more than {REFERENCES_MAX} others")));
        }
        let at = version_path(reference.group_id.as_deref(), &reference.artifact_id, reference.version.as_deref());
        let text = client.text(&format!("{base}/{at}/content")).await?.ok_or_else(|| {
            Failed::Unusable(format!("refers to `{}`, which the registry doesn't know", reference.artifact_id))
        })?;
        found.push((reference.name, text));
        let more = client.json::<Vec<Reference>>(&format!("{base}/{at}/references")).await?;
        wanted.extend(more.unwrap_or_default());
    }
    Ok(found)
}

fn version_path(group: Option<&str>, artifact: &str, version: Option<&str>) -> String {
    let [group, artifact] =
        [group.unwrap_or(GROUP_DEFAULT), artifact].map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC));
    let version = version.filter(|version| !version.is_empty());
    let version =
        version.map_or_else(|| NEWEST.to_owned(), |version| utf8_percent_encode(version, NON_ALPHANUMERIC).to_string());
    format!("groups/{group}/artifacts/{artifact}/versions/{version}")
}
