//! Shares: how much a consumer tries again, how much of it fails.

use std::collections::BTreeMap;

use store::engine::Facet;
use store::entry::Kind;
use store::query::Field;
use store::topics::Period;
use store::{Query, StoreError, retries};

use super::{Around, Blind, Page, Reading, Readings, Watched, duration, labels, share};

/// How many services are told apart.
const SERVICES_MAX: usize = 1_000;

/// Which share of the events of each consumer was tried again.
pub async fn retries(watched: &Watched, around: Around<'_>) -> Result<Readings, StoreError> {
    let window = watched.over();
    let answer = retries::list(around.store, Period { window, step: window, now: around.now }).await?;
    let takes = |consumer: &&retries::Consumer| {
        let source = consumer.source.as_ref().map_or("", |source| source.as_str());
        watched.source.takes(source)
            && watched.topic.takes(&consumer.topic)
            && watched.consumer.takes(&consumer.consumer)
    };
    let found = answer.consumers.iter().filter(takes).map(|consumer| {
        let name = if consumer.consumer.is_empty() { "a consumer that is not told" } else { &consumer.consumer };
        let enough = consumer.deliveries >= watched.at_least();
        let rate = consumer.rate().filter(|_| enough);
        let text = match rate {
            Some(rate) => format!("{} of {} events", share(rate), consumer.deliveries),
            None => format!("only {} events", consumer.deliveries),
        };
        let source = consumer.source.as_ref().map_or("", |source| source.as_str());
        Reading {
            labels: labels([("source", source), ("topic", &consumer.topic), ("consumer", &consumer.consumer)]),
            // Too few to tell is not too many.
            value: Some(rate.unwrap_or(0.0)),
            says: format!("{name} tried {text} of {} again in {}", consumer.topic, told(window)),
            text,
            page: Page::Retries,
        }
    });
    let found = found.collect();
    // Of a part only nobody can say that the rest is well.
    let blind = answer.cut.map_or(Blind::Nowhere, |cut| Blind::Everywhere(format!("there may be more: {cut}")));
    Ok(Readings { found, blind, left_out: 0 })
}

/// Which share of each consumer's spans failed.
pub async fn errors(watched: &Watched, around: Around<'_>) -> Result<Readings, StoreError> {
    let window = watched.over();
    let lately = Query::Time { from: Some(around.now.minus(window)), to: None };
    let consumed = Query::Kind(Kind::Span).and(Query::is(Field::Role, "consumer")).and(lately);
    let by = || Facet { field: Some(Field::Service), step: None, values_max: SERVICES_MAX };
    let all = around.store.count(&consumed, by()).await?;
    let failed = around.store.count(&consumed.and(Query::is(Field::Status, "failed")), by()).await?;
    let failed: BTreeMap<&str, u64> = failed.rows.iter().map(|row| (row.value.as_str(), row.count)).collect();
    let rows = all.rows.iter().filter(|row| watched.consumer.takes(&row.value));
    let found = rows.map(|row| {
        let wrong = failed.get(row.value.as_str()).copied().unwrap_or(0);
        let enough = row.count >= watched.at_least();
        let rate = if enough { wrong as f64 / row.count.max(1) as f64 } else { 0.0 };
        let text = if enough { share(rate) } else { format!("only {} spans", row.count) };
        let query = Query::is(Field::Service, row.value.as_str()).and(Query::is(Field::Status, "failed"));
        Reading {
            labels: labels([("consumer", &row.value)]),
            value: Some(rate),
            says: format!(
                "{text} of what {} processed in {} failed ({wrong} of {})",
                row.value,
                told(window),
                row.count
            ),
            text,
            page: Page::Flows(query.to_string()),
        }
    });
    Ok(Readings::of(found.collect()))
}

fn told(window: std::time::Duration) -> String {
    duration(window.as_secs_f64() * 1e3)
}
