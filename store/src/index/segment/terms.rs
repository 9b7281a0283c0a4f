//! A segment's index: here is a term, give me the bundles that have it. tantivy's inverted index, one document a bundle.
//!
//! Built in memory, whole: terms and bundles are gathered by [`Postings`], which costs much less than documents do, and written by
//! tantivy's serializer. Kept as one file of ours, so that a segment has few files to sync and each has its checksum in the manifest.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use prost::Message;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, FileSlice, Lock, OwnedBytes, RamDirectory, WatchCallback, WatchHandle,
    WritePtr,
};
use tantivy::index::SegmentComponent;
use tantivy::postings::InvertedIndexSerializer;
use tantivy::schema::{BytesOptions, Field, IndexRecordOption, Schema};
use tantivy::{DocSet, Index, InvertedIndexReader, SegmentReader, TERMINATED, TantivyDocument, TantivyError, Term};

use crate::index::tokens::Postings;

/// How much memory tantivy plans for; of no document, it needs next to none.
const BUILD_BYTES: usize = 1 << 20;

/// How many terms one beginning may stand for before it narrows no more: reading their lists would cost more than looking at the entries.
const BEGINNING_TERMS_MAX: usize = 4_096;

/// Where tantivy says what an index has (tantivy : src/core/mod.rs).
const META: &str = "meta.json";

/// The name of the only field.
const FIELD: &str = "term";

/// The files of tantivy's index, one after the other, and then a table of them and the table's length in 8 bytes.
#[derive(Clone, PartialEq, Message)]
struct Contents {
    #[prost(message, repeated, tag = "1")]
    files: Vec<Inner>,
}

#[derive(Clone, PartialEq, Message)]
struct Inner {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint64, tag = "2")]
    length: u64,
}

/// The whole file, of so many bundles with these terms.
pub fn write(postings: &Postings, n_bundles: u32) -> tantivy::Result<Vec<u8>> {
    let directory = RamDirectory::create();
    let empty = empty()?;
    for (name, bytes) in empty {
        directory.atomic_write(name, bytes)?;
    }
    let index = Index::open(directory.clone())?;
    let field = index.schema().get_field(FIELD)?;
    let mut meta = index.load_metas()?;
    let segment = only_segment(&index)?.with_max_doc(n_bundles);
    let mut serializer = InvertedIndexSerializer::open(&segment)?;
    let mut terms = serializer.new_field(field, 0, None)?;
    for (text, count, bundles) in postings.sorted() {
        terms.new_term(text, count, false)?;
        bundles.for_each(|bundle| terms.write_doc(bundle, 0, &[]));
        terms.close_term()?;
    }
    terms.close()?;
    serializer.close()?;
    meta.segments = vec![segment.meta().clone()];
    directory.atomic_write(Path::new(META), &serde_json::to_vec(&meta).map_err(internal)?)?;
    let mut names: Vec<PathBuf> = empty.iter().map(|(name, _)| name.clone()).collect();
    names.extend(WRITTEN.map(|component| segment.relative_path(component)));
    pack(names, &directory)
}

/// What is written of each index by itself: its terms, and the bundles that have them.
const WRITTEN: [SegmentComponent; 3] =
    [SegmentComponent::Terms, SegmentComponent::Postings, SegmentComponent::Positions];

/// The files of an index without a document, which a reader wants besides those of [`WRITTEN`]. They are the same for every segment,
/// and tantivy takes megabytes of memory to make them.
fn empty() -> tantivy::Result<&'static [(PathBuf, Vec<u8>)]> {
    static EMPTY: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
    if let Some(files) = EMPTY.get() {
        return Ok(files);
    }
    let mut schema = Schema::builder();
    schema.add_bytes_field(FIELD, BytesOptions::default().set_indexed());
    let directory = RamDirectory::create();
    let index = Index::builder()
        .schema(schema.build())
        .single_segment_index_writer::<TantivyDocument>(directory.clone(), BUILD_BYTES)?
        .finalize()?;
    let segment = only_segment(&index)?;
    let written = WRITTEN.map(|component| segment.relative_path(component));
    let mut names = index.directory().list_managed_files();
    names.insert(PathBuf::from(META));
    let mut files = Vec::new();
    for name in names.into_iter().filter(|name| !written.contains(name)) {
        let bytes = directory.open_read(&name)?.read_bytes()?.to_vec();
        files.push((name, bytes));
    }
    Ok(EMPTY.get_or_init(|| files))
}

/// All files in one, and a table of them.
fn pack(mut names: Vec<PathBuf>, directory: &RamDirectory) -> tantivy::Result<Vec<u8>> {
    names.sort_unstable();
    let mut bytes = Vec::new();
    let mut contents = Contents::default();
    for name in names {
        let file = directory.open_read(&name)?.read_bytes()?;
        bytes.extend_from_slice(&file);
        contents.files.push(Inner { name: name.to_string_lossy().into_owned(), length: file.len() as u64 });
    }
    let table = contents.encode_to_vec();
    bytes.extend_from_slice(&table);
    bytes.extend_from_slice(&(table.len() as u64).to_le_bytes());
    Ok(bytes)
}

fn only_segment(index: &Index) -> tantivy::Result<tantivy::Segment> {
    let mut segments = index.searchable_segments()?;
    match (segments.pop(), segments.len()) {
        (Some(segment), 0) => Ok(segment),
        _ => Err(internal("there must be exactly one segment")),
    }
}

fn internal(reason: impl fmt::Display) -> TantivyError {
    TantivyError::InternalError(reason.to_string())
}

