//! A webhook that is ready to be called: its configuration, read and checked, with its secrets revealed.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::Uri;
use http::header::{self, HeaderName, HeaderValue};
use http::uri::Scheme;
use sha2::{Digest, Sha256};
use tokio_rustls::TlsConnector;

use super::address;
use super::config::{Config, Format};
use super::format::template::Template;
use super::signature::Keys;
use crate::error::CollectorError;
use crate::source::secret;
use crate::tls;

/// How many secrets sign at once: a new one beside an old one, and room for two that were forgotten.
const SECRETS_MAX: usize = 4;

/// How many headers a webhook may have of its own: enough for a proxy and its receiver to know us.
const HEADERS_MAX: usize = 20;

/// The longest name, in characters: it is part of pages' rows.
const NAME_CHARS_MAX: usize = 100;

/// What is shorter than this isn't looked for in answers, to be hidden: it would hide words, and is no secret.
const HIDDEN_BYTES_MIN: usize = 8;

/// A webhook, ready to be called.
pub struct Target {
    pub name: String,
    pub format: Format,
    pub uri: Uri,
    pub host: String,
    pub port: u16,
    pub allow_private: bool,
    /// `None` for plain http.
    pub tls: Option<TlsConnector>,
    pub keys: Keys,
    /// PagerDuty's integration key.
    pub routing_key: Option<String>,
    pub template: Option<Template>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// A hash of all that says where and how it is called.
    pub hash: String,
    /// What no page and no log may show.
    hidden: Vec<String>,
}

impl Target {
    /// Reads a webhook's configuration, and its secrets. The error says which key is wrong, and shows no secret.
    pub fn read(config: &Config) -> Result<Target, CollectorError> {
        let wrong = |says: String| CollectorError::Config(format!("[[webhook]]: {says}"));
        let name = config.name.trim();
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.contains(char::is_control) {
            return Err(wrong(format!("`name` is a word or a few, of 1 to {NAME_CHARS_MAX} characters")));
        }
        let url = secret::reveal("url", &config.url).map_err(wrong)?;
        let uri = uri(url.trim(), config.allow_private).map_err(wrong)?;
        let is_https = uri.scheme() == Some(&Scheme::HTTPS);
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let reveal = |value: &String| secret::reveal("secret", value);
        let secrets: Vec<String> = config.secret.0.iter().map(reveal).collect::<Result<_, _>>().map_err(wrong)?;
        let (keys, routing_key) = keys(config.format, &secrets).map_err(wrong)?;
        let headers = headers(config).map_err(wrong)?;
        let template = template(config, &headers).map_err(wrong)?;
        let tls = is_https.then(|| tls::trust(true, config.ca.as_deref())).transpose().map_err(wrong)?;
        if !is_https && config.ca.is_some() {
            return Err(wrong("`ca` is of no use without https".to_owned()));
        }
        Ok(Target {
            name: name.to_owned(),
            format: config.format,
            port: uri.port_u16().unwrap_or(if is_https { 443 } else { 80 }),
            host,
            allow_private: config.allow_private,
            tls: tls.map(|config| TlsConnector::from(Arc::new(config))),
            keys,
            routing_key,
            template,
            hash: hash(config, &url, &secrets, &headers),
            hidden: hidden(&uri, &secrets, &headers),
            headers,
            uri,
        })
    }

    /// Scheme, host and port: what may be shown of its address.
    pub fn shown(&self) -> String {
        let authority = self.uri.authority().map_or(self.host.as_str(), |authority| authority.as_str());
        format!("{}://{authority}", self.uri.scheme_str().unwrap_or("https"))
    }

    /// A text from outside, without what is secret of this webhook.
    pub fn without_secrets(&self, text: &str) -> String {
        self.hidden.iter().fold(text.to_owned(), |text, hidden| text.replace(hidden.as_str(), "…"))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("name", &self.name).field("host", &self.host).finish_non_exhaustive()
    }
}

/// The address of a webhook. What is wrong with it is said without it.
fn uri(url: &str, allow_private: bool) -> Result<Uri, String> {
    let example = "write it as `https://hooks.example.org/...`";
    let uri: Uri = url.parse().map_err(|error| format!("`url` is no address ({error}): {example}"))?;
    let is_https = uri.scheme() == Some(&Scheme::HTTPS);
    if !is_https && uri.scheme() != Some(&Scheme::HTTP) {
        return Err(format!("`url` is no address that begins with https://: {example}"));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("`url` holds a user: say who we are in `headers`, as `authorization`".to_owned());
    }
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(format!("`url` names no host: {example}"));
    }
    let port = uri.authority().and_then(|authority| authority.as_str().rsplit_once(':')).map(|(_, port)| port);
    if port.is_some_and(|port| !port.ends_with(']') && port.parse::<u16>().is_err()) {
        return Err("`url` names a port that there isn't: ports go to 65535".to_owned());
    }
    if !is_https && !allow_private {
        return Err("`url` is plain http, which anybody on the way can read and change: use https, or set \
                    `allow_private = true` for a receiver in a private network"
            .to_owned());
    }
    // A name is judged by what it means when it is called; these mean the same everywhere.
    let ip = if host.eq_ignore_ascii_case("localhost") { Ok(IpAddr::from([127, 0, 0, 1])) } else { host.parse() };
    match ip {
        Ok(ip) => address::check(ip, allow_private, is_https).map(|()| uri).map_err(|why| format!("`url`: {why}")),
        Err(_) => Ok(uri),
    }
}

