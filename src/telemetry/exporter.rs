//! OTLP over gRPC or HTTP, with or without TLS; and what became of each batch.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use collector::otlp::Address;
use opentelemetry_otlp::{LogExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::LogBatch;
use opentelemetry_sdk::trace::SpanData;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use super::gate::Fate;
use super::http::Client;

/// How long one export may take; then its batch is lost.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// An exporter that counts what it takes.
#[derive(Debug)]
pub struct Watched<E> {
    exporter: E,
    fate: Fate,
}

/// What sends spans, and what sends logs.
pub fn build(
    address: &Address,
    headers: &MetadataMap,
    fate: &Fate,
) -> anyhow::Result<(Watched<SpanExporter>, Watched<LogExporter>)> {
    let (spans, logs) = if address.is_http() { by_http(address, headers)? } else { by_grpc(address, headers)? };
    Ok((Watched { exporter: spans, fate: fate.clone() }, Watched { exporter: logs, fate: fate.clone() }))
}

fn by_http(address: &Address, headers: &MetadataMap) -> anyhow::Result<(SpanExporter, LogExporter)> {
    let client = Client::new(address.is_tls(), EXPORT_TIMEOUT)?;
    let headers = || -> HashMap<String, String> {
        let all = headers.as_ref().iter();
        all.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect()
    };
    let (base, protocol) = (address.base(), Protocol::HttpBinary);
    let spans = SpanExporter::builder().with_http().with_http_client(client.clone()).with_headers(headers());
    let logs = LogExporter::builder().with_http().with_http_client(client).with_headers(headers());
    let spans = spans.with_endpoint(format!("{base}/v1/traces")).with_protocol(protocol).with_timeout(EXPORT_TIMEOUT);
    let logs = logs.with_endpoint(format!("{base}/v1/logs")).with_protocol(protocol).with_timeout(EXPORT_TIMEOUT);
    Ok((spans.build()?, logs.build()?))
}

fn by_grpc(address: &Address, headers: &MetadataMap) -> anyhow::Result<(SpanExporter, LogExporter)> {
    let channel = channel(address)?;
    let spans = SpanExporter::builder().with_tonic().with_channel(channel.clone()).with_metadata(headers.clone());
    let logs = LogExporter::builder().with_tonic().with_channel(channel).with_metadata(headers.clone());
    Ok((spans.with_timeout(EXPORT_TIMEOUT).build()?, logs.with_timeout(EXPORT_TIMEOUT).build()?))
}

/// Nothing is connected before the first batch.
fn channel(address: &Address) -> anyhow::Result<Channel> {
    let mut endpoint = Endpoint::from(address.uri().clone()).connect_timeout(EXPORT_TIMEOUT).timeout(EXPORT_TIMEOUT);
    if address.is_tls() {
        endpoint = endpoint.tls_config(ClientTlsConfig::new().with_enabled_roots()).context("TLS can't be set up")?;
    }
    Ok(endpoint.connect_lazy())
}

impl opentelemetry_sdk::trace::SpanExporter for Watched<SpanExporter> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let many = batch.len();
        let result = self.exporter.export(batch).await;
        self.fate.sent(&self.fate.spans, many, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl opentelemetry_sdk::logs::LogExporter for Watched<LogExporter> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let many = batch.iter().count();
        let result = self.exporter.export(batch).await;
        self.fate.sent(&self.fate.logs, many, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
