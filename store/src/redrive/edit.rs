//! Editing a message before it is sent back: what it was, what it is to be, and where that is kept.
//!
//! An edit holds a payload, and the journal forgets nothing. So it is a file of its own, named after its redrive and durable before the
//! journal asks for that; the journal has its SHA-256. It is kept as long as its dead letter is, and goes with it: by retention, and where
//! somebody wants it forgotten.
//!
//! ```text
//! edits/18b2c09f3a1d = frame(JSON: format, letter, before, after)
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use super::plan::Plan;
use super::records;
use crate::dead_letters::dismissal::SaidPosition;
use crate::engine::{Store, StoreError};
use crate::entry::Entry;
use crate::frame::{self, Looked};
use crate::journal::Journal;
use crate::knot::{Knot, Tie};
use crate::position::Position;
use crate::query::Query;
use crate::record::BodyEncoding;
use crate::redacted::Redaction;
use crate::time::Timestamp;
use crate::{Record, file};

/// The longest value that can be edited, and the longest that it may become, in bytes: what a page carries and people look through.
pub const EDIT_BYTES_MAX: usize = 256 * 1024;

/// The folder of edits in a data folder.
const FOLDER: &str = "edits";

/// How long a file may be unfinished before it is taken for one that a crash left.
const UNFINISHED_FOR: Duration = Duration::from_secs(60);

/// The format of the files that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// What a message's value was, and what it is to be.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Edit {
    format: u32,
    letter: SaidPosition,
    /// The value as it would be sent without it.
    pub before: String,
    /// The value that is sent.
    pub after: String,
}

/// Why a message can't be edited, or not so.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotEdited {
    /// More than one message, or none, would be sent.
    #[error("an edit is of one message, and this is about {0}: name the one dead letter that it is for")]
    NotOne(usize),
    /// Its value is null.
    #[error("its value is null, which deletes its key where a topic is compacted: there is nothing to edit")]
    Null,
    /// Its value is no text.
    #[error(
        "its value is {0}, and only text can be edited: send what is to be processed by a producer that knows its schema"
    )]
    NoText(&'static str),
    /// It is too long, or would be.
    #[error("values of more than {} KiB can't be edited", EDIT_BYTES_MAX / 1024)]
    TooLong,
    /// What is kept lacks something that was sent.
    #[error("a rule of [[redact]] takes something out of what is kept, and an edit of that would send the gap")]
    HasGaps,
    /// Of what is edited something must not be kept.
    #[error(
        "a rule of [[redact]] would take something out of the edited value, and nobody could see later what was sent"
    )]
    WouldHaveGaps,
    /// A form can't hold it as it is.
    #[error(
        "its lines end in several ways, which a form in a browser can't keep: edit it by the API, or by `sillage dead-letters redrive --value-file`"
    )]
    LineEnds,
}

impl Edit {
    /// An edit of what would be sent for a dead letter; `None` where nothing is changed.
    pub fn of(letter: &Position, plan: &Plan, after: String, redaction: &Redaction) -> Result<Option<Edit>, NotEdited> {
        let before = editable(plan, redaction)?;
        if after.len() > EDIT_BYTES_MAX {
            return Err(NotEdited::TooLong);
        }
        if after == before {
            return Ok(None);
        }
        if redaction.takes_out_of(after.as_bytes()) {
            return Err(NotEdited::WouldHaveGaps);
        }
        let before = before.to_owned();
        Ok(Some(Edit { format: FORMAT, letter: SaidPosition::of(letter), before, after }))
    }

    /// What somebody should know before it is sent; in words.
    pub fn warning(&self) -> Option<String> {
        let parse = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text);
        match (parse(&self.before), parse(&self.after)) {
            (Ok(_), Err(error)) => Some(format!("it was JSON, and isn't any more: {error}")),
            _ => None,
        }
    }

    /// What stands for the edited value in the journal.
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self.after.as_bytes()))
    }
}

/// The value of a message as text, where it can be edited.
pub fn editable<'a>(plan: &'a Plan, redaction: &Redaction) -> Result<&'a str, NotEdited> {
    if plan.is_redacted || redaction.is_silent {
        return Err(NotEdited::HasGaps);
    }
    let value = plan.value.as_ref().ok_or(NotEdited::Null)?;
    // A schema's number before JSON is no text, and neither is what a browser can't show.
    let text = std::str::from_utf8(value).ok().filter(|text| !text.contains('\0'));
    let text = match plan.encoding {
        BodyEncoding::Json | BodyEncoding::Text => text.ok_or(NotEdited::NoText("binary"))?,
        other => return Err(NotEdited::NoText(other.as_str())),
    };
    if text.len() > EDIT_BYTES_MAX { Err(NotEdited::TooLong) } else { Ok(text) }
}

/// A value as it comes back from the form that showed it: browsers send every line's end as CR LF, whatever it was
/// (HTML, "Constructing the entry list": newlines are normalised).
pub fn of_form(sent: &str, before: &str) -> Result<String, NotEdited> {
    let text = sent.replace("\r\n", "\n");
    let (all, with_return) = (before.matches('\n').count(), before.matches("\r\n").count());
    if before.matches('\r').count() != with_return || !(with_return == 0 || with_return == all) {
        return Err(NotEdited::LineEnds);
    }
    Ok(if with_return > 0 { text.replace('\n', "\r\n") } else { text })
}

