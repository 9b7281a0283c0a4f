//! What every handler can reach.

use std::sync::Arc;
use std::time::Instant;

use store::dead_letters::{Decided, Dismissals};
use store::query::QueryError;
use store::redrive::Redrives;
use store::{Board, Journal, Query, Store, StoreError};
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
    /// Which dead letters people sent back, as far as the journal was read.
    pub redrives: Redrives,
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
    /// What was decided of dead letters, up to now.
    pub async fn decided(&self) -> Result<Decided<'_>, StoreError> {
        self.redrives.catch_up(&self.journal).await?;
        Ok(self.decided_so_far())
    }

    /// The same as far as the journal was read already.
    pub fn decided_so_far(&self) -> Decided<'_> {
        Decided { dismissals: &self.dismissals, redrives: &self.redrives }
    }

    /// Reads a query; what it asks of what waits is worked out from what consumer groups have committed now.
    pub fn query(&self, text: &str) -> Result<Query, QueryError> {
        Ok(Query::parse(text)?.with_commits(&self.board))
    }
}
