//! Whether a text has the words that are looked for.

use std::borrow::Cow;

use super::words;

/// Whether a text has these words one after the other; the last one may be a beginning.
pub fn has_phrase(text: &str, wanted: &[String], prefix: bool) -> bool {
    let Some((last, before)) = wanted.split_last() else { return true };
    if lacks(text, last) {
        return false;
    }
    let ends = |word: &str| word == last || (prefix && word.starts_with(last.as_str()));
    if before.is_empty() {
        return words(text).any(|word| ends(&word));
    }
    let found: Vec<Cow<'_, str>> = words(text).collect();
    found.windows(wanted.len()).any(|window| {
        let (window_last, window_before) =
            window.split_last().expect("a window is as long as the phrase, which has words");
        ends(window_last) && window_before.iter().zip(before).all(|(word, wanted)| word == wanted)
    })
}

/// How many digits of a UUID stand before its first dash: no word of it with more stands in its text as it is.
const UUID_HEAD_BYTES: usize = 8;

/// Whether a text surely has no word that begins with this one: several times quicker than splitting it, and most texts lack what is looked for.
fn lacks(text: &str, word: &str) -> bool {
    let may_be_of_uuid = word.len() > UUID_HEAD_BYTES && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    // Beyond ASCII, a letter may change its length when it is folded, and even become one of ASCII.
    if may_be_of_uuid || !text.is_ascii() {
        return false;
    }
    let Some(first) = word.bytes().next() else { return false };
    let (text, word) = (text.as_bytes(), word.as_bytes());
    let begins = |at: usize| text.get(at..at + word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word));
    !memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), text).any(begins)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_is_found_by_each_of_its_words_and_by_its_beginning(
            text in prop_oneof![any::<String>(), "([0-9A-Fa-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}|[ -~]{0,9}|İ|\u{212A}){0,4}"],
        ) {
            for word in words(&text) {
                prop_assert!(has_phrase(&text, &[word.to_string()], false), "{word}");
                for (end, _) in word.char_indices().skip(1) {
                    prop_assert!(has_phrase(&text, &[word[..end].to_owned()], true), "{}", &word[..end]);
                }
            }
        }
    }
}
