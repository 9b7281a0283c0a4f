//! The HTTP client that OpenTelemetry's exporter sends with: hyper, as everywhere else here.

use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

/// The longest answer that is read, in bytes: OTLP's are a few words.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Sends to one endpoint.
#[derive(Clone, Debug)]
pub struct Client {
    http: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// The SDK asks from threads of its own, which know no runtime.
    runtime: Handle,
    timeout: Duration,
}

impl Client {
    /// Nothing is connected before the first batch. Needs a runtime.
    pub fn new(is_tls: bool, timeout: Duration) -> anyhow::Result<Client> {
        let tls = collector::tls::trust(is_tls, None).map_err(anyhow::Error::msg)?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(timeout));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Client { http, runtime: Handle::current(), timeout })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, timeout) = (self.http.clone(), self.timeout);
        let exchange = async move {
            let (head, body) = http.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        self.runtime.spawn(async move { tokio::time::timeout(timeout, exchange).await }).await??
    }
}
