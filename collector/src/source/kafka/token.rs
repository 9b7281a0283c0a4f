//! Tokens for SASL OAUTHBEARER: given by an endpoint for our client id and secret (the client credentials grant of OAuth 2.0,
//! RFC 6749 section 4.4), or by somebody else who writes them to a file or the environment.
//!
//! librdkafka could ask an endpoint by itself, but only with libcurl. It says when a token is needed, and we get one: the thread that
//! polls waits meanwhile, which costs it what one request takes, once in most of a token's lifetime.
//!
//! Not for: checking tokens. Their claims are read only to say who we are and until when, which the broker checks anyway.

mod endpoint; // asks for a token over HTTP

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;
use serde::Deserialize;
use store::Timestamp;

use crate::error::CollectorError;
use crate::source::secret;
use endpoint::Endpoint;

/// As `sasl.mechanism` has it.
pub const MECHANISM: &str = "OAUTHBEARER";

const TOKEN: &str = "sasl.oauthbearer.token";
const URL: &str = "sasl.oauthbearer.token.endpoint.url";
const CLIENT_ID: &str = "sasl.oauthbearer.client.id";
const CLIENT_SECRET: &str = "sasl.oauthbearer.client.secret";
const SCOPE: &str = "sasl.oauthbearer.scope";
const CA: &str = "https.ca.location";

/// How long a token is taken to be good for that doesn't say: then the next one is asked for.
const LIFETIME_MS_USUAL: i64 = 5 * 60 * 1_000;

/// Who we are where a token doesn't say. Brokers take the name from the token itself.
const NAME_USUAL: &str = "sillage";

/// Whether an option is for us, and librdkafka doesn't know or need it.
pub fn is_ours(key: &str) -> bool {
    [TOKEN, URL, CLIENT_ID, CLIENT_SECRET, SCOPE, CA].contains(&key)
}

/// Where tokens come from. Without `Debug`: there is a secret in it.
pub struct Tokens {
    from: Origin,
}

enum Origin {
    Endpoint(Box<Endpoint>),
    /// `file:...` or `env:...`, read anew for each token.
    Elsewhere {
        source: String,
        place: String,
    },
}

/// Why there is no token. Never with a token or a secret in it.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// What holds the token can't be read.
    #[error("{0}")]
    Unreadable(#[from] CollectorError),
    /// The endpoint doesn't give one.
    #[error("{url} {why}")]
    Endpoint {
        /// The endpoint, as configured.
        url: String,
        /// What it did instead.
        why: String,
    },
    /// It is over already.
    #[error("the token expired at {0}: whoever writes `sasl.oauthbearer.token` must write a newer one")]
    Expired(Timestamp),
}

impl Tokens {
    /// Where the options say that tokens come from; `None` where they name another mechanism. Reads the secrets.
    pub fn read(source: &str, options: &BTreeMap<String, String>) -> Result<Option<Tokens>, CollectorError> {
        let wrong = |why: &str| Err(CollectorError::Config(format!("source `{source}`: {why}")));
        let has = |key: &str| options.contains_key(key);
        let is_asked = ["sasl.mechanism", "sasl.mechanisms"]
            .iter()
            .any(|key| options.get(*key).is_some_and(|mechanism| mechanism == MECHANISM));
        if !is_asked {
            return match options.keys().find(|key| is_ours(key)) {
                Some(key) => wrong(&format!("`{key}` in `options` needs `sasl.mechanism` = \"{MECHANISM}\"")),
                None => Ok(None),
            };
        }
        let read = |key: &str| options.get(key).map(|value| secret::read(source, key, value)).transpose();
        match (options.get(TOKEN), read(URL)?) {
            (Some(_), Some(_)) => wrong(&format!("give `{TOKEN}` or `{URL}` in `options`, not both")),
            (None, None) => wrong(&format!("\"{MECHANISM}\" needs `{URL}` or `{TOKEN}` in `options`")),
            (Some(place), None) => {
                secret::read(source, TOKEN, place)?;
                let from = Origin::Elsewhere { source: source.to_owned(), place: place.clone() };
                Ok(Some(Tokens { from }))
            }
            (None, Some(_)) if !has(CLIENT_ID) || !has(CLIENT_SECRET) => {
                wrong(&format!("`{URL}` in `options` needs `{CLIENT_ID}` and `{CLIENT_SECRET}`"))
            }
            (None, Some(url)) => {
                let endpoint = Endpoint::new(endpoint::Login {
                    url,
                    client_id: read(CLIENT_ID)?.unwrap_or_default(),
                    client_secret: read(CLIENT_SECRET)?.unwrap_or_default(),
                    scope: read(SCOPE)?,
                    ca: read(CA)?,
                });
                match endpoint {
                    Ok(endpoint) => Ok(Some(Tokens { from: Origin::Endpoint(Box::new(endpoint)) })),
                    Err(why) => wrong(&why),
                }
            }
        }
    }

