//! Text that entries share: names of attributes and most of their values are the same in thousands of spans, so one copy of each is held.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// Text that never changes, of which clones share one copy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Arc<str>);

/// The texts of one request, each held once. Not for longer: what nobody else refers to any more would stay.
#[derive(Debug, Default)]
pub struct Texts {
    held: HashSet<Text, RandomState>,
}

/// The longest text that is looked for among those that are held already, in bytes: longer ones are rarely met again.
const SHARED_BYTES_MAX: usize = 256;

/// How many texts are held at the most; further ones are not shared. A request of a thousand spans has some thousands.
const TEXTS_MAX: usize = 16_384;

impl Text {
    /// How many clones there are, this one included.
    pub fn sharers(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl Texts {
    /// This text, and whether it was not held yet.
    pub fn share(&mut self, text: &str) -> (Text, bool) {
        if text.len() > SHARED_BYTES_MAX {
            return (Text::from(text), true);
        }
        if let Some(held) = self.held.get(text) {
            return (held.clone(), false);
        }
        let new = Text::from(text);
        if self.held.len() < TEXTS_MAX {
            self.held.insert(new.clone());
        }
        (new, true)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Default for Text {
    fn default() -> Text {
        Text::from("")
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(text.into())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_held_once_and_a_long_one_not_at_all() {
        let mut texts = Texts::default();
        let (one, is_new) = texts.share("messaging.system");
        assert!(is_new);
        let (other, is_new) = texts.share("messaging.system");
        assert!(!is_new);
        assert_eq!((one.sharers(), &one), (3, &other));
        let long = "x".repeat(SHARED_BYTES_MAX + 1);
        assert!(texts.share(&long).1 && texts.share(&long).1);
    }
}
