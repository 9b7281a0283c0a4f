//! Numbers of payment cards: told from other long numbers by their issuer, their length and their check digit (ISO/IEC 7812, Luhn).

use std::ops::Range;

/// The fewest digits that a card's number has.
pub(super) const DIGITS_MIN: usize = 13;

/// The most digits that are looked for. Numbers of 17 to 19 digits are allowed, but hardly issued, and every 64-bit id has as many.
const DIGITS_MAX: usize = 16;

/// How people write them apart: Visa, Mastercard, JCB, Discover; American Express; Diners.
const GROUPS: [&[usize]; 3] = [&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];

/// The first card's number at or after a place.
pub(super) fn find(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let mut at = from;
    // Every number has a digit, or what stands between two, at one of the places that are looked at: so most bytes never are.
    while at + DIGITS_MIN <= bytes.len() {
        let probe = at + DIGITS_MIN - 1;
        if !is_inside(bytes[probe]) {
            at = probe + 1;
            continue;
        }
        let begin = at.max(probe + 1 - bytes[..=probe].iter().rev().take_while(|byte| is_inside(**byte)).count());
        let end = probe + bytes[probe..].iter().take_while(|byte| is_inside(**byte)).count();
        if let Some(found) = in_run(bytes, begin..end) {
            return Some(found);
        }
        at = end + 1;
    }
    None
}

/// Whether a number is a card's.
pub(super) fn is_card(digits: &[u8]) -> bool {
    let length = digits.len();
    if !(DIGITS_MIN..=DIGITS_MAX).contains(&length) || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let first =
        |count: usize| digits[..count].iter().fold(0_u32, |number, digit| number * 10 + u32::from(digit - b'0'));
    // The ranges of the issuers, as ISO/IEC 7812 gives them out: without them every tenth long number would be taken for a card.
    let issued = match first(4) {
        4000..=4999 => matches!(length, 13 | 16),                       // Visa
        5100..=5599 | 2221..=2720 => length == 16,                      // Mastercard
        3400..=3499 | 3700..=3799 => length == 15,                      // American Express
        3000..=3059 | 3095 | 3600..=3699 | 3800..=3999 => length == 14, // Diners
        3528..=3589 => length == 16,                                    // JCB
        6011 | 6440..=6599 | 6200..=6299 => length == 16,               // Discover, UnionPay
        _ => false,
    };
    issued && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(digit - b'0')) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

fn is_inside(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b' ' | b'-')
}

/// A card's number in a run of digits, spaces and dashes.
fn in_run(bytes: &[u8], run: Range<usize>) -> Option<Range<usize>> {
    // A letter beside the digits makes it part of an id.
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut at = run.start;
    while at < run.end {
        let length = bytes[at..run.end].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length > 0 {
            groups.push(at..at + length);
        }
        at += length.max(1);
    }
    let before = |range: &Range<usize>| range.start.checked_sub(1).and_then(|before| bytes.get(before));
    let stands_alone = |range: &Range<usize>| !is_word(before(range)) && !is_word(bytes.get(range.end));
    for (first, group) in groups.iter().enumerate() {
        if stands_alone(group) && is_card(&bytes[group.clone()]) {
            return Some(group.clone());
        }
        for lengths in GROUPS {
            let Some(parts) = groups.get(first..first + lengths.len()) else { continue };
            let whole = parts[0].start..parts[lengths.len() - 1].end;
            let between = bytes[parts[0].end];
            let is_grouped = parts.iter().zip(lengths).all(|(part, length)| part.len() == *length)
                && parts.windows(2).all(|pair| pair[1].start == pair[0].end + 1 && bytes[pair[0].end] == between);
            // With a dash before or behind it is a piece of a longer id, such as a UUID.
            let is_piece = [before(&whole), bytes.get(whole.end)].into_iter().any(|beside| beside == Some(&b'-'));
            if is_grouped && !is_piece && stands_alone(&whole) {
                let digits: Vec<u8> = bytes[whole.clone()].iter().copied().filter(u8::is_ascii_digit).collect();
                if is_card(&digits) {
                    return Some(whole);
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Option<&str> {
        find(text.as_bytes(), 0).map(|found| &text[found])
    }

    #[test]
    fn cards_are_found_as_people_write_them() {
        for card in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "5500-0000-0000-0004",
            "378282246310005",
            "3782 822463 10005",
            "6011111111111117",
            "3530111333300000",
        ] {
            for text in
                [card.to_owned(), format!("paid with {card}, thanks"), format!("{card}\n"), format!("x=\"{card}\"")]
            {
                assert_eq!(check(&text), Some(card), "{text}");
            }
        }
        assert_eq!(check("order 12 of 7: 4111 1111 1111 1111 3"), Some("4111 1111 1111 1111"));
    }

    #[test]
    fn other_long_numbers_are_left_alone() {
        for text in [
            "4111111111111112",    // the check digit is wrong
            "1763941000000",       // milliseconds
            "4106522326014774672", // an id of 64 bits
            "1763941000000000000", // nanoseconds
            "b4111111111111111",   // a piece of an id
            "4111111111111111f",
            "41111111-1111-4111-8111-111111111111", // a UUID of digits
            "00-4111-1111-1111-1111-01",
            "12345678901234567890123",
            "order-4821",
            "2026-11-23 14:02:11",
        ] {
            assert_eq!(check(text), None, "{text}");
        }
    }

    #[test]
    fn a_card_is_found_at_any_place_of_a_text() {
        for before in 0..40 {
            for behind in 0..3 {
                let text = format!("{}4111111111111111{}", ".".repeat(before), ".".repeat(behind));
                assert_eq!(check(&text), Some("4111111111111111"), "{text}");
            }
        }
    }
}
