//! The `[web]` and `[[access]]` sections of the configuration.

use std::net::{Ipv4Addr, SocketAddr};
use std::{env, fmt, fs};

use serde::{Deserialize, Deserializer, de};

/// The `[web]` section: where the console listens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The address that pages and the JSON API are served on. Loopback by default: nobody else can reach it.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// The address by which people reach it, such as `https://sillage.example.org/` behind a proxy; may have a path.
    /// Unset: the address that it listens on.
    pub public_url: Option<PublicUrl>,
    /// Lets everybody in on a non-loopback address without `[[access]]`. Off by default: payloads are nobody else's business.
    pub allow_unauthenticated: bool,
    /// Whether `/metrics` tells consumer lag by partition, and not only by topic: 200 times as many samples for a topic of 200 partitions.
    pub metrics_partitions: bool,
    /// Set by the program: `[redrive]`, which the pages tell of.
    #[serde(skip)]
    pub redrive: store::redrive::Config,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7455)),
            public_url: None,
            allow_unauthenticated: false,
            metrics_partitions: false,
            redrive: store::redrive::Config::default(),
        }
    }
}

/// The address by which people reach the console.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicUrl {
    /// `https` or `http`.
    pub scheme: String,
    /// The host, in lower case, with brackets around an IPv6 address.
    pub host: String,
    /// The port, where one is given.
    pub port: Option<u16>,
    /// The path before all of ours, without a slash at its end; empty for none.
    pub path: String,
}

impl PublicUrl {
    /// Scheme, host and port, as browsers write them in `Origin`.
    pub fn origin(&self) -> String {
        match self.port {
            Some(port) => format!("{}://{}:{port}", self.scheme, self.host),
            None => format!("{}://{}", self.scheme, self.host),
        }
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = String;

    fn try_from(text: String) -> Result<PublicUrl, String> {
        let expected = || format!("`{text}` is no address such as \"https://sillage.example.org/\"");
        let uri: http::Uri = text.parse().map_err(|_| expected())?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https")).ok_or_else(expected)?;
        let authority = uri.authority().ok_or_else(expected)?;
        if uri.query().is_some() || authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(expected());
        }
        let default_port = if scheme == "https" { 443 } else { 80 };
        Ok(PublicUrl {
            scheme: scheme.to_owned(),
            host: authority.host().to_ascii_lowercase(),
            port: authority.port_u16().filter(|port| *port != default_port),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

/// One `[[access]]` section: who may come in, and as what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Who it is; names are shown and written to the audit.
    pub name: String,
    /// What they log in with, also as a bearer token.
    pub secret: Secret,
    /// What they may do.
    #[serde(default)]
    pub role: Role,
}

/// What somebody may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at everything, change nothing.
    #[default]
    View,
    /// Change things too: redrives, silences.
    Operate,
}

/// A secret as the configuration gives it: inline, `file:…` or `env:…`. Never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// Why a secret can't be used. Never says what it is.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file of `file:…` can't be read.
    #[error("can't read the secret's file `{path}`")]
    File {
        /// Which file.
        path: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The variable of `env:…` is not set.
    #[error("the secret's environment variable `{0}` is not set")]
    Variable(String),
    /// Too easy to guess.
    #[error(
        "the secret is shorter than {SECRET_BYTES_MIN} characters: make a longer one, such as with `openssl rand -hex 16`"
    )]
    TooShort,
}

/// The shortest secret that is taken: with eight characters nobody guesses it through a login form that answers a few tries a minute.
pub const SECRET_BYTES_MIN: usize = 8;

impl Secret {
    /// The secret itself, read from where it is kept, without white space around it.
    pub fn reveal(&self) -> Result<String, SecretError> {
        let found = if let Some(path) = self.0.strip_prefix("file:") {
            fs::read_to_string(path).map_err(|source| SecretError::File { path: path.to_owned(), source })?
        } else if let Some(name) = self.0.strip_prefix("env:") {
            env::var(name).map_err(|_| SecretError::Variable(name.to_owned()))?
        } else {
            self.0.clone()
        };
        let found = found.trim();
        if found.len() < SECRET_BYTES_MIN { Err(SecretError::TooShort) } else { Ok(found.to_owned()) }
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"****\"")
    }
}

/// An address with a port; `localhost:7455` and `:7455` mean the loopback address.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let spelled_out = match text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')) {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.clone(),
    };
    spelled_out.parse().map_err(|_| {
        de::Error::custom(format!("`{text}` is no address with a port, such as \"127.0.0.1:7455\" or \"0.0.0.0:7455\""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public_url(text: &str) -> Result<PublicUrl, String> {
        PublicUrl::try_from(text.to_owned())
    }

    #[test]
    fn a_public_url_gives_origin_and_path_prefix() {
        let url = public_url("https://Example.org:443/tools/sillage/").unwrap();
        assert_eq!(url.origin(), "https://example.org");
        assert_eq!(url.path, "/tools/sillage");
        assert_eq!(public_url("http://[::1]:8080").unwrap().origin(), "http://[::1]:8080");
        for wrong in ["", "example.org", "ftp://example.org", "https://me@example.org/", "https://example.org/?a=b"] {
            assert!(public_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_read_from_where_it_is_kept_and_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "correct horse\n").unwrap();
        let secret = Secret::from(format!("file:{}", file.path().display()).as_str());
        assert_eq!(secret.reveal().unwrap(), "correct horse");
        assert_eq!(Secret::from("inline secret").reveal().unwrap(), "inline secret");
        assert!(matches!(Secret::from("short").reveal(), Err(SecretError::TooShort)));
        assert!(matches!(Secret::from("env:SILLAGE_NOT_SET").reveal(), Err(SecretError::Variable(_))));
        assert!(matches!(Secret::from("file:/does/not/exist").reveal(), Err(SecretError::File { .. })));
        assert_eq!(format!("{:?}", Secret::from("inline secret")), "\"****\"");
    }

    #[test]
    fn a_listen_address_may_be_said_as_localhost() {
        let read = |json: &str| serde_json::from_str::<Config>(json);
        assert_eq!(read(r#"{"listen": "localhost:80"}"#).unwrap().listen, SocketAddr::from(([127, 0, 0, 1], 80)));
        assert_eq!(read("{}").unwrap().listen.port(), 7455);
        let error = read(r#"{"listen": "everywhere"}"#).unwrap_err().to_string();
        assert!(error.contains("such as \"127.0.0.1:7455\""), "{error}");
        assert!(read(r#"{"lisen": "x"}"#).is_err());
    }
}