/// An index that is being read.
pub struct Terms {
    field: Field,
    index: Arc<InvertedIndexReader>,
    n_bundles: u32,
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms").field("n_bundles", &self.n_bundles).finish_non_exhaustive()
    }
}

impl Terms {
    /// Opens what [`write`] wrote, or says why that can't be done.
    pub fn open(bytes: &OwnedBytes) -> Result<Terms, String> {
        let directory = PackedDirectory::new(bytes).ok_or("its table of contents can't be read")?;
        let open = || -> tantivy::Result<Terms> {
            let index = Index::open(directory)?;
            let field = index.schema().get_field(FIELD)?;
            let reader = SegmentReader::open(&only_segment(&index)?)?;
            Ok(Terms { field, index: reader.inverted_index(field)?, n_bundles: reader.max_doc() })
        };
        open().map_err(|error| error.to_string())
    }

    /// How many bundles it tells apart.
    pub fn n_bundles(&self) -> u32 {
        self.n_bundles
    }

    /// The bundles that have exactly this term, in order.
    pub fn bundles(&self, term: &[u8]) -> io::Result<Vec<u32>> {
        let term = Term::from_field_bytes(self.field, term);
        let mut bundles = Vec::new();
        if let Some(mut postings) = self.index.read_postings(&term, IndexRecordOption::Basic)? {
            while postings.doc() != TERMINATED {
                bundles.push(postings.doc());
                postings.advance();
            }
        }
        Ok(bundles)
    }

    /// The bundles that have a term which begins like this, in order; `None` where too many terms do.
    pub fn bundles_beginning(&self, beginning: &[u8]) -> io::Result<Option<Vec<u32>>> {
        let mut stream = self.index.terms().range().ge(beginning).into_stream()?;
        let mut bundles = Vec::new();
        let mut n_terms = 0;
        while stream.advance() && stream.key().starts_with(beginning) {
            n_terms += 1;
            if n_terms > BEGINNING_TERMS_MAX {
                return Ok(None);
            }
            let mut postings = self.index.read_postings_from_terminfo(stream.value(), IndexRecordOption::Basic)?;
            while postings.doc() != TERMINATED {
                bundles.push(postings.doc());
                postings.advance();
            }
        }
        bundles.sort_unstable();
        bundles.dedup();
        Ok(Some(bundles))
    }
}

/// tantivy's files within one file of ours; for reading only.
#[derive(Clone)]
struct PackedDirectory {
    files: Arc<HashMap<PathBuf, OwnedBytes>>,
}

impl PackedDirectory {
    fn new(bytes: &OwnedBytes) -> Option<PackedDirectory> {
        let table_end = bytes.len().checked_sub(8)?;
        let table_length = u64::from_le_bytes(bytes[table_end..].try_into().ok()?);
        let table_begin = table_end.checked_sub(usize::try_from(table_length).ok()?)?;
        let contents = Contents::decode(&bytes[table_begin..table_end]).ok()?;
        let mut files = HashMap::new();
        let mut begin = 0_usize;
        for file in contents.files {
            let end = begin.checked_add(usize::try_from(file.length).ok()?).filter(|end| *end <= table_begin)?;
            files.insert(PathBuf::from(file.name), bytes.slice(begin..end));
            begin = end;
        }
        Some(PackedDirectory { files: Arc::new(files) })
    }

    fn file(&self, path: &Path) -> Result<OwnedBytes, OpenReadError> {
        self.files.get(path).cloned().ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))
    }
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "a segment never changes")
}

impl fmt::Debug for PackedDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackedDirectory").field("files", &self.files.len()).finish()
    }
}

impl Directory for PackedDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(Arc::new(FileSlice::new(Arc::new(self.file(path)?))))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError { io_error: Arc::new(read_only()), filepath: path.to_owned() })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.files.contains_key(path))
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::IoError { io_error: Arc::new(read_only()), filepath: path.to_owned() })
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        Ok(self.file(path)?.to_vec())
    }

    fn atomic_write(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    /// Nobody else writes, so there is nothing to lock.
    fn acquire_lock(&self, _: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_found_by_whole_and_by_beginning() {
        let mut postings = Postings::default();
        for bundle in 0..300_u32 {
            for term in [b"wall".to_vec(), format!("wword{}", bundle % 10).into_bytes(), vec![0, 255, bundle as u8]] {
                let number = postings.number_of(&term);
                postings.add(number, bundle + 1);
            }
        }
        let terms = Terms::open(&OwnedBytes::new(write(&postings, 300).unwrap())).unwrap();
        assert_eq!(terms.n_bundles(), 300);
        assert_eq!(terms.bundles(b"wall").unwrap(), (0..300).collect::<Vec<_>>());
        assert_eq!(terms.bundles(b"wword3").unwrap().len(), 30);
        assert_eq!(terms.bundles(&[0, 255, 7]).unwrap(), [7, 263]);
        assert_eq!(terms.bundles(b"wwor").unwrap(), [0_u32; 0]);
        assert_eq!(terms.bundles_beginning(b"wwor").unwrap().unwrap().len(), 300);
        assert_eq!(terms.bundles_beginning(b"x").unwrap().unwrap(), [0_u32; 0]);
    }

    #[test]
    fn bundles_without_any_term_are_counted_too() {
        let terms = Terms::open(&OwnedBytes::new(write(&Postings::default(), 3).unwrap())).unwrap();
        assert_eq!(terms.n_bundles(), 3);
        assert_eq!(terms.bundles(b"wall").unwrap(), [0_u32; 0]);
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        for bytes in [&b""[..], b"12345678", &[0xFF; 40]] {
            assert!(Terms::open(&OwnedBytes::new(bytes.to_vec())).is_err());
        }
    }
}
