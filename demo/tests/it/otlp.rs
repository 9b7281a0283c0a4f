//! An OTLP endpoint over gRPC that remembers the spans and logs it gets.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{
            ExportLogsServiceRequest, ExportLogsServiceResponse,
            logs_service_server::{LogsService, LogsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::span::SpanKind,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// A span as it arrived.
#[derive(Debug, Clone)]
pub struct Span {
    pub service: String,
    pub name: String,
    pub kind: SpanKind,
    pub trace_id: Vec<u8>,
    pub span_id: Vec<u8>,
    pub parent_span_id: Vec<u8>,
    /// Trace id and span id of each link.
    pub links: Vec<(Vec<u8>, Vec<u8>)>,
    pub attributes: BTreeMap<String, Value>,
    pub is_error: bool,
}

/// A log record as it arrived.
#[derive(Debug, Clone)]
pub struct Log {
    pub service: String,
    pub trace_id: Vec<u8>,
    pub body: String,
    pub attributes: BTreeMap<String, Value>,
}

#[derive(Default)]
struct Kept {
    spans: Mutex<Vec<Span>>,
    logs: Mutex<Vec<Log>>,
}

/// The endpoint; gone when dropped.
pub struct Receiver {
    pub endpoint: String,
    kept: Arc<Kept>,
    server: JoinHandle<()>,
}

impl Receiver {
    pub async fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let kept = Arc::new(Kept::default());
        let router = Server::builder()
            .add_service(TraceServiceServer::new(Service(Arc::clone(&kept))))
            .add_service(LogsServiceServer::new(Service(Arc::clone(&kept))));
        let server = tokio::spawn(async move {
            router.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Receiver { endpoint, kept, server }
    }

    pub fn spans(&self) -> Vec<Span> {
        self.kept.spans.lock().unwrap().clone()
    }

    pub fn logs(&self) -> Vec<Log> {
        self.kept.logs.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Service(Arc<Kept>);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.0.spans.lock().unwrap();
        for resource_spans in request.into_inner().resource_spans {
            let service = service_name(resource_spans.resource);
            for span in resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push(Span {
                    service: service.clone(),
                    kind: span.kind(),
                    name: span.name,
                    trace_id: span.trace_id,
                    span_id: span.span_id,
                    parent_span_id: span.parent_span_id,
                    links: span.links.into_iter().map(|link| (link.trace_id, link.span_id)).collect(),
                    attributes: map(span.attributes),
                    is_error: span.status.is_some_and(|status| status.code == 2),
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let mut logs = self.0.logs.lock().unwrap();
        for resource_logs in request.into_inner().resource_logs {
            let service = service_name(resource_logs.resource);
            for log in resource_logs.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                logs.push(Log {
                    service: service.clone(),
                    trace_id: log.trace_id,
                    body: log.body.and_then(text).unwrap_or_default(),
                    attributes: map(log.attributes),
                });
            }
        }
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

fn service_name(resource: Option<Resource>) -> String {
    let attributes = map(resource.unwrap_or_default().attributes);
    match attributes.get("service.name") {
        Some(Value::StringValue(name)) => name.clone(),
        _ => String::new(),
    }
}

fn map(attributes: Vec<KeyValue>) -> BTreeMap<String, Value> {
    let value = |attribute: KeyValue| Some((attribute.key, attribute.value?.value?));
    attributes.into_iter().filter_map(value).collect()
}

fn text(value: AnyValue) -> Option<String> {
    match value.value? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

impl Span {
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.attributes.get(key) {
            Some(Value::StringValue(text)) => Some(text),
            _ => None,
        }
    }

    pub fn number(&self, key: &str) -> Option<i64> {
        match self.attributes.get(key) {
            Some(Value::IntValue(number)) => Some(*number),
            _ => None,
        }
    }
}
