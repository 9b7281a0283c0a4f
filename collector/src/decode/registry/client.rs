//! HTTP to a registry, over TLS where its address says so: small answers, in time, or a reason that says what to do.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use serde::de::DeserializeOwned;

use crate::source::with_causes;

/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes: the text of a schema, with what it refers to by name. Confluent's own limit is 1 MB.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Asks one registry.
pub struct Client {
    http: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    /// Scheme, host and port.
    origin: String,
    authorization: Option<HeaderValue>,
}

/// Why a registry gives no schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failed {
    /// It doesn't know it.
    Unknown(String),
    /// It has it, but it can't be used.
    Unusable(String),
    /// It can't be asked.
    Down(String),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Unknown(why) | Failed::Unusable(why) | Failed::Down(why) => f.write_str(why),
        }
    }
}

/// What `username` and `password` are in a request.
pub fn basic(username: &str, password: &str) -> Result<HeaderValue, String> {
    let text = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
    let mut value = HeaderValue::try_from(text).map_err(|_| "`username` can't be sent".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

impl Client {
    /// Gets ready to ask; nothing is connected before.
    pub fn new(origin: String, authorization: Option<HeaderValue>, tls: ClientConfig) -> Client {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(ANSWER_WITHIN));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        Client { http, origin, authorization }
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// A text; `None` where nothing is there.
    pub async fn text(&self, path: &str) -> Result<Option<String>, Failed> {
        let Some(bytes) = self.get(path).await? else { return Ok(None) };
        let text = String::from_utf8(bytes.into());
        text.map(Some).map_err(|_| Failed::Unusable("has a text that is no UTF-8".to_owned()))
    }

    /// JSON; `None` where nothing is there.
    pub async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failed> {
        let Some(bytes) = self.get(path).await? else { return Ok(None) };
        let read = serde_json::from_slice(&bytes);
        read.map(Some).map_err(|error| {
            self.down(format!("answers with what no schema registry does ({error}): is `url` in [registry] right?"))
        })
    }

    async fn get(&self, path: &str) -> Result<Option<Bytes>, Failed> {
        let mut request = Request::get(format!("{}{path}", self.origin)).header(header::ACCEPT, "*/*");
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request
            .body(Empty::new())
            .map_err(|_| Failed::Unusable("has a name that can't be asked for".to_owned()))?;
        let asked = async {
            let response = self.http.request(request).await.map_err(|error| self.unreachable(&error))?;
            self.answer(response).await
        };
        tokio::time::timeout(ANSWER_WITHIN, asked).await.unwrap_or_else(|_| {
            Err(self.down(format!("doesn't answer within {} s: is it well?", ANSWER_WITHIN.as_secs())))
        })
    }

    async fn answer(&self, response: Response<Incoming>) -> Result<Option<Bytes>, Failed> {
        let status = response.status();
        match status {
            StatusCode::NOT_FOUND => return Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let says = format!(
                    "refuses us ({status}): check `username` and `password` in [registry], and what that user may read"
                );
                return Err(self.down(says));
            }
            _ if status.is_redirection() => {
                let to =
                    response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("elsewhere");
                let to: String = to.chars().take(200).collect();
                return Err(self.down(format!("sends us on to {to}: write that as `url` in [registry]")));
            }
            _ if !status.is_success() => {
                return Err(self.down(format!("answers {status}: see its own log; it is asked again")));
            }
            _ => {}
        }
        match Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await {
            Ok(body) => Ok(Some(body.to_bytes())),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(Failed::Unusable(format!("has a text of more than {ANSWER_BYTES_MAX} bytes")))
            }
            Err(error) => Err(self.down(format!("broke off its answer ({error})"))),
        }
    }

    fn unreachable(&self, error: &hyper_util::client::legacy::Error) -> Failed {
        let says = with_causes(error);
        let advice = if says.contains("certificate") {
            "is its certificate by an authority that this system knows? Another one is given by `ca` in [registry]"
        } else {
            "is it running, and is `url` in [registry] right?"
        };
        self.down(format!("can't be reached ({says}): {advice}"))
    }

    /// What is wrong with the registry, with its address before.
    pub fn down(&self, says: String) -> Failed {
        Failed::Down(format!("the registry at {} {says}", self.origin))
    }
}

impl fmt::Debug for Client {
    /// Without what lets us in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("origin", &self.origin).finish_non_exhaustive()
    }
}
