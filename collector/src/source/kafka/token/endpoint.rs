//! Asks an endpoint for a token: one small request over HTTP or HTTPS, on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::uri::Scheme;
use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// How long one request may take. The thread that polls Kafka waits for it, and librdkafka asks again ten seconds after a failure.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes: tokens with many groups in them have a few KiB.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// Where, and as whom. Without `Debug`: there is a secret in it.
pub(super) struct Login {
    pub url: String,
    pub client_id: String,
    pub client_secret: String,
    pub scope: Option<String>,
    /// A file with the certificates that are trusted beside the system's.
    pub ca: Option<String>,
}

/// An endpoint, checked.
pub(super) struct Endpoint {
    login: Login,
    uri: Uri,
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
}

/// What it answers (RFC 6749 section 5.1).
#[derive(Deserialize)]
pub(super) struct Given {
    pub access_token: String,
    pub expires_in: Option<i64>,
}

/// What it answers when it doesn't give one (section 5.2).
#[derive(Deserialize, Default)]
struct Refused {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Endpoint {
    /// Checks where tokens come from, without asking.
    pub fn new(login: Login) -> Result<Endpoint, String> {
        let wrong = |why: &str| format!("`{}` in `options` {why}", login.url);
        let uri: Uri = login.url.parse().map_err(|_| wrong("is no URL"))?;
        let is_https = uri.scheme() == Some(&Scheme::HTTPS);
        if !is_https && uri.scheme() != Some(&Scheme::HTTP) {
            return Err(wrong("is no address for tokens: it must begin with https:// or http://"));
        }
        let Some(host) = uri.host().map(|host| host.trim_start_matches('[').trim_end_matches(']').to_owned()) else {
            return Err(wrong("names no host"));
        };
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let tls = is_https.then(|| trusting(login.ca.as_deref())).transpose()?;
        Ok(Endpoint { uri, host, port, tls, login })
    }

    /// As configured.
    pub fn url(&self) -> &str {
        &self.login.url
    }

    /// Asks for a token, and waits for it: for a thread that may block. The error says what went wrong, with no secret in it.
    pub fn ask(&self) -> Result<Given, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("can't be asked: {error}"))?;
        runtime.block_on(async {
            let asked = tokio::time::timeout(ANSWER_WITHIN, self.connect_and_ask());
            asked.await.map_err(|_| format!("did not answer within {} s", ANSWER_WITHIN.as_secs()))?
        })
    }

    async fn connect_and_ask(&self) -> Result<Given, String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| format!("can't be reached: {error}"))?;
        let Some(tls) = &self.tls else { return self.exchange(stream).await };
        let name = ServerName::try_from(self.host.clone()).map_err(|_| "is no name that a certificate can be for")?;
        let stream = tls.connect(name, stream).await.map_err(|error| format!("is not trusted: {error}"))?;
        self.exchange(stream).await
    }

    async fn exchange(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Given, String> {
        let broken = |error: hyper::Error| format!("broke off: {error}");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let driven = tokio::spawn(connection);
        let response = sender.send_request(self.request()?).await.map_err(broken)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| format!("broke off: {error}"))?.to_bytes();
        driven.abort();
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| "answered, but with no token".to_owned());
        }
        let refused: Refused = serde_json::from_slice(&body).unwrap_or_default();
        Err(format!("answered {status} {} {}", refused.error, refused.error_description).trim_end().to_owned())
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, String> {
        // Both are encoded as in a form before they are joined (RFC 6749 section 2.3.1).
        let (id, secret) = (form(&self.login.client_id), form(&self.login.client_secret));
        let mut body = "grant_type=client_credentials".to_owned();
        if let Some(scope) = &self.login.scope {
            body.push_str("&scope=");
            body.push_str(&form(scope));
        }
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::HOST, self.uri.authority().map_or(self.host.as_str(), |authority| authority.as_str()))
            .header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| format!("can't be asked: {error}"))
    }
}

fn form(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Trusts what the system trusts, and what a file of certificates has.
fn trusting(ca: Option<&str>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca {
        let certificates: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        let certificates =
            certificates.map_err(|error| format!("`https.ca.location`: no certificates in `{path}`: {error}"))?;
        roots.add_parsable_certificates(certificates);
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