    /// A token that is good now. Blocks while it is asked for.
    pub fn next(&self) -> Result<OAuthToken, TokenError> {
        let now = Timestamp::now();
        match &self.from {
            Origin::Elsewhere { source, place } => good(secret::read(source, TOKEN, place)?, None, now),
            Origin::Endpoint(endpoint) => {
                let given =
                    endpoint.ask().map_err(|why| TokenError::Endpoint { url: endpoint.url().to_owned(), why })?;
                good(given.access_token, given.expires_in, now)
            }
        }
    }
}

/// What a token that is a JWT says of itself (RFC 7519).
#[derive(Deserialize, Default)]
struct Claims {
    sub: Option<String>,
    exp: Option<f64>,
}

/// A token with what librdkafka wants to know of it, unless it is over.
fn good(token: String, expires_in_s: Option<i64>, now: Timestamp) -> Result<OAuthToken, TokenError> {
    let claims = claims(&token).unwrap_or_default();
    let by_claim = claims.exp.map(|seconds| (seconds * 1e3) as i64);
    let by_answer = expires_in_s.map(|seconds| now.as_millis().saturating_add(seconds.saturating_mul(1_000)));
    let lifetime_ms = by_claim.or(by_answer).unwrap_or_else(|| now.as_millis() + LIFETIME_MS_USUAL);
    if lifetime_ms <= now.as_millis() {
        return Err(TokenError::Expired(Timestamp::from_millis(lifetime_ms)));
    }
    let principal_name = claims.sub.filter(|name| !name.is_empty()).unwrap_or_else(|| NAME_USUAL.to_owned());
    Ok(OAuthToken { token, principal_name, lifetime_ms })
}

fn claims(token: &str) -> Option<Claims> {
    let body = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body.trim_end_matches('=')).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn jwt(claims: &str) -> String {
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_says_who_we_are_and_until_when() {
        let now = Timestamp::from_millis(1_000_000);
        let token = good(jwt(r#"{"sub":"observer","exp":1060.5}"#), Some(5), now).unwrap();
        assert_eq!((token.principal_name.as_str(), token.lifetime_ms), ("observer", 1_060_500));
        let opaque = good("opaque".to_owned(), Some(30), now).unwrap();
        assert_eq!((opaque.principal_name.as_str(), opaque.lifetime_ms), (NAME_USUAL, 1_030_000));
        assert_eq!(good("opaque".to_owned(), None, now).unwrap().lifetime_ms, 1_000_000 + LIFETIME_MS_USUAL);
        let over = good(jwt(r#"{"sub":"observer","exp":999}"#), None, now).err().unwrap().to_string();
        assert!(over.contains("expired") && !over.contains("observer"), "{over}");
    }

    #[test]
    fn a_token_in_a_file_is_read_anew_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "first\n").unwrap();
        let place = format!("file:{}", path.display());
        let tokens =
            Tokens::read("main", &options(&[("sasl.mechanism", MECHANISM), (TOKEN, &place)])).unwrap().unwrap();
        assert_eq!(tokens.next().unwrap().token, "first");
        std::fs::write(&path, "second").unwrap();
        assert_eq!(tokens.next().unwrap().token, "second");
        std::fs::remove_file(&path).unwrap();
        assert!(tokens.next().err().unwrap().to_string().contains("token"));
    }

    #[test]
    fn what_is_missing_or_too_much_is_told_before_anything_starts() {
        let refused =
            |pairs: &[(&str, &str)]| Tokens::read("main", &options(pairs)).err().map(|error| error.to_string());
        let url = "http://127.0.0.1:9/token";
        assert_eq!(refused(&[("sasl.mechanism", "PLAIN")]), None);
        for (pairs, what) in [
            (&[("sasl.mechanism", MECHANISM)][..], URL),
            (&[("sasl.mechanism", "PLAIN"), (URL, url)], MECHANISM),
            (&[("sasl.mechanism", MECHANISM), (URL, url)], CLIENT_SECRET),
            (&[("sasl.mechanism", MECHANISM), (URL, url), (TOKEN, "env:PATH")], "not both"),
            (&[("sasl.mechanism", MECHANISM), (TOKEN, "env:SILLAGE_NOT_SET")], "isn't set"),
            (
                &[("sasl.mechanism", MECHANISM), (URL, "ftp://a/b"), (CLIENT_ID, "a"), (CLIENT_SECRET, "env:PATH")],
                "ftp://a/b",
            ),
        ] {
            let refused = refused(pairs).unwrap_or_else(|| panic!("{pairs:?}"));
            assert!(refused.contains(what), "{refused}");
        }
    }
}
