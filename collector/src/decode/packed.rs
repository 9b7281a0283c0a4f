//! Bodies that a producer compressed by itself, beneath the broker's own compression: gzip and zstd.
//!
//! A body is taken for packed where its `content-encoding` says so, or where it begins with the format's mark; and only if all of
//! it unpacks, to its checksum, within a limit: a thousand bytes can unpack to a million, and to a thousand million.

use std::io::{BufReader, Read};

use flate2::read::MultiGzDecoder;
use store::record::Header;

use super::Problem;

/// How a body is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// How far back a zstd frame may refer, as a power of two: what it takes to unpack one grows with it. 8 MiB is what zstd itself
/// reads at its usual levels.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How a body is packed, and whether a header says so.
pub fn packing(headers: &[Header], bytes: &[u8]) -> Option<(Packing, bool)> {
    let mark = match bytes {
        [0x1f, 0x8b, 0x08, ..] => Some(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Packing::Zstd),
        _ => None,
    };
    let named = headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-encoding"));
    let named = match named.and_then(|header| header.value.as_deref()).map(<[u8]>::trim_ascii) {
        Some(name) if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") => Some(Packing::Gzip),
        Some(name) if name.eq_ignore_ascii_case(b"zstd") => Some(Packing::Zstd),
        _ => None,
    };
    match (named, mark) {
        (Some(packing), _) => Some((packing, true)),
        (None, mark) => mark.map(|packing| (packing, false)),
    }
}

/// All that is packed in a body.
pub fn unpack(packing: Packing, bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let mut unpacked = Vec::new();
    let limit = bytes_max as u64 + 1;
    let read = match packing {
        Packing::Gzip => MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut unpacked),
        Packing::Zstd => zstd::stream::read::Decoder::with_buffer(BufReader::new(bytes)).and_then(|mut decoder| {
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            decoder.take(limit).read_to_end(&mut unpacked)
        }),
    };
    read.map_err(|error| Problem::new(format!("it can't be unpacked: {error}")))?;
    if unpacked.len() > bytes_max { Err(Problem::too_large(bytes_max)) } else { Ok(unpacked) }
}

impl Packing {
    /// Its name, as people know it.
    pub fn name(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 3).unwrap()
    }

    #[test]
    fn a_header_or_the_mark_tells_how_a_body_is_packed() {
        let header = |name: &str, value: &'static str| [Header { name: name.into(), value: Some(Bytes::from(value)) }];
        assert_eq!(packing(&[], &gzip(b"a")), Some((Packing::Gzip, false)));
        assert_eq!(packing(&[], &zstd(b"a")), Some((Packing::Zstd, false)));
        assert_eq!(packing(&header("Content-Encoding", "GZIP"), b"a"), Some((Packing::Gzip, true)));
        assert_eq!(packing(&header("content-encoding", "zstd"), b"a"), Some((Packing::Zstd, true)));
        assert_eq!(packing(&header("content-encoding", "identity"), b"a"), None);
        assert_eq!(packing(&[], b"{}"), None);
    }

    #[test]
    fn what_was_packed_comes_out_whole_or_not_at_all() {
        for (packing, packed) in [(Packing::Gzip, gzip(b"{\"a\":1}")), (Packing::Zstd, zstd(b"{\"a\":1}"))] {
            assert_eq!(unpack(packing, &packed, 100).unwrap(), b"{\"a\":1}");
            assert_eq!(
                unpack(packing, &[packed.clone(), packed.clone()].concat(), 100).unwrap(),
                b"{\"a\":1}{\"a\":1}"
            );
            assert!(unpack(packing, &packed[..packed.len() - 1], 100).is_err(), "cut off");
            assert!(unpack(packing, &[packed.clone(), b"more".to_vec()].concat(), 100).is_err(), "more behind it");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let zeros = vec![0; 4 << 20];
        for (packing, packed) in [(Packing::Gzip, gzip(&zeros)), (Packing::Zstd, zstd(&zeros))] {
            assert!(packed.len() < 8_192);
            assert!(unpack(packing, &packed, 1 << 20).unwrap_err().to_string().contains("1048576 bytes"));
        }
        let mut wide = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        wide.window_log(27).unwrap();
        wide.write_all(&zeros).unwrap();
        assert!(unpack(Packing::Zstd, &wide.finish().unwrap(), 8 << 20).is_err(), "it would take 128 MiB to unpack");
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic_nor_exceed_the_limits(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            for (packing, mark) in [(Packing::Gzip, &[0x1f, 0x8b, 0x08][..]), (Packing::Zstd, &[0x28, 0xb5, 0x2f, 0xfd])] {
                if let Ok(unpacked) = unpack(packing, &[mark, &bytes].concat(), 256) {
                    prop_assert!(unpacked.len() <= 256);
                }
            }
        }
    }
}
