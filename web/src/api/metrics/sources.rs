//! What is watched: whether it answers, how far behind our reading is, what could not be read.

use std::collections::BTreeMap;
use std::time::Duration;

use store::Timestamp;
use store::board::SourceState::{Absent, Down, Starting, Up};

use super::exposition::Exposition;
use super::exposition::Kind::{Counter, Gauge};
use crate::state::AppState;

/// Sources, OTLP and the schema registry among them.
pub fn tell(text: &mut Exposition, state: &AppState) {
    let sources = state.board.sources();
    text.family("sillage_source_up", Gauge, "1 while a source works.");
    for source in &sources {
        let labels = [("source", source.name.as_str()), ("type", source.kind.as_str())];
        text.sample("sillage_source_up", &labels, f64::from(u8::from(source.state == Up)));
    }
    text.family(
        "sillage_source_state",
        Gauge,
        "1 for the state that a source is in; one that is absent was only looked for, because none is configured.",
    );
    for source in &sources {
        for standing in [Starting, Up, Down, Absent] {
            let labels = [("source", source.name.as_str()), ("state", standing.as_str())];
            text.sample("sillage_source_state", &labels, f64::from(u8::from(source.state == standing)));
        }
    }
    text.family("sillage_source_received", Counter, "Entries received since the start.");
    for source in &sources {
        text.sample("sillage_source_received_total", &[("source", source.name.as_str())], source.received as f64);
    }
    text.family(
        "sillage_source_undecoded",
        Counter,
        "Records that could not be read in full; they are kept with the reason.",
    );
    for (source, many) in state.board.undecoded() {
        text.sample("sillage_source_undecoded_total", &[("source", source.as_str())], many as f64);
    }
    text.family("sillage_source_behind_seconds", Gauge, "How far our reading is behind the broker's end.");
    for source in &sources {
        if let Some(behind_ms) = source.behind_ms {
            text.sample("sillage_source_behind_seconds", &[("source", source.name.as_str())], behind_ms as f64 / 1e3);
        }
    }
    text.family("sillage_source_channels", Gauge, "Topics or streams that are watched.");
    for source in &sources {
        text.sample("sillage_source_channels", &[("source", source.name.as_str())], source.channels.len() as f64);
    }
    of_transactions(text, state);
    text.family("sillage_refused", Counter, "What was refused or dropped since the start, by reason.");
    for (reason, many) in state.board.refused() {
        text.sample("sillage_refused_total", &[("reason", &reason)], many as f64);
    }
}

/// What readers of committed records can't reach, by topic. Topics where nothing is open have no sample.
fn of_transactions(text: &mut Exposition, state: &AppState) {
    let now = Timestamp::now();
    let mut topics: BTreeMap<(String, String), (u64, Duration)> = BTreeMap::new();
    for source in state.board.sources() {
        for open in source.transactions {
            let (waiting, open_for) = topics.entry((source.name.to_string(), open.channel.clone())).or_default();
            *waiting += open.waiting();
            *open_for = open.open_for(now).max(*open_for);
        }
    }
    let mut family = |name: &str, help: &str, value: &dyn Fn(&(u64, Duration)) -> f64| {
        text.family(name, Gauge, help);
        for ((source, topic), open) in &topics {
            text.sample(name, &[("source", source), ("topic", topic)], value(open));
        }
    };
    family("sillage_uncommitted_records", "Offsets between last stable offset and high watermark.", &|open| {
        open.0 as f64
    });
    family(
        "sillage_open_transaction_seconds",
        "How long the last stable offset has stood below the high watermark.",
        &|open| open.1.as_secs_f64(),
    );
}
