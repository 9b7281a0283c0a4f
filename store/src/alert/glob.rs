//! Names or patterns in a rule: one text, or a list of them.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Names or patterns: `*` stands for any text, `?` for one character, a `!` before it excludes. None at all means everything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Globs(pub Vec<String>);

/// The longest pattern, in bytes: Kafka's longest topic name is 249.
const GLOB_BYTES_MAX: usize = 512;

/// How many patterns one key takes.
const GLOBS_MAX: usize = 100;

impl Globs {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Says what is wrong with a pattern that means nothing, or not what it seems to.
fn checked(glob: &str) -> Result<String, String> {
    let body = glob.strip_prefix('!').unwrap_or(glob);
    let says = match () {
        () if body.trim().is_empty() => "an empty pattern matches nothing".to_owned(),
        () if body.starts_with('!') => format!("`{glob}` excludes twice"),
        () if glob.len() > GLOB_BYTES_MAX => format!("a pattern of more than {GLOB_BYTES_MAX} bytes matches no name"),
        () if body.contains(['[', ']', '{', '}']) => {
            format!(
                "`{glob}` is no pattern: only `*` (any text) and `?` (one character) are understood; give several as a list"
            )
        }
        () => return Ok(glob.to_owned()),
    };
    Err(says)
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Globs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pattern in quotes, or a list of them,")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Globs, E> {
        Ok(Globs(vec![checked(text).map_err(E::custom)?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Globs, A::Error> {
        let mut globs = Vec::new();
        while let Some(Glob(glob)) = items.next_element()? {
            if globs.len() == GLOBS_MAX {
                return Err(de::Error::custom(format!("more than {GLOBS_MAX} patterns")));
            }
            globs.push(glob);
        }
        if globs.is_empty() {
            return Err(de::Error::custom("an empty list matches nothing: leave the key out to mean everything"));
        }
        Ok(Globs(globs))
    }
}

impl<'de> Deserialize<'de> for Globs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Globs, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Glob(String);

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Glob, D::Error> {
        checked(&String::deserialize(deserializer)?).map(Glob).map_err(de::Error::custom)
    }
}
