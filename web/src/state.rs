//! What every handler can reach.

use std::sync::Arc;
use std::time::Instant;

use store::dead_letters::Dismissals;
use store::query::QueryError;
use store::{Board, Journal, Query, Store};
use tokio_util::sync::CancellationToken;

use crate::door::Door;
use crate::href::Links;
use crate::traffic::Traffic;

/// What every handler can reach. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// What Sillage remembers.
    pub store: Arc<dyn Store>,
    /// What people decided.
    pub journal: Journal,
    /// Which dead letters people dismissed.
    pub dismissals: Arc<Dismissals>,
    /// `[redrive]`: what may be sent back.
    pub redrive: store::redrive::Config,
    /// What the collector reports of itself.
    pub board: Arc<Board>,
    /// Writes our addresses.
    pub links: Links,
    /// Who may come in.
    pub door: Arc<Door>,
    /// Whether `/metrics` tells consumer lag by partition.
    pub metrics_partitions: bool,
    /// What the console was asked.
    pub traffic: Arc<Traffic>,
    /// When the console started.
    pub started: Instant,
    /// Cancelled once the console is to stop: streams end themselves.
    pub stopping: CancellationToken,
}

impl AppState {
    /// Reads a query; what it asks of what waits is worked out from what consumer groups have committed now.
    pub fn query(&self, text: &str) -> Result<Query, QueryError> {
        Ok(Query::parse(text)?.with_commits(&self.board))
    }
}
