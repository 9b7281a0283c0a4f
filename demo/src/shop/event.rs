//! What happened, as JSON: the envelope that every event of the shop shares, and the eight facts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::topic;

/// An event on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event<F> {
    /// UUID version 7: unique, and sorted by time.
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    /// RFC 3339, in UTC, to the millisecond.
    pub(crate) occurred_at: String,
    /// The service that says so.
    pub(crate) producer: String,
    /// 32 hex digits.
    pub(crate) trace_id: String,
    /// The version of the fact's shape, not of the order.
    pub(crate) version: u32,
    pub(crate) data: F,
}

impl<F: Fact> Event<F> {
    pub(crate) fn now(producer: &str, trace_id: String, data: F) -> Event<F> {
        Event {
            event_id: Uuid::now_v7().to_string(),
            event_type: F::TYPE.to_owned(),
            occurred_at: now_to_the_millisecond(),
            producer: producer.to_owned(),
            trace_id,
            version: F::VERSION,
            data,
        }
    }
}

/// Something that has happened: named in the past tense, said on one topic, keyed by its order.
pub(crate) trait Fact: Serialize {
    const TYPE: &'static str;
    const VERSION: u32;
    const TOPIC: &'static str;
    fn order_id(&self) -> &str;
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderPlaced {
    pub(crate) order_id: String,
    pub(crate) customer: Customer,
    pub(crate) items: Vec<Item>,
    pub(crate) total_cents: u64,
    pub(crate) currency: String,
    /// The token of a card at the payment gateway; never the card itself.
    pub(crate) card: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) city: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    pub(crate) sku: String,
    pub(crate) quantity: u32,
    pub(crate) unit_cents: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StockReserved {
    pub(crate) order_id: String,
    pub(crate) reservation_id: String,
    pub(crate) warehouse: String,
    pub(crate) quantity: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StockReleased {
    pub(crate) order_id: String,
    pub(crate) reservation_id: String,
    pub(crate) reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentAuthorized {
    pub(crate) order_id: String,
    pub(crate) authorization_id: String,
    pub(crate) amount_cents: u64,
    pub(crate) currency: String,
    pub(crate) attempt: i32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentFailed {
    pub(crate) order_id: String,
    pub(crate) amount_cents: u64,
    pub(crate) reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ParcelPlanned {
    pub(crate) order_id: String,
    pub(crate) parcel_id: String,
    pub(crate) carrier: String,
    pub(crate) warehouse: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderCancelled {
    pub(crate) order_id: String,
    pub(crate) reason: String,
}

fn now_to_the_millisecond() -> String {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now).to_string()
}

/// One row a fact: its type, the version of its shape, and the topic that it is said on.
macro_rules! facts {
    ($($fact:ident $version:literal $topic:expr;)*) => {
        $(impl Fact for $fact {
            const TYPE: &'static str = stringify!($fact);
            const VERSION: u32 = $version;
            const TOPIC: &'static str = $topic;
            fn order_id(&self) -> &str {
                &self.order_id
            }
        })*
    };
}

facts! {
    OrderPlaced       2 topic::ORDER_PLACED;
    StockReserved     1 topic::STOCK_RESERVED;
    StockReleased     1 topic::STOCK_RELEASED;
    PaymentAuthorized 1 topic::PAYMENT_AUTHORIZED;
    PaymentFailed     1 topic::PAYMENT_FAILED;
    ParcelPlanned     1 topic::PARCEL_PLANNED;
    OrderCancelled    1 topic::ORDER_CANCELLED;
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_event_carries_all_its_metadata_beside_its_data() {
        let fact = OrderCancelled { order_id: "order-48213".into(), reason: "card declined".into() };
        let event = Event::now("shop-api", "0af7651916cd43dd8448eb211c80319c".into(), fact);
        let json: Value = serde_json::to_value(&event).unwrap();
        assert_eq!(json["eventType"], "OrderCancelled");
        assert_eq!(json["producer"], "shop-api");
        assert_eq!(json["traceId"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(json["version"], 1);
        assert_eq!(json["data"], json!({ "orderId": "order-48213", "reason": "card declined" }));
        let id: Uuid = json["eventId"].as_str().unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        let occurred_at: Timestamp = json["occurredAt"].as_str().unwrap().parse().unwrap();
        assert!(Timestamp::now().duration_since(occurred_at).as_secs() < 5);
    }
}
