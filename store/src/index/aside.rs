//! What is damaged is kept aside, in `damaged`, for whoever can make something of it; the rest goes on without.

use std::path::{Path, PathBuf};

use crate::engine::StoreError;
use crate::file;

/// The folder, in a data folder.
pub const DAMAGED: &str = "damaged";

/// What one of the data folder's own files says, and where it is damaged nothing: then a copy of it is kept, and it is said, here and in `lost`.
/// The segments know most of it, and so does the other file that knows what was forgotten.
pub fn unless_damaged<T>(
    folder: &Path,
    name: &str,
    read: Result<Option<T>, StoreError>,
    lost: &mut Vec<String>,
) -> Result<Option<T>, StoreError> {
    let Err(StoreError::Damaged { reason, .. }) = read else { return read };
    let aside = keep_copy(folder, &folder.join(name), name)?;
    let said = format!("`{name}` is damaged: {reason}");
    tracing::error!("{said}; going on with what other files know, and a copy is kept in `{}`", aside.display());
    lost.push(said);
    Ok(None)
}

/// Keeps a copy of a damaged file aside, and says where.
pub fn keep_copy(folder: &Path, path: &Path, name: &str) -> Result<PathBuf, StoreError> {
    let damaged = folder.join(DAMAGED);
    file::make_folder(&damaged)?;
    let aside = damaged.join(name);
    std::fs::copy(path, &aside).map_err(file::failed("can't copy", path))?;
    Ok(aside)
}
