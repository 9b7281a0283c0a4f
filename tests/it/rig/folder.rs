//! Looks for bytes in every file of a data folder, in whatever is compressed there, too.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How every zstd frame begins (facebook/zstd : doc/zstd_compression_format.md).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The files below a folder in which these bytes stand, plain or compressed.
pub fn holding(folder: &Path, wanted: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let dictionary = fs::read(folder.join("dictionary")).map(|packed| zstd::stream::decode_all(&packed[..]).unwrap());
    let dictionary = dictionary.unwrap_or_default();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, wanted));
        } else if stands_in(&fs::read(&path).unwrap(), &dictionary, wanted.as_bytes()) {
            found.push(path);
        }
    }
    found
}

/// `dictionary` is the one beside the file; what was packed without is read with an empty one.
fn stands_in(bytes: &[u8], dictionary: &[u8], wanted: &[u8]) -> bool {
    let within = |bytes: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
    within(bytes)
        || bytes.windows(ZSTD_MAGIC.len()).enumerate().filter(|(_, window)| *window == ZSTD_MAGIC).any(|(at, _)| {
            [dictionary, &[]].into_iter().any(|dictionary| {
                let mut unpacked = Vec::new();
                // What only looks like a frame, or has others behind it, ends with an error: what came before it counts.
                if let Ok(mut decoder) = zstd::stream::read::Decoder::with_dictionary(&bytes[at..], dictionary) {
                    let _ = decoder.by_ref().take(64 << 20).read_to_end(&mut unpacked);
                }
                within(&unpacked)
            })
        })
}