/// The edits of a data folder. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Edits {
    folder: Arc<PathBuf>,
}

impl Edits {
    /// Those that stand beside a journal.
    pub fn beside(journal: &Journal) -> Edits {
        Edits { folder: Arc::new(journal.folder().join(FOLDER)) }
    }

    /// Keeps the edit of a redrive. Durable when it returns.
    pub async fn keep(&self, id: &str, edit: Edit) -> Result<(), StoreError> {
        let (folder, path) = (self.folder.clone(), self.path(id));
        off_the_runtime(move || {
            let text = serde_json::to_vec(&edit).map_err(|error| StoreError::Internal(error.to_string()))?;
            file::make_folder(&folder)?;
            file::replace(&path, &frame::frame(&text))
        })
        .await
    }

    /// The edit of a redrive; `None` where it has none any more.
    pub async fn get(&self, id: &str) -> Result<Option<Edit>, StoreError> {
        let path = self.path(id);
        off_the_runtime(move || read(&path)).await
    }

    /// Removes the edits whose dead letters are not kept any more, and those that a query holds for, before or after. How many went.
    pub async fn sweep(&self, store: &dyn Store, forgotten: Option<&Query>) -> Result<usize, StoreError> {
        let folder = self.folder.clone();
        let names = off_the_runtime(move || file::names(&folder)).await?;
        let mut removed = 0;
        for name in names {
            let goes = match self.get(&name).await {
                Ok(Some(edit)) => edit.goes(store, forgotten).await?,
                Ok(None) => false,
                // What is being written just now looks the same.
                Err(StoreError::Damaged { .. }) if is_young(&name) => false,
                Err(StoreError::Damaged { reason, .. }) => {
                    tracing::warn!("an edited message is removed, because its file is damaged: {reason}");
                    true
                }
                Err(other) => return Err(other),
            };
            if goes {
                let path = self.folder.join(&name);
                off_the_runtime(move || file::remove(&path)).await?;
                removed += 1;
            }
        }
        if removed > 0 {
            let folder = self.folder.clone();
            off_the_runtime(move || file::sync_folder(&folder)).await?;
        }
        Ok(removed)
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }
}

impl Edit {
    async fn goes(&self, store: &dyn Store, forgotten: Option<&Query>) -> Result<bool, StoreError> {
        let Some(position) = self.letter.position() else { return Ok(true) };
        let own = (Tie::Is, Knot::Position(position.channel.clone(), position.place.clone()));
        let found = records(store, &[own]).await?;
        let Some(letter) = found.into_iter().find(|record| record.position == position) else { return Ok(true) };
        let Some(query) = forgotten else { return Ok(false) };
        let with = |text: &String| {
            let record = Record { body: Some(text.clone().into()), decoded: None, ..letter.clone() };
            query.matches(&Entry::Record(record), Timestamp::now())
        };
        Ok(with(&self.before) || with(&self.after))
    }
}

/// What is wrong with the edits of a data folder; nothing is changed.
pub fn look_through(folder: &Path) -> Result<Looked, StoreError> {
    let folder = folder.join(FOLDER);
    let mut looked = Looked::default();
    for name in file::names(&folder)? {
        match read(&folder.join(name)) {
            Ok(_) => {}
            Err(StoreError::Damaged { .. }) => looked.damaged += 1,
            Err(other) => return Err(other),
        }
    }
    Ok(looked)
}

/// Copies the edits of a data folder; how many files, and bytes.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(u64, u64), StoreError> {
    let names = file::names(&from.join(FOLDER))?;
    if names.is_empty() {
        return Ok((0, 0));
    }
    file::make_folder(&to.join(FOLDER))?;
    let mut copied = (0, 0);
    for name in names {
        if let Some(bytes) = file::copy(&from.join(FOLDER).join(&name), &to.join(FOLDER).join(&name))? {
            copied = (copied.0 + 1, copied.1 + bytes);
        }
    }
    file::sync_folder(&to.join(FOLDER))?;
    Ok(copied)
}

fn read(path: &Path) -> Result<Option<Edit>, StoreError> {
    let Some(bytes) = file::read(path)? else { return Ok(None) };
    let damaged = |reason: String| StoreError::Damaged { path: path.display().to_string(), reason };
    let payload = frame::only(&bytes).map_err(damaged)?;
    let edit: Edit = serde_json::from_slice(payload).map_err(|error| damaged(error.to_string()))?;
    if edit.format > FORMAT {
        return Err(StoreError::Unusable(format!(
            "`{}` was written by a newer version of this program (format {}, this one reads up to {FORMAT}): use that version",
            path.display(),
            edit.format
        )));
    }
    Ok(Some(edit))
}

/// Whether a file, by the redrive's id that it is named after, may still be written.
fn is_young(name: &str) -> bool {
    let id = name.split('.').next().unwrap_or_default();
    let asked_at = i64::from_str_radix(id, 16).unwrap_or_default();
    Timestamp::now().as_nanos() - asked_at < UNFINISHED_FOR.as_nanos() as i64
}

async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    spawn_blocking(work).await.map_err(|error| StoreError::Internal(error.to_string()))?
}

#[cfg(test)]
mod tests;
