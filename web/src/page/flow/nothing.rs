//! What is said where nothing is known of a flow: what could be the reason, and where to go from there.

use axum::http::StatusCode;
use store::board::SourceState;
use store::flow::Start;
use store::{Place, Timestamp, topics};

use crate::page::Problem;
use crate::state::AppState;
use crate::wording;

/// The store knows nothing of what was asked for.
pub async fn found(state: &AppState, start: &Start) -> Problem {
    let (title, word) = match start {
        Start::Trace(trace_id) => ("Nothing is known of this trace", trace_id.to_string()),
        Start::Event(id) => ("Nothing is known of this event", id.clone()),
        Start::Record { channel, .. } => ("This record is not held", channel.to_string()),
    };
    let mut says = String::new();
    if let Start::Record { source, channel, place: Place::Offset { partition, offset } } = start
        && let Ok(missing) = topics::missing(&*state.store, &state.board, source, channel.as_str()).await
        && let Some((_, gap)) = missing.gaps.iter().find(|(_, gap)| gap.has(*partition, *offset))
    {
        says = format!("Of this topic, {}. ", gap.sentence().replace('`', ""));
    }
    if let Ok(stats) = state.store.stats().await {
        let since =
            stats.oldest.map(|oldest| format!(", the oldest from {}", wording::clock_short(oldest, Timestamp::now())));
        says += &format!(
            "Sillage holds {} entries{}. What you look for may be older than that, not have arrived yet (spans are sent in batches, a few \
             seconds late), or have been sampled away by whoever sent it. ",
            wording::count(stats.entries),
            since.unwrap_or_default()
        );
    }
    let watched: Vec<String> = state
        .board
        .sources()
        .into_iter()
        .filter(|source| source.state == SourceState::Up)
        .map(|source| source.name.to_string())
        .collect();
    says.push_str(&match watched.as_slice() {
        [] => "No source is up: see Status.".to_owned(),
        names => format!("Watched now: {}.", names.join(", ")),
    });
    let problem = Problem::new(StatusCode::NOT_FOUND, title).because(&says);
    let problem = match start {
        Start::Record { source, .. } => {
            problem.try_instead("The topic's records", state.links.topic(source.as_str(), &word))
        }
        Start::Trace(_) | Start::Event(_) => {
            problem.try_instead("Search for it everywhere", state.links.flows_for(&format!("\"{word}\"")))
        }
    };
    problem.try_instead("All flows", state.links.flows()).try_instead("Status", state.links.status())
}

/// What stands in the address is no trace id.
pub fn no_trace_id(state: &AppState, id: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "This is no trace id")
        .because("A trace id has 32 hexadecimal digits, such as 0af7651916cd43dd8448eb211c80319c.")
        .try_instead("Search for it", state.links.flows_for(&wording::cut(id, 200)))
        .try_instead("All flows", state.links.flows())
}

/// What stands in the address is no place.
pub fn no_place(state: &AppState, place: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "This is no place in a topic")
        .because("A place is a partition and an offset such as 3@48213, or seq:17, or the broker's own id.")
        .try_instead("Search for it", state.links.flows_for(&wording::cut(place, 200)))
        .try_instead("All topics", state.links.topics())
}