fn keys(format: Format, secrets: &[String]) -> Result<(Keys, Option<String>), String> {
    let too_many = secrets.len() > SECRETS_MAX;
    match (format, secrets) {
        _ if too_many => Err(format!("`secret` lists {}: at most {SECRETS_MAX} sign at once", secrets.len())),
        (Format::Pagerduty, [key]) if !key.trim().is_empty() => Ok((Keys::read(&[])?, Some(key.trim().to_owned()))),
        (Format::Pagerduty, _) => {
            Err("`secret` is one text for PagerDuty: the integration key of the service".to_owned())
        }
        (Format::Standard, []) => {
            Err("`secret` is missing, with which the receiver knows that it is us; make one with: \
                                       echo \"whsec_$(openssl rand -base64 32)\""
                .to_owned())
        }
        (_, secrets) => Ok((Keys::read(secrets).map_err(|why| format!("`secret` {why}"))?, None)),
    }
}

/// The webhook's own headers. Those that say how a request is framed are not its to set.
fn headers(config: &Config) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    const OURS: [HeaderName; 5] =
        [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE];
    if config.headers.len() > HEADERS_MAX {
        return Err(format!("`headers` has {}: at most {HEADERS_MAX} are sent", config.headers.len()));
    }
    let mut headers = Vec::new();
    for (name, value) in &config.headers {
        let header =
            HeaderName::try_from(name.as_str()).map_err(|_| format!("`headers`: `{name}` is no header's name"))?;
        if OURS.contains(&header) || header.as_str().starts_with("webhook-") {
            return Err(format!("`headers`: `{name}` is for Sillage to set"));
        }
        let value = secret::reveal("headers", value)?;
        let mut value =
            HeaderValue::try_from(value).map_err(|_| format!("`headers`: the value of `{name}` can't be sent"))?;
        value.set_sensitive(true);
        headers.push((header, value));
    }
    Ok(headers)
}

fn template(config: &Config, headers: &[(HeaderName, HeaderValue)]) -> Result<Option<Template>, String> {
    let is_template = config.format == Format::Template;
    let Some(text) = &config.template else {
        let missing = "`template` is missing: it is the text that `format = \"template\"` sends";
        return if is_template { Err(missing.to_owned()) } else { Ok(None) };
    };
    if !is_template {
        return Err("`template` is of no use without `format = \"template\"`".to_owned());
    }
    let content_type = headers.iter().find(|(name, _)| *name == header::CONTENT_TYPE);
    let content_type = content_type.and_then(|(_, value)| value.to_str().ok()).unwrap_or("application/json");
    let template = Template::read(text, content_type.contains("json")).map_err(|why| format!("`template` {why}"))?;
    Ok(Some(template))
}

/// What no page and no log may show: the path, the secrets, and the values of headers, whole and behind a word such as `Bearer`.
fn hidden(uri: &Uri, secrets: &[String], headers: &[(HeaderName, HeaderValue)]) -> Vec<String> {
    let own = headers.iter().filter(|(name, _)| *name != header::CONTENT_TYPE);
    let values = own.filter_map(|(_, value)| value.to_str().ok());
    let values = values.flat_map(|value| [value, value.rsplit(' ').next().unwrap_or(value)]);
    let path = uri.path_and_query().map(|path| path.as_str());
    let all = path.into_iter().chain(secrets.iter().map(String::as_str)).chain(values);
    all.filter(|text| text.len() >= HIDDEN_BYTES_MIN).map(str::to_owned).collect()
}

fn hash(config: &Config, url: &str, secrets: &[String], headers: &[(HeaderName, HeaderValue)]) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    add(config.format.as_str().as_bytes());
    add(url.as_bytes());
    add(config.template.as_deref().unwrap_or("").as_bytes());
    add(&[u8::from(config.allow_private)]);
    secrets.iter().for_each(|secret| add(secret.as_bytes()));
    for (name, value) in headers {
        add(name.as_str().as_bytes());
        add(value.as_bytes());
    }
    hex::encode(&hash.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str, headers: &[(&str, &str)]) -> Target {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let url = format!("https://hooks.example.org:8443{path}");
        let config = Config { name: "ops".to_owned(), url, format: Format::Slack, headers, ..Config::default() };
        Target::read(&config).unwrap()
    }

    #[test]
    fn nothing_is_shown_of_an_address_but_its_host_and_nothing_secret_of_an_answer() {
        let target =
            target("/services/T0/s3cret", &[("authorization", "Bearer s3cret-token"), ("content-type", "text/plain")]);
        assert_eq!(target.shown(), "https://hooks.example.org:8443");
        let says = target
            .without_secrets("no hook /services/T0/s3cret for Bearer s3cret-token or s3cret-token, in text/plain");
        assert_eq!(says, "no hook … for … or …, in text/plain");
        assert!(!format!("{target:?}").contains("s3cret"));
    }

    #[test]
    fn another_configuration_is_known_by_its_hash() {
        let one = target("/a", &[]).hash;
        assert_eq!(one, target("/a", &[]).hash);
        assert!(one != target("/b", &[]).hash && one != target("/a", &[("x", "y")]).hash);
    }
}
