//! The load: order sagas of 12 spans over 6 services, 22 attributes a span, 40 sagas a request, as a busy shop's collector would send them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message;

use crate::rig::otlp::{int, now_ns, span, string, traces};

/// (service, span name, kind, topic): one order's way.
const STEPS: [(&str, &str, i32, &str); 12] = [
    ("shop-api", "POST /orders", 2, ""),
    ("shop-api", "send orders.placed", 4, "orders.placed"),
    ("inventory", "process orders.placed", 5, "orders.placed"),
    ("inventory", "send stock.reserved", 4, "stock.reserved"),
    ("billing", "process stock.reserved", 5, "stock.reserved"),
    ("billing", "POST /charges", 3, ""),
    ("billing", "send payments.authorized", 4, "payments.authorized"),
    ("shipping", "process payments.authorized", 5, "payments.authorized"),
    ("shipping", "send parcels.planned", 4, "parcels.planned"),
    ("read-model", "process parcels.planned", 5, "parcels.planned"),
    ("analytics", "process payments.authorized", 5, "payments.authorized"),
    ("analytics", "process parcels.planned", 5, "parcels.planned"),
];

const SAGAS_PER_REQUEST: usize = 40;

/// What has been made of a run's load. It is made in portions, each before it is sent, because a whole one would take gigabytes.
#[derive(Default)]
pub struct Load {
    pub traces: Vec<[u8; 16]>,
    pub spans: usize,
    /// Encoded, without compression.
    pub bytes: usize,
}

impl Load {
    /// The next requests, of about so many spans.
    pub fn portion(&mut self, spans: usize) -> Vec<ExportTraceServiceRequest> {
        let mut requests = Vec::new();
        let enough = self.spans + spans;
        while self.spans < enough {
            let sagas: Vec<[u8; 16]> = (0..SAGAS_PER_REQUEST).map(|_| rand::random()).collect();
            let mut request = ExportTraceServiceRequest::default();
            // One resource a service, its spans of all sagas together, as a collector's batch processor groups them.
            let mut services: Vec<(&str, Vec<Span>)> = Vec::new();
            for (number, trace) in sagas.iter().enumerate() {
                for (service, span) in saga(*trace, self.traces.len() + number) {
                    match services.iter_mut().find(|(name, _)| *name == service) {
                        Some((_, spans)) => spans.push(span),
                        None => services.push((service, vec![span])),
                    }
                }
            }
            for (service, spans) in services {
                self.spans += spans.len();
                request.resource_spans.extend(traces(service, spans).resource_spans);
            }
            self.bytes += request.encoded_len();
            requests.push(request);
            self.traces.extend(sagas);
        }
        requests
    }
}

/// The id of an order: the key of its records.
pub fn order_id(order: usize) -> String {
    format!("order-{order:08}")
}

/// The id of the event that a step of an order is about; spread as random ones are, so that it can be asked for later.
pub fn event_id(order: usize, step: usize) -> String {
    let mut spread = (order * STEPS.len() + step) as u64;
    let mut half = || {
        // splitmix64's step (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
        spread = spread.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (spread ^ (spread >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^ (mixed >> 27)
    };
    format!("{:016x}{:016x}", half(), half())
}

fn saga(trace: [u8; 16], order: usize) -> Vec<(&'static str, Span)> {
    let start = now_ns() - 2_000_000_000;
    let mut parent = Vec::new();
    STEPS
        .iter()
        .enumerate()
        .map(|(step, (service, name, kind, topic))| {
            let mut span = span(trace, rand::random(), name);
            span.kind = *kind;
            span.parent_span_id = std::mem::replace(&mut parent, span.span_id.clone());
            span.start_time_unix_nano = start + step as u64 * 90_000_000 + rand::random_range(0..40_000_000);
            span.end_time_unix_nano = span.start_time_unix_nano + rand::random_range(400_000..80_000_000);
            if order % 50 == 7 && *kind == 3 {
                span.status = Some(Status { code: 2, message: "card declined".to_owned() });
            }
            span.attributes = vec![
                string("messaging.system", "kafka"),
                string("messaging.destination.name", *topic),
                string("messaging.operation.type", if *kind == 5 { "process" } else { "send" }),
                string("messaging.operation.name", if *kind == 5 { "process" } else { "send" }),
                string("messaging.client.id", format!("{service}-{}", order % 4)),
                string("messaging.consumer.group.name", *service),
                string("messaging.destination.partition.id", (order % 6).to_string()),
                int("messaging.kafka.offset", (order / 6) as i64),
                string("messaging.kafka.message.key", order_id(order)),
                int("messaging.message.body.size", 400 + (order % 300) as i64),
                string("server.address", format!("kafka-{}.eu-west-1.shop.internal", order % 3)),
                int("server.port", 9092),
                string("order.id", order_id(order)),
                string("customer.id", format!("customer-{:06}", order * 7 % 40_000)),
                string("event.id", event_id(order, step)),
                string("event.type", ["OrderPlaced", "StockReserved", "PaymentAuthorized", "ParcelPlanned"][step / 3]),
                string(
                    "url.full",
                    format!("https://shop.example.com/api/v2/orders/{}/lines?expand=customer,prices", order_id(order)),
                ),
                string(
                    "user_agent.original",
                    "ShopClient/7.4.1 (Java/21.0.4; Linux 6.1; amd64) OkHttp/4.12.0 OpenTelemetry/1.44.1",
                ),
                string("k8s.pod.name", format!("{service}-7c9d6b5f4-{:05x}", order % 24)),
                string(
                    "code.function.name",
                    format!("com.example.shop.{}.application.MessageHandler.handleMessage", service.replace('-', "")),
                ),
                int("thread.id", (order % 32) as i64),
                string(
                    "thread.name",
                    format!("org.springframework.kafka.KafkaListenerEndpointContainer#{}-C-{}", order % 4, order % 8),
                ),
            ];
            (*service, span)
        })
        .collect()
}
