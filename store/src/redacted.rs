//! What stands where a value was taken out before it was kept, so that pages can tell it from what was sent; and what is taken out.

use std::fmt;

/// What stands in place of a masked value.
pub const MASK: &str = "[redacted]";

/// What the stand-in of a hashed value begins with; [`HASH_DIGITS`] of its SHA-256 follow.
pub const HASH_PREFIX: &str = "redacted-";

/// How many hexadecimal digits of the hash stand there: 64 bits tell any two values of one system apart, and make a word that people can paste.
pub const HASH_DIGITS: usize = 16;

/// Whether something was taken out of a text.
pub fn is_in(text: &str) -> bool {
    let is_hash = |rest: &str| {
        let digits = rest.bytes().take(HASH_DIGITS).filter(u8::is_ascii_hexdigit).count();
        digits == HASH_DIGITS
    };
    text.contains(MASK) || text.match_indices(HASH_PREFIX).any(|(at, found)| is_hash(&text[at + found.len()..]))
}

/// What the collector takes out of values before they are kept, for those who ask beforehand. By default nothing.
#[derive(Default)]
pub struct Redaction {
    /// Whether some of it leaves a gap that nobody can see.
    pub is_silent: bool,
    takes_out: Option<Box<TakesOut>>,
}

type TakesOut = dyn Fn(&[u8]) -> bool + Send + Sync;

impl Redaction {
    /// As the collector does it.
    pub fn new(is_silent: bool, takes_out: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Redaction {
        Redaction { is_silent, takes_out: Some(Box::new(takes_out)) }
    }

    /// Whether something would be taken out of a value.
    pub fn takes_out_of(&self, value: &[u8]) -> bool {
        self.takes_out.as_ref().is_some_and(|takes_out| takes_out(value))
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redaction").field("is_silent", &self.is_silent).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_stand_ins_are_known_and_no_other_word() {
        for text in ["x [redacted] y", "redacted-0123456789abcdef", "a=redacted-0123456789abcdef0"] {
            assert!(is_in(text), "{text}");
        }
        for text in ["", "redacted", "redacted-", "redacted-by-hand", "redacted-0123"] {
            assert!(!is_in(text), "{text}");
        }
    }
}
