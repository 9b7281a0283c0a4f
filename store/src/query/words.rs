//! How text is split into words: by the index engine and by [`Query::matches`](super::Query::matches) alike, so that they never disagree.
//!
//! Not for fields: those are compared whole.

use std::borrow::Cow;

/// The longest word, in bytes; a longer one counts by its beginning. Long enough for every hash and id in use
/// (SHA-512 has 128 hexadecimal digits), and a bound on what a base64 blob costs the index.
pub const WORD_BYTES_MAX: usize = 128;

/// The words of a text: runs of letters and digits of any script, in lower case.
///
/// `order-48213` has the words `order` and `48213`: as a phrase they find the whole id, each of them alone finds it too.
/// A UUID is one word, its 32 digits without dashes, because its parts would only swell the index. A Chinese or
/// Japanese character is a word by itself, because there are no spaces to split at.
pub fn words(text: &str) -> Words<'_> {
    Words { rest: text }
}

/// The words of a text; see [`words`].
#[derive(Clone, Debug)]
pub struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Cow<'a, str>> {
        loop {
            if let Some(word) = self.plain() {
                return Some(cut(Cow::Borrowed(word)));
            }
            let start = run_of(self.rest, Class::Apart, |c| !c.is_alphanumeric());
            let rest = &self.rest[start..];
            if rest.is_empty() {
                return None;
            }
            if is_uuid_at_start(rest) {
                self.rest = &rest[UUID_BYTES..];
                let digits = rest[..UUID_BYTES].chars().filter(|c| *c != '-');
                return Some(Cow::Owned(digits.map(|c| c.to_ascii_lowercase()).collect()));
            }
            let (run, folded) = first_run(rest);
            self.rest = &rest[run.len()..];
            let word = if folded { Cow::Borrowed(run) } else { Cow::Owned(fold(run)) };
            if !word.is_empty() {
                return Some(cut(word));
            }
        }
    }
}

impl<'a> Words<'a> {
    /// The next word where it is plain ASCII in lower case between bytes that are apart, as nearly all are; else nothing is taken.
    fn plain(&mut self) -> Option<&'a str> {
        let bytes = self.rest.as_bytes();
        let start = while_of(bytes, Class::Apart);
        let end = start + while_of(&bytes[start..], Class::Plain);
        let ends = bytes.get(end).is_none_or(|byte| CLASSES[usize::from(*byte)] == Class::Apart);
        if start == end || !ends || (end - start == UUID_FIRST_BYTES && is_uuid_at_start(&self.rest[start..])) {
            return None;
        }
        let word = &self.rest[start..end];
        self.rest = &self.rest[end..];
        Some(word)
    }
}

const UUID_BYTES: usize = 36;

/// How many digits a UUID has before its first dash.
const UUID_FIRST_BYTES: usize = 8;

/// Whether the text begins with a UUID that ends where a word ends.
fn is_uuid_at_start(text: &str) -> bool {
    let Some(uuid) = text.as_bytes().get(..UUID_BYTES) else { return false };
    if uuid[UUID_FIRST_BYTES] != b'-' {
        return false;
    }
    let shaped = uuid.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    shaped && !text[UUID_BYTES..].starts_with(char::is_alphanumeric)
}

/// The run of letters and digits at the start, and whether it is in lower case already (true only for plain ASCII).
fn first_run(text: &str) -> (&str, bool) {
    let plain = while_of(text.as_bytes(), Class::Plain);
    if plain > 0 && text.as_bytes().get(plain).is_none_or(|byte| CLASSES[usize::from(*byte)] == Class::Apart) {
        return (&text[..plain], true);
    }
    if let Some(ideograph) = text.chars().next().filter(|c| is_ideograph(*c)) {
        return (&text[..ideograph.len_utf8()], false);
    }
    (&text[..run_of(text, Class::Plain, |c| c.is_alphanumeric() && !is_ideograph(c))], false)
}

/// What a byte is by itself. Most text is ASCII in lower case, and nearly all that is searched for was split into words once:
/// so a table tells that much.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// ASCII that is no letter and no digit.
    Apart,
    /// An ASCII digit or small letter.
    Plain,
    /// A capital, or a part of a character that is no ASCII.
    Other,
}

static CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 128 {
        let c = byte as u8;
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            classes[byte] = Class::Plain;
        } else if !c.is_ascii_uppercase() {
            classes[byte] = Class::Apart;
        }
        byte += 1;
    }
    classes
};

/// How many bytes at the start are of a class.
fn while_of(bytes: &[u8], class: Class) -> usize {
    bytes.iter().position(|byte| CLASSES[usize::from(*byte)] != class).unwrap_or(bytes.len())
}

/// How many bytes at the start are of such characters, to which all of a class belong.
fn run_of(text: &str, class: Class, such: impl Fn(char) -> bool) -> usize {
    let mut at = 0;
    loop {
        at += while_of(&text.as_bytes()[at..], class);
        match text[at..].chars().next() {
            Some(c) if such(c) => at += c.len_utf8(),
            _ => return at,
        }
    }
}

/// In lower case, char by char: a word's beginning is folded like the word, whatever follows. What a capital leaves besides letters
/// (the dot of `İ`) is dropped, so that folding twice is folding once.
fn fold(run: &str) -> String {
    run.chars().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

fn cut(word: Cow<'_, str>) -> Cow<'_, str> {
    if word.len() <= WORD_BYTES_MAX {
        return word;
    }
    let end = (0..=WORD_BYTES_MAX).rev().find(|at| word.is_char_boundary(*at)).unwrap_or(0);
    match word {
        Cow::Borrowed(word) => Cow::Borrowed(&word[..end]),
        Cow::Owned(mut word) => {
            word.truncate(end);
            Cow::Owned(word)
        }
    }
}

/// Kana and the ideographs of all blocks (Unicode : Blocks.txt). Hangul is written with spaces.
fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(words(text).collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn an_id_is_found_whole_and_by_its_parts() {
        check("order-48213", &["order", "48213"]);
        check(r#"{"orderId":"order-48213","total":12.50}"#, &["orderid", "order", "48213", "total", "12", "50"]);
        check("com.acme.OrderService$1", &["com", "acme", "orderservice", "1"]);
    }

    #[test]
    fn a_uuid_is_one_word_however_it_is_written() {
        let word = "0af7651916cd43dd8448eb211c80319c";
        check("0AF76519-16cd-43dd-8448-eb211c80319c", &[word]);
        check("0af7651916cd43dd8448eb211c80319c", &[word]);
        check("evt-0af76519-16cd-43dd-8448-eb211c80319c.v2", &["evt", word, "v2"]);
        check("0af76519-16cd-43dd-8448-eb211c80319cd", &["0af76519", "16cd", "43dd", "8448", "eb211c80319cd"]);
    }

    #[test]
    fn every_script_has_words() {
        check("Ärger über Straße", &["ärger", "über", "straße"]);
        check("注文 失敗 e1", &["注", "文", "失", "敗", "e1"]);
        check("İstanbul", &["istanbul"]);
        check("--- … !!", &[]);
    }

    #[test]
    fn a_word_without_end_costs_no_more_than_its_limit() {
        let blob = "Ab9".repeat(10_000);
        let found: Vec<_> = words(&blob).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].len(), WORD_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn splitting_words_again_gives_the_same_words(text in any::<String>()) {
            let once: Vec<String> = words(&text).map(Cow::into_owned).collect();
            let again: Vec<String> = words(&once.join(" ")).map(Cow::into_owned).collect();
            prop_assert_eq!(once, again);
        }
    }
}
