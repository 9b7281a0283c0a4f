//! `[registry]`: where schemas are had from.

use std::path::PathBuf;

use http::Uri;
use http::uri::Scheme;
use serde::Deserialize;
use store::record::SchemaId;

use super::client::{self, Client, Failed};
use super::{apicurio, confluent};
use crate::decode::contract::Document;
use crate::error::CollectorError;
use crate::source::secret;
use crate::tls;

/// The `[registry]` table.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it is: `https://registry:8081` for Confluent's; for Apicurio `http://registry:8080/apis/ccompat/v7`, or
    /// `.../apis/registry/v3`, where ids in four bytes are content ids. None by default: schemas' ids are shown, and no more.
    pub url: Option<String>,
    /// A user, with `password`.
    pub username: Option<String>,
    /// Its password, as `file:...` or `env:...`.
    pub password: Option<String>,
    /// A file with the certificates of the authorities that the registry's own is believed by, in place of this system's.
    pub ca: Option<PathBuf>,
}

/// How a registry is asked.
#[derive(Debug)]
pub struct Api {
    client: Client,
    /// The path of Confluent's API, where it is there.
    confluent: Option<String>,
    /// The path of Apicurio's own API, where it is there.
    apicurio: Option<String>,
}

/// Where Apicurio's APIs begin; there is one more path, and none of Confluent's has it.
const APICURIO: &str = "/apis/";
const APICURIO_OWN: &str = "/apis/registry/v3";
const APICURIO_CONFLUENT: &str = "/apis/ccompat/";

impl Config {
    /// Checks all keys without asking the registry, and that its secrets can be read.
    pub fn check(&self) -> Result<(), CollectorError> {
        self.connect().map(drop)
    }

    /// Reads the secrets and gets ready to ask; `None` where no registry is configured.
    pub(super) fn connect(&self) -> Result<Option<Api>, CollectorError> {
        let wrong = |says: String| CollectorError::Config(format!("[registry]: {says}"));
        let Some(url) = self.url.as_deref().map(str::trim).filter(|url| !url.is_empty()) else {
            let keys = [
                ("username", self.username.is_some()),
                ("password", self.password.is_some()),
                ("ca", self.ca.is_some()),
            ];
            return match keys.iter().find(|(_, is_there)| *is_there) {
                Some((key, _)) => Err(wrong(format!("`{key}` is of no use without a `url`"))),
                None => Ok(None),
            };
        };
        let uri = address(url).map_err(wrong)?;
        let authorization = match (&self.username, &self.password) {
            (None, None) => None,
            (Some(username), Some(password)) => {
                if !secret::is_elsewhere(password) {
                    return Err(wrong(
                        "`password` is a secret: write \"file:/path/to/it\" or \"env:NAME\", not the secret itself"
                            .to_owned(),
                    ));
                }
                let password = secret::reveal("password", password).map_err(wrong)?;
                Some(client::basic(username, &password).map_err(wrong)?)
            }
            (Some(_), None) => return Err(wrong("`username` needs a `password` beside it".to_owned())),
            (None, Some(_)) => return Err(wrong("`password` needs a `username` beside it".to_owned())),
        };
        let tls = tls::trust(uri.scheme() == Some(&Scheme::HTTPS), self.ca.as_deref()).map_err(wrong)?;
        let (scheme, host) = (uri.scheme_str().unwrap_or("http"), uri.authority().map_or("", |host| host.as_str()));
        let client = Client::new(format!("{scheme}://{host}"), authorization, tls);
        let path = uri.path().trim_end_matches('/').to_owned();
        let Some(at) = path.find(APICURIO) else {
            return Ok(Some(Api { client, confluent: Some(path), apicurio: None }));
        };
        let own = format!("{}{APICURIO_OWN}", &path[..at]);
        if path[at..].starts_with(APICURIO_CONFLUENT) {
            Ok(Some(Api { client, confluent: Some(path), apicurio: Some(own) }))
        } else if path == own {
            Ok(Some(Api { client, confluent: None, apicurio: Some(own) }))
        } else {
            Err(wrong(format!(
                "`url` names an API of Apicurio's that isn't known here: end it with {APICURIO_CONFLUENT}v7 or {APICURIO_OWN}"
            )))
        }
    }
}

/// The address that `url` holds.
fn address(url: &str) -> Result<Uri, String> {
    let example = "write it as `http://registry:8081`";
    // Before anything else, and without showing it: it may hold a password.
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    if host.split(['/', '?', '#']).next().is_some_and(|host| host.contains('@')) {
        return Err("`url` holds a user: write that as `username` and `password`".to_owned());
    }
    let uri: Uri = url.parse().map_err(|error| format!("`url` is no address ({error}): {example}"))?;
    if uri.scheme().is_none_or(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return Err(format!("`url` must begin with http:// or https://: {example}"));
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(format!("`url` names no host: {example}"));
    }
    if uri.query().is_some() {
        return Err(format!("`url` has a `?`, which no registry's address has: {example}"));
    }
    Ok(uri)
}

