//! Frames: pieces of a file, each of which can be told to be whole.
//!
//! ```text
//! marker (4 bytes) | length of the payload (4, little endian) | CRC-32 of length and payload (4) | payload
//! ```
//! The marker lets a reader go on behind a damaged piece.

/// What every frame begins with: bytes that no UTF-8 text has, so that it is rarely met by chance.
const MARKER: [u8; 4] = [0xF5, b'S', b'l', 0xFE];

/// How many bytes stand before a payload.
pub const HEAD_BYTES: usize = 12;

/// The largest payload: above the largest group of a log (see `PACKED_BYTES_MAX` there), and a bound on what a damaged length can ask for.
const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// A payload as a frame.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    [&head(payload)[..], payload].concat()
}

/// What stands before a payload.
pub fn head(payload: &[u8]) -> [u8; HEAD_BYTES] {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&MARKER);
    head[4..8].copy_from_slice(&length);
    head[8..].copy_from_slice(&checksum(&length, payload).to_le_bytes());
    head
}

/// The payload of a file that is one frame, as [`file::replace`](crate::file::replace) writes it.
pub fn only(bytes: &[u8]) -> Result<&[u8], String> {
    match at(bytes, 0) {
        Some(payload) if HEAD_BYTES + payload.len() == bytes.len() => Ok(payload),
        Some(_) => Err("bytes follow its end".to_owned()),
        None => Err("its checksum is wrong".to_owned()),
    }
}

/// A piece of a file that is read frame by frame.
#[derive(PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// A whole frame's payload.
    Payload(&'a [u8]),
    /// So many bytes that are no frame, with a whole frame behind them: damage.
    Damaged(usize),
    /// So many bytes at the end that begin a frame and end before it does: a write that was cut short.
    Torn(usize),
    /// So many bytes at the end that are no frame, although they are enough for one: what was being written when the power went
    /// (a length may be durable before its content), or a frame that was damaged later. They don't tell which.
    Doubtful(usize),
}

/// What a look through a file found that it takes piece by piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Looked {
    /// How many pieces can't be read.
    pub damaged: usize,
    /// How many bytes at the end are of a write that was cut short.
    pub torn_bytes: usize,
}

/// The pieces of a file, with where each begins.
pub fn pieces(bytes: &[u8]) -> impl Iterator<Item = (usize, Piece<'_>)> {
    let mut begin = 0;
    std::iter::from_fn(move || {
        if begin >= bytes.len() {
            return None;
        }
        let here = begin;
        if let Some(payload) = at(bytes, here) {
            begin += HEAD_BYTES + payload.len();
            return Some((here, Piece::Payload(payload)));
        }
        let next = (here + 1..bytes.len()).find(|place| bytes[*place] == MARKER[0] && at(bytes, *place).is_some());
        begin = next.unwrap_or(bytes.len());
        let length = begin - here;
        let piece = match next {
            Some(_) => Piece::Damaged(length),
            None if is_cut_short(&bytes[here..]) => Piece::Torn(length),
            None => Piece::Doubtful(length),
        };
        Some((here, piece))
    })
}

fn at(bytes: &[u8], begin: usize) -> Option<&[u8]> {
    let head = bytes.get(begin..begin + HEAD_BYTES)?;
    let (marker, rest) = head.split_at(4);
    let (length_bytes, expected) = rest.split_at(4);
    let length = u32::from_le_bytes(length_bytes.try_into().ok()?) as usize;
    if marker != MARKER || length > PAYLOAD_BYTES_MAX {
        return None;
    }
    let payload = bytes.get(begin + HEAD_BYTES..begin + HEAD_BYTES + length)?;
    (checksum(length_bytes, payload).to_le_bytes() == expected).then_some(payload)
}

/// Whether these bytes begin a frame and end before it does.
fn is_cut_short(bytes: &[u8]) -> bool {
    let n_marker = bytes.len().min(MARKER.len());
    if bytes[..n_marker] != MARKER[..n_marker] {
        return false;
    }
    let Some((head, rest)) = bytes.split_at_checked(HEAD_BYTES) else { return true };
    let length = head[4..8].try_into().map_or(0, u32::from_le_bytes) as usize;
    if length <= rest.len() || length > PAYLOAD_BYTES_MAX {
        return false;
    }
    // A frame that is whole but for its length.
    let actual = u32::try_from(rest.len()).unwrap_or(u32::MAX).to_le_bytes();
    checksum(&actual, rest).to_le_bytes() != head[8..]
}

fn checksum(length: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(length);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_cut_anywhere_costs_the_last_frame_only() {
        let whole = [frame(b"one"), frame(b""), frame(b"three")].concat();
        let last = whole.len() - frame(b"three").len();
        for cut in last..whole.len() {
            let found: Vec<_> = pieces(&whole[..cut]).map(|(_, piece)| piece).collect();
            assert_eq!(found[..2], [Piece::Payload(b"one"), Piece::Payload(b"")]);
            assert_eq!(found.get(2), (cut > last).then_some(&Piece::Torn(cut - last)));
        }
    }

    #[test]
    fn a_last_frame_that_was_damaged_is_not_taken_for_one_that_was_cut_short() {
        let whole = [frame(b"one"), frame(b"three")].concat();
        let last = frame(b"one").len();
        for at in last..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                let found: Vec<_> = pieces(&bytes).map(|(_, piece)| piece).collect();
                assert_eq!(found, [Piece::Payload(b"one"), Piece::Doubtful(whole.len() - last)], "{at}, {bit}");
            }
        }
    }

    #[test]
    fn a_flipped_bit_costs_its_own_frame_only() {
        let whole = [frame(b"one"), frame(b"two"), frame(b"three")].concat();
        let second = frame(b"one").len()..frame(b"one").len() + frame(b"two").len();
        for at in second.clone() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            let found: Vec<_> = pieces(&bytes).map(|(_, piece)| piece).collect();
            assert_eq!(found, [Piece::Payload(b"one"), Piece::Damaged(second.len()), Piece::Payload(b"three")], "{at}");
        }
    }
}
