//! How we fare ourselves: whether sources can be read, whether the disk has room.

use std::collections::BTreeSet;

use store::StoreError;
use store::board::SourceState;
use store::config::Size;

use super::{Around, Blind, Labels, Page, Reading, Readings, Watched, labels};

/// Whether each source can be read.
pub fn sources(watched: &Watched, around: Around<'_>) -> Readings {
    let mut starting = BTreeSet::new();
    let mut found = Vec::new();
    for source in around.board.sources().iter().filter(|source| watched.source.takes(source.name.as_str())) {
        let name = source.name.as_str();
        let value = match source.state {
            SourceState::Down => 1.0,
            SourceState::Up | SourceState::Absent => 0.0,
            SourceState::Starting => {
                starting.insert(name.to_owned());
                continue;
            }
        };
        found.push(Reading {
            labels: labels([("source", name)]),
            value: Some(value),
            text: source.state.as_str().to_owned(),
            // What the broker itself said is on the page: it is no business of a webhook's.
            says: format!("source {name} ({}) is {}", source.kind, source.state.as_str()),
            page: Page::Status,
        });
    }
    let blind = if starting.is_empty() { Blind::Nowhere } else { Blind::At(starting) };
    Readings { found, blind, left_out: 0 }
}

/// How much room the disk has that holds our data.
pub async fn disk(around: Around<'_>) -> Result<Readings, StoreError> {
    let free = around.store.stats().await?.free_bytes;
    let text = free.map_or_else(|| "not known".to_owned(), |bytes| format!("{} free", Size(bytes)));
    Ok(Readings::of(vec![Reading {
        labels: Labels::new(),
        value: free.map(|bytes| bytes as f64),
        says: format!("the disk that holds Sillage's data has {text}"),
        text,
        page: Page::Status,
    }]))
}
