//! Looks for bytes in every file of a data folder, in whatever is compressed or indexed there, too. The store's own tests use it as well.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use prost::Message;
use tantivy::directory::{Directory, RamDirectory};
use tantivy::{Index, SegmentReader};

/// How every zstd frame begins (facebook/zstd : doc/zstd_compression_format.md).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The most bytes that one frame is unpacked to.
const UNPACKED_BYTES_MAX: u64 = 64 << 20;

/// What a file says.
pub struct Content {
    pub path: PathBuf,
    /// Its bytes, and then all that is compressed in it, unpacked.
    pub bytes: Vec<u8>,
    /// The plain words that a segment's index of words has; ids stand there as hashes.
    pub words: Vec<String>,
}

impl Content {
    /// Whether a text stands in it: as it is, or by its plain words where only those are kept.
    pub fn holds(&self, wanted: &str) -> bool {
        let is_plain = |word: &&str| word.len() > 1 && word.chars().all(char::is_alphabetic);
        let plain: Vec<String> =
            wanted.split(|c: char| !c.is_alphanumeric()).filter(is_plain).map(str::to_lowercase).collect();
        let has_all_words = !plain.is_empty() && plain.iter().all(|word| self.words.contains(word));
        has_all_words || self.bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes())
    }
}

/// The files below a folder in which a text stands: plain, compressed, or as words of an index.
pub fn holding(folder: &Path, wanted: &str) -> Vec<PathBuf> {
    contents(folder).into_iter().filter(|content| content.holds(wanted)).map(|content| content.path).collect()
}

/// All files below a folder.
pub fn contents(folder: &Path) -> Vec<Content> {
    let mut found = Vec::new();
    let dictionary = fs::read(folder.join("dictionary")).map(|packed| zstd::stream::decode_all(&packed[..]).unwrap());
    let dictionary = dictionary.unwrap_or_default();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(contents(&path));
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        let words = if path.ends_with("terms") { words(&bytes) } else { Vec::new() };
        let unpacked = unpacked(&bytes, &dictionary);
        bytes.extend(unpacked);
        found.push(Content { path, bytes, words });
    }
    found
}

/// All that is compressed in a file, unpacked. `dictionary` is the one beside it; what was packed without is read with an empty one.
fn unpacked(bytes: &[u8], dictionary: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    for (at, _) in bytes.windows(ZSTD_MAGIC.len()).enumerate().filter(|(_, window)| *window == ZSTD_MAGIC) {
        for dictionary in [dictionary, &[]] {
            // What only looks like a frame, or has others behind it, ends with an error: what came before it counts.
            if let Ok(mut decoder) = zstd::stream::read::Decoder::with_dictionary(&bytes[at..], dictionary) {
                let _ = decoder.by_ref().take(UNPACKED_BYTES_MAX).read_to_end(&mut unpacked);
            }
        }
    }
    unpacked
}

/// See `store/src/index/segment/terms.rs`: tantivy's files, then a table of them, then the table's length.
#[derive(Clone, PartialEq, Message)]
struct Table {
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

/// The plain words of an index of words, which its files hold packed and cut into beginnings and ends.
fn words(bytes: &[u8]) -> Vec<String> {
    let end = bytes.len() - 8;
    let length = u64::from_le_bytes(bytes[end..].try_into().unwrap()) as usize;
    let table = Table::decode(&bytes[end - length..end]).unwrap();
    let directory = RamDirectory::create();
    let mut begin = 0;
    for file in table.files {
        let next = begin + file.length as usize;
        directory.atomic_write(Path::new(&file.name), &bytes[begin..next]).unwrap();
        begin = next;
    }
    let index = Index::open(directory).unwrap();
    let field = index.schema().fields().next().unwrap().0;
    let mut words = Vec::new();
    for segment in index.searchable_segments().unwrap() {
        let inverted = SegmentReader::open(&segment).unwrap().inverted_index(field).unwrap();
        let mut terms = inverted.terms().stream().unwrap();
        while terms.advance() {
            // A plain word stands behind a `w`.
            if let Some(word) = terms.key().strip_prefix(b"w") {
                words.push(String::from_utf8_lossy(word).into_owned());
            }
        }
    }
    words
}
