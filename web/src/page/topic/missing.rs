//! What readers of the topic don't get, as the page says it: open transactions, and what expired before it was read.

use store::Timestamp;
use store::board::{OPEN_FOR_LONG, OpenTransaction};
use store::query::{Field, Query};
use store::topics::Missing;

use super::{Row, row};
use crate::href::Href;
use crate::page::Frame;
use crate::wording;

/// How many open records are shown: the first ones tell what the transaction is about.
const OPEN_ROWS: usize = 20;

/// How many gaps stand on the page: the latest ones, so that they don't push the records away.
const GAPS: usize = 3;

/// What readers of the topic don't get.
pub struct MissingView {
    /// One sentence for each partition whose readers wait.
    pub waits: Vec<String>,
    /// What is open, as far as its source shows it.
    pub open: Vec<Row>,
    /// How many more are open than are shown.
    pub open_left: usize,
    /// What expired: when it was noticed, and what.
    pub gaps: Vec<(String, String)>,
    /// Where all of it is, if that is more.
    pub all_gaps: Option<Href>,
}

impl MissingView {
    /// Of what is missing of one topic.
    pub fn new(missing: &Missing, frame: &Frame, now: Timestamp) -> MissingView {
        let all = missing.gaps.get(GAPS).map(|(_, gap)| {
            let query = Query::is(Field::Status, "gap")
                .and(Query::is(Field::Source, gap.source.as_str()))
                .and(Query::is(Field::Topic, gap.channel.as_str()));
            frame.links.live().with("q", &query.to_string())
        });
        let long = missing.transactions.iter().filter(|open| open.open_for(now) >= OPEN_FOR_LONG);
        MissingView {
            waits: long.map(|open| wait(open, now)).collect(),
            open: missing.open.iter().take(OPEN_ROWS).map(|record| row(record, frame, now)).collect(),
            open_left: missing.open.len().saturating_sub(OPEN_ROWS),
            gaps: missing
                .gaps
                .iter()
                .take(GAPS)
                .map(|(at, gap)| (wording::clock_short(*at, now), gap.sentence()))
                .collect(),
            all_gaps: all,
        }
    }
}

/// What one partition's readers wait for.
pub fn wait(open: &OpenTransaction, now: Timestamp) -> String {
    format!(
        "A transaction has been open since at least {}: readers of committed records wait at offset {} of `{}` partition {}, with {} \
         behind it. It ends when its producer ends it, or when the broker does.",
        wording::clock_short(open.since, now),
        open.last_stable,
        open.channel,
        open.partition,
        wording::many(open.waiting(), "offset"),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use store::board::{SourceState, SourceStatus};
    use store::memory::Memory;
    use store::record::Transaction;
    use store::{Board, Checkpoint, Entry, Gap, Record, Store, fixture};

    use super::*;
    use crate::given::Console;

    async fn console() -> Console {
        let now = Timestamp::now();
        let store = Memory::new();
        let gap = Gap { source: "main".into(), channel: "orders".into(), partition: 3, first: 120, last: 480 };
        let entries = vec![Entry::Log(gap.log(now)), fixture::record("orders", 3, 500).event("OrderPlaced").entry()];
        store.append(entries, Checkpoint::none("main".into())).await.unwrap();
        let board = Board::default();
        board.post(SourceStatus {
            name: "main".into(),
            kind: "kafka".to_owned(),
            address: "broker:9092".to_owned(),
            state: SourceState::Up,
            error: None,
            since: now,
            behind_ms: Some(0),
            received: 1,
            channels: Vec::new(),
            unseen: Vec::new(),
            transactions: vec![OpenTransaction {
                channel: "orders".to_owned(),
                partition: 0,
                since: now.minus(Duration::from_secs(60)),
                last_stable: 7,
                end: 9,
            }],
        });
        let open = fixture::record("orders", 0, 7).event("OrderCancelled").key("order-<7>").record();
        board.post_open_records(&"main".into(), vec![Record { transaction: Some(Transaction::Open), ..open }]);
        Console::beside(Arc::new(store), Arc::new(board))
    }

    #[tokio::test]
    async fn a_topic_says_what_its_readers_do_not_get() {
        let console = console().await;
        let page = console.page("/topic/main/orders").await;
        page.shows("offsets 120 to 480 of orders partition 3 expired before they were read");
        page.shows("readers of committed records wait at offset 7 of orders partition 0, with 2 offsets behind it");
        page.shows("Not committed yet").shows("OrderCancelled").shows("open").shows("order-<7>");
        // At the very place, too.
        let answer = console.get("/record/main/orders/3@200").await;
        answer.shows("offsets 120 to 480 of orders partition 3 expired before they were read");
        assert!(!console.get("/record/main/orders/3@481").await.body.contains("expired before"));
    }

    #[tokio::test]
    async fn a_search_tells_what_is_open_beside_what_is_kept() {
        let console = console().await;
        let answer = console.get("/api/v1/search?q=type:OrderCancelled").await.body;
        assert!(
            answer.contains("\"entries\":[],\"open\":[{") && answer.contains("\"transaction\":\"open\""),
            "{answer}"
        );
        let answer = console.get("/api/v1/search?q=type:OrderPlaced").await.body;
        assert!(answer.contains("\"open\":[]"), "{answer}");
        let answer = console.get("/api/v1/topics/main/orders").await.body;
        assert!(answer.contains("\"firstOffset\":120,\"lastOffset\":480"), "{answer}");
        assert!(answer.contains("\"lastStableOffset\":7,\"highWatermark\":9,\"waiting\":2"), "{answer}");
        let live = console.page("/live").await;
        live.shows("offsets 120 to 480").shows("gap");
        assert!(live.body.contains("href=\"/topic/main/orders\""));
    }
}
