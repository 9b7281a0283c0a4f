//! Forgetting: hidden at once and durably, then gone from every file.
//!
//! ```text
//! keys of all that is meant -> writer: tombstones in the log, live set frozen -> hidden
//!                           -> upkeep: live set sealed without them, its log files removed, segments made anew   (upkeep/forget.rs)
//! ```
//! From the tombstones on nothing depends on whoever asked: what fails is tried again, by itself, when it is asked for once more, and at
//! the next start.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::hash::IdentityKey;
use super::memory_use::IDENTITY_BYTES;
use super::upkeep::forget::Erased;
use super::writer::{Command, chain};
use super::{Index, SEAL_WAIT_MAX, ask};
use crate::engine::{Forgotten, StoreError};
use crate::file;
use crate::query::Query;

/// How long forgetting waits until it is gone from every file; then it goes on without anybody waiting. Less than what `sillage forget` waits for an answer.
const ERASE_WAIT_MAX: Duration = Duration::from_secs(540);

/// How often it is looked meanwhile whether segments can be written at all.
const LOOK: Duration = Duration::from_millis(200);

/// What forgetting may take in memory, as a share of the memory limit: with 512 MiB, some 700,000 entries. They are remembered for good, for
/// they must not come back from a topic that still has them.
const FORGOTTEN_SHARE: u64 = 16;

/// When to try again where no more can be remembered: not by itself, so this is only what such an answer must say.
const RETRY_AFTER: Duration = Duration::from_secs(3_600);

type Answer = oneshot::Receiver<Result<Erased, StoreError>>;

impl Index {
    /// Forgets all that a query holds for, and goes on with what was forgotten before and is not gone from every file yet.
    pub(super) async fn forget_all(&self, query: &Query) -> Result<Forgotten, StoreError> {
        let (shared, wanted) = (self.shared.clone(), query.clone());
        let keys = self.ask(move || Ok(ask::keys(&shared, &wanted))).await?;
        let mut forgotten = Forgotten { unread: self.unread()?, ..Forgotten::default() };
        if keys.is_empty() && self.shared.erasing.keys().is_empty() {
            return Ok(forgotten);
        }
        refuse_too_many(self.shared.forgotten.read().len(), keys.len(), self.shared.config.memory_limit)?;
        let ((reply, answer), (erased, when_erased)) = (oneshot::channel(), oneshot::channel());
        self.command(Command::Forget { keys: keys.clone(), reply, erased })?;
        answer.await.map_err(|_| StoreError::Closed)??;
        let keys: HashSet<IdentityKey> = keys.into_iter().collect();
        forgotten.entries = keys.len() as u64;
        match self.erased(when_erased).await {
            Err(reason) => forgotten.unfinished = Some(reason),
            Ok(erased) => {
                // What was in no segment was in the log, which went when the live set became a segment without it.
                let from_log = keys.difference(&erased.keys).count() as u64;
                forgotten.entries = erased.keys.len() as u64 + from_log;
                if from_log > 0 {
                    forgotten.files.push(("log".to_owned(), from_log));
                }
                forgotten.files.extend(erased.files);
                forgotten.unread = self.unread()?;
            }
        }
        Ok(forgotten)
    }

    /// What was set aside and has entries in it.
    fn unread(&self) -> Result<Vec<String>, StoreError> {
        let mut names = file::names(&self.shared.config.damaged_folder())?;
        names.retain(|name| name.starts_with("segment-") || name.starts_with("log-"));
        Ok(names)
    }

    /// Waits until it is gone from every file, or says why it isn't yet.
    async fn erased(&self, mut answer: Answer) -> Result<Erased, String> {
        let began = Instant::now();
        while began.elapsed() < ERASE_WAIT_MAX {
            match timeout(LOOK, &mut answer).await {
                Ok(Ok(erased)) => return erased.map_err(|error| chain(&error)),
                Ok(Err(_)) => return Err("the store was closed before it was done".to_owned()),
                Err(_) => {
                    let stuck = self.shared.condition.lock().not_sealing.clone();
                    if let Some(reason) = stuck.filter(|_| began.elapsed() > SEAL_WAIT_MAX) {
                        return Err(reason);
                    }
                }
            }
        }
        Err(format!("it takes longer than {} minutes", ERASE_WAIT_MAX.as_secs() / 60))
    }
}

fn refuse_too_many(forgotten: usize, more: usize, memory_limit: u64) -> Result<(), StoreError> {
    let most = memory_limit / FORGOTTEN_SHARE / IDENTITY_BYTES;
    if (forgotten + more) as u64 <= most {
        return Ok(());
    }
    let reason = format!(
        "{more} entries are too many to forget: {forgotten} are forgotten already, and {most} can be kept from coming back within \
         `[store] memory_limit`; raise it, or narrow what is meant"
    );
    Err(StoreError::Refused { reason, retry_after: RETRY_AFTER })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_forgotten_than_can_be_remembered() {
        let memory_limit = 10 * FORGOTTEN_SHARE * IDENTITY_BYTES;
        assert!(refuse_too_many(4, 6, memory_limit).is_ok());
        let refused = refuse_too_many(4, 7, memory_limit).unwrap_err().to_string();
        assert!(refused.contains("4 are forgotten already, and 10 can be kept"), "{refused}");
    }
}