impl Api {
    /// Where it is, for people to read.
    pub fn address(&self) -> String {
        let path = self.confluent.as_ref().or(self.apicurio.as_ref());
        format!("{}{}", self.client.origin(), path.map_or("", String::as_str))
    }

    /// Whether it answers, and lets us in.
    pub async fn probe(&self) -> Result<(), Failed> {
        let is_there = match (&self.confluent, &self.apicurio) {
            (Some(base), _) => confluent::probe(&self.client, base).await?,
            (None, Some(base)) => apicurio::probe(&self.client, base).await?,
            (None, None) => false,
        };
        if is_there {
            return Ok(());
        }
        let says = "answers, but not as a schema registry: is the path of `url` in [registry] right? Apicurio's is /apis/ccompat/v7";
        Err(self.client.down(says.to_owned()))
    }

    /// A schema with all that it refers to.
    pub async fn document(&self, id: &SchemaId) -> Result<Document, Failed> {
        let unknown = || Failed::Unknown(format!("isn't known to the registry at {}", self.address()));
        let found = match (id, &self.confluent, &self.apicurio) {
            (SchemaId::Number(number), Some(base), _) => confluent::by_id(&self.client, base, *number).await?,
            (SchemaId::Number(number), None, Some(base)) => {
                apicurio::document(&self.client, base, &SchemaId::ContentId((*number).into())).await?
            }
            (SchemaId::Guid(_), Some(base), _) => confluent::by_guid(&self.client, base, id).await?,
            (SchemaId::Guid(_), None, _) => None,
            (SchemaId::Legacy(number), _, Some(base)) => {
                // Before version 3 the number was a global id unless configured otherwise.
                match apicurio::document(&self.client, base, &SchemaId::GlobalId(*number)).await? {
                    Some(document) => Some(document),
                    None => apicurio::document(&self.client, base, &SchemaId::ContentId(*number)).await?,
                }
            }
            (_, _, Some(base)) => apicurio::document(&self.client, base, id).await?,
            (_, _, None) => {
                return Err(Failed::Unknown(
                    "is one of Apicurio's: give [registry] a `url` that ends in /apis/ccompat/v7 or /apis/registry/v3"
                        .to_owned(),
                ));
            }
        };
        found.ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Option<String>, String> {
        let config: Config = serde_json::from_str(json).unwrap();
        config.connect().map(|api| api.map(|api| api.address())).map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_of_either_registry_is_understood() {
        assert_eq!(check("{}"), Ok(None));
        assert_eq!(check(r#"{"url":""}"#), Ok(None));
        for url in [
            "http://registry:8081",
            "https://registry.example.org/prefix",
            "http://r:8080/apis/ccompat/v7",
            "http://r/x/apis/registry/v3",
        ] {
            assert_eq!(check(&format!(r#"{{"url":"{url}/"}}"#)), Ok(Some(url.to_owned())));
        }
    }

    #[test]
    fn what_can_not_be_right_is_told_without_showing_secrets() {
        for (json, says) in [
            (r#"{"url":"registry:8081"}"#, "http://"),
            (r#"{"url":"ftp://registry"}"#, "http://"),
            (r#"{"url":"http://"}"#, "`url`"),
            (r#"{"url":"http://me:hunter2@registry"}"#, "`username` and `password`"),
            (r#"{"url":"me:hunter2@registry"}"#, "`username` and `password`"),
            (r#"{"url":"http://registry?a=b"}"#, "`?`"),
            (r#"{"url":"http://registry/apis/registry/v2"}"#, "/apis/registry/v3"),
            (r#"{"url":"http://registry","username":"me"}"#, "`password`"),
            (r#"{"url":"http://registry","password":"env:PATH"}"#, "`username`"),
            (r#"{"url":"http://registry","username":"me","password":"hunter2"}"#, "file:"),
            (r#"{"url":"http://registry","username":"me","password":"env:SILLAGE_NOT_SET"}"#, "isn't set"),
            (r#"{"url":"http://registry","ca":"/nowhere/at/all"}"#, "/nowhere/at/all"),
            (r#"{"username":"me"}"#, "`url`"),
        ] {
            let refusal = check(json).unwrap_err();
            assert!(refusal.contains(says) && !refusal.contains("hunter2"), "{json}: {refusal}");
        }
    }

    #[test]
    fn credentials_are_in_no_debug_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "hunter2\n").unwrap();
        let password = Some(format!("file:{}", path.display()));
        let config = Config { url: Some("http://r".to_owned()), username: Some("me".to_owned()), password, ca: None };
        let api = config.connect().unwrap();
        assert!(!format!("{config:?} {api:?}").contains("hunter2"));
    }
}
