//! A record as the shop's services read it, and its headers.

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use rdkafka::{
    Message,
    message::{BorrowedMessage, Header, Headers as _, OwnedHeaders},
};
use serde::de::DeserializeOwned;

use crate::DemoError;

/// One consumed record.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since the epoch, 0 if the broker gave none.
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<String>,
    pub(crate) payload: Vec<u8>,
    pub(crate) headers: Headers,
}

impl Record {
    pub(crate) fn copied(message: &BorrowedMessage<'_>) -> Record {
        Record {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
            key: message.key().map(|key| String::from_utf8_lossy(key).into_owned()),
            payload: message.payload().unwrap_or_default().to_vec(),
            headers: Headers::copied(message),
        }
    }

    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, DemoError> {
        serde_json::from_slice(&self.payload).map_err(|source| DemoError::Unreadable {
            topic: self.topic.clone(),
            partition: self.partition,
            offset: self.offset,
            source,
        })
    }

    /// The context in which the record was created, if its producer passed it on.
    pub(crate) fn creation_context(&self) -> Context {
        TraceContextPropagator::new().extract_with_context(&Context::new(), &self.headers)
    }
}

/// Kafka headers: an ordered list, because a key may repeat and the order tells which value is the latest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    fn copied(message: &BorrowedMessage<'_>) -> Headers {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect()
        });
        Headers(headers)
    }

    /// Appends, whether or not the key is there already.
    pub(crate) fn push(&mut self, key: &str, value: impl Into<Vec<u8>>) {
        self.0.push((key.to_owned(), value.into()));
    }

    /// Removes every value of the key, and appends this one.
    pub(crate) fn replace(&mut self, key: &str, value: impl Into<Vec<u8>>) {
        self.0.retain(|(name, _)| name != key);
        self.push(key, value);
    }

    /// The latest value of the key.
    pub(crate) fn last(&self, key: &str) -> Option<&[u8]> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_slice())
    }

    /// Every value of the key, the first one first.
    #[cfg(test)]
    pub(crate) fn all(&self, key: &str) -> Vec<&[u8]> {
        self.0.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_slice()).collect()
    }

    /// Writes the span's context as `traceparent` (and `tracestate`), in place of the one that was there.
    pub(crate) fn carry(&mut self, context: &Context) {
        TraceContextPropagator::new().inject_context(context, self);
    }

    pub(crate) fn to_kafka(&self) -> OwnedHeaders {
        self.0.iter().fold(OwnedHeaders::new_with_capacity(self.0.len()), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        })
    }
}

impl Injector for Headers {
    fn set(&mut self, key: &str, value: String) {
        // The propagator sets an empty `tracestate` where there is none; on the wire it is left out.
        if value.is_empty() {
            self.0.retain(|(name, _)| name != key);
        } else {
            self.replace(key, value);
        }
    }
}

impl Extractor for Headers {
    fn get(&self, key: &str) -> Option<&str> {
        self.last(key).and_then(|value| std::str::from_utf8(value).ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(key, _)| key.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

    use super::*;

    fn context(span: u64) -> Context {
        Context::new().with_remote_span_context(SpanContext::new(
            TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
            SpanId::from(span),
            TraceFlags::SAMPLED,
            true,
            TraceState::NONE,
        ))
    }

    #[test]
    fn the_context_travels_as_a_w3c_header_and_comes_back() {
        let mut headers = Headers::default();
        headers.carry(&context(0xb7ad_6b71_6920_3331));
        assert_eq!(
            headers,
            Headers(vec![("traceparent".into(), b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_vec())])
        );
        let back = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
        assert_eq!(back.span().span_context().span_id(), SpanId::from(0xb7ad_6b71_6920_3331));
    }

    #[test]
    fn a_forwarded_record_carries_the_last_hop_only() {
        let mut headers = Headers::default();
        headers.carry(&context(1));
        headers.carry(&context(2));
        assert_eq!(headers.all("traceparent"), [b"00-0af7651916cd43dd8448eb211c80319c-0000000000000002-01"]);
    }

    #[test]
    fn a_repeated_header_keeps_its_order() {
        let mut headers = Headers::default();
        headers.push("retry_topic-attempts", [2]);
        headers.push("other", *b"x");
        headers.push("retry_topic-attempts", [3]);
        assert_eq!(headers.all("retry_topic-attempts"), [[2], [3]]);
        assert_eq!(headers.last("retry_topic-attempts"), Some(&[3][..]));
    }
}
