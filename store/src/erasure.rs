//! Forgetting on somebody's word: what is meant, what would go, and the word in the journal.
//!
//! The journal outlives what is forgotten, so it never says what that was: it has a hash of it, by which whoever asked can show that it was done.

use sha2::{Digest, Sha256};

use crate::engine::{Facet, Forgotten, Store, StoreError};
use crate::journal::{Journal, LineKind};
use crate::query::{Field, Query};
use crate::redrive::Edits;

/// The longest value or query that is taken, in bytes: what a form may hold with room to spare.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;

/// What is to be forgotten.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// What the value is.
    pub by: By,
    /// The value.
    pub value: String,
}

/// What names entries that are to be forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// The key of records, and of the spans that name it.
    Key,
    /// An event's id, of what it is and what refers to it.
    Event,
    /// A trace id.
    Trace,
    /// A query.
    Query,
}

/// What would go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Preview {
    /// Records.
    pub records: u64,
    /// Spans.
    pub spans: u64,
    /// Logs.
    pub logs: u64,
    /// True where there may be more: not everything could be counted in time.
    pub at_least: bool,
    /// Entries that were forgotten before, whatever named them, and still stand in files: forgetting anything goes on with them.
    pub erasing: u64,
}

/// Why nothing can be forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// What is wanted can't be read, or is too much.
    #[error("{0}")]
    Unreadable(String),
    /// The store or the journal failed.
    #[error("the store could not do it")]
    Store(#[from] StoreError),
}

impl By {
    /// Its name on the command line, in the API and in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            By::Key => "key",
            By::Event => "event",
            By::Trace => "trace",
            By::Query => "query",
        }
    }

    /// What a name stands for.
    pub fn from_name(name: &str) -> Option<By> {
        [By::Key, By::Event, By::Trace, By::Query].into_iter().find(|by| by.as_str() == name)
    }
}

impl Wanted {
    /// The query that holds for all that is meant. Refused where it would hold for everything, or asks of whole flows.
    pub fn query(&self) -> Result<Query, ErasureError> {
        let unreadable = |says: &str| Err(ErasureError::Unreadable(says.to_owned()));
        let value = self.value.trim();
        if value.is_empty() {
            return unreadable("say what is to be forgotten");
        }
        if value.len() > VALUE_BYTES_MAX {
            return unreadable("that is too long");
        }
        let query = match self.by {
            By::Key => Query::is(Field::Key, self.value.clone()),
            By::Event => Query::is(Field::Event, value),
            By::Trace => Query::is(Field::Trace, value.to_ascii_lowercase()),
            By::Query => Query::parse(value).map_err(|error| ErasureError::Unreadable(error.to_string()))?,
        };
        if query == Query::All {
            return unreadable("that is everything: stop Sillage and remove the data folder for that");
        }
        if query.asks_of_flow() {
            return unreadable(
                "`flow:(…)` asks of whole flows, and so does `finding:`: search for them, and forget each by its trace id",
            );
        }
        Ok(query)
    }

    /// What stands for the value in the journal: the beginning of its SHA-256.
    pub fn fingerprint(&self) -> String {
        hex::encode(&Sha256::digest(self.value.as_bytes())[..8])
    }

    /// What would go; nothing is changed.
    pub async fn preview(&self, store: &dyn Store) -> Result<Preview, ErasureError> {
        let by_kind = Facet { field: Some(Field::Kind), step: None, values_max: 3 };
        let counts = store.count(&self.query()?, by_kind).await?;
        let of = |kind: &str| counts.rows.iter().find(|row| row.value == kind).map_or(0, |row| row.count);
        let (records, spans, logs) = (of("record"), of("span"), of("log"));
        let erasing = store.stats().await?.erasing;
        Ok(Preview { records, spans, logs, at_least: counts.at_least, erasing })
    }

    /// Forgets it, for good. That somebody wanted it stands in the journal before, what came of it afterwards.
    pub async fn forget(&self, store: &dyn Store, journal: &Journal, who: &str) -> Result<Forgotten, ErasureError> {
        let query = self.query()?;
        let about = format!("forget {} {}", self.by.as_str(), self.fingerprint());
        journal.append(LineKind::Intent, &about, who, &()).await?;
        let outcome = match store.forget(&query).await {
            Ok(forgotten) => Edits::beside(journal).sweep(store, Some(&query)).await.map(|_| forgotten),
            Err(error) => Err(error),
        };
        let says = match &outcome {
            Ok(Forgotten { entries, unfinished: Some(reason), .. }) => {
                format!("{entries} entries are hidden, but not gone from every file yet: {reason}")
            }
            Ok(forgotten) => format!("{} entries went from {} files", forgotten.entries, forgotten.files.len()),
            Err(error) => format!("failed: {error}"),
        };
        journal.append(LineKind::Outcome, &about, who, &says).await?;
        Ok(outcome?)
    }
}

impl Preview {
    /// How many entries.
    pub fn entries(&self) -> u64 {
        self.records + self.spans + self.logs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::engine::PageRequest;
    use crate::fixture;
    use crate::memory::Memory;

    fn wanted(by: By, value: &str) -> Wanted {
        Wanted { by, value: value.to_owned() }
    }

    #[tokio::test]
    async fn what_is_forgotten_is_told_in_the_journal_but_not_named() {
        let folder = tempfile::tempdir().unwrap();
        let (store, journal) = (Memory::new(), Journal::open(folder.path()).unwrap());
        let entries = (0..3).map(|offset| {
            let key = if offset == 1 { "ada@example.org" } else { "bo" };
            fixture::record("orders", 0, offset).key(key).at(offset as f64).entry()
        });
        store.append(entries.collect(), Checkpoint::none("main".into())).await.unwrap();
        let wanted = wanted(By::Key, "ada@example.org");
        assert_eq!(wanted.preview(&store).await.unwrap(), Preview { records: 1, ..Preview::default() });
        assert_eq!(wanted.forget(&store, &journal, "ops").await.unwrap().entries, 1);
        assert_eq!(wanted.preview(&store).await.unwrap().entries(), 0);
        let page = PageRequest { limit: 10, after: None };
        assert_eq!(store.search(&Query::All, page).await.unwrap().entries.len(), 2);
        let lines = journal.replay(0).unwrap();
        let kinds: Vec<LineKind> = lines.iter().map(|line| line.kind).collect();
        assert_eq!(kinds, [LineKind::Intent, LineKind::Outcome]);
        assert!(lines.iter().all(|line| line.by == "ops" && line.about.ends_with(&wanted.fingerprint())));
        let written = std::fs::read_to_string(folder.path().join("journal")).unwrap();
        assert!(!written.contains("ada"), "{written}");
    }

    #[test]
    fn everything_and_nothing_are_refused() {
        for (by, value) in [(By::Key, ""), (By::Query, " "), (By::Query, "key:("), (By::Query, "flow:(status:dead)")] {
            assert!(wanted(by, value).query().is_err(), "{value}");
        }
        assert!(wanted(By::Query, "key:a kind:record").query().is_ok());
    }
}
