//! Why something died, told so that the same reason is the same cause, whatever order it was about.

mod frame; // the first frame of a stack trace that is the application's own

use std::fmt;

use sha2::{Digest, Sha256};

use crate::record::Failure;

/// The longest reason that tells causes apart, in letters: what follows is mostly what was wrong with this one message.
const REASON_LETTERS_MAX: usize = 160;

/// A word of so many hexadecimal digits is an id.
const HEX_ID_DIGITS_MIN: usize = 8;

/// Why something died: the exception's type and where it was thrown, else the reason that was given, numbers and ids blanked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Cause {
    /// The exception's type, in full.
    pub exception: Option<String>,
    /// The application's own frame that was first in the stack trace, such as `Billing.charge`.
    pub frame: Option<String>,
    /// The reason in words, numbers and ids blanked; left out where the frame tells more.
    pub reason: Option<String>,
}

impl Cause {
    /// Of what a dead letter says of its failure.
    pub fn of(failure: &Failure) -> Cause {
        let exception = failure.exception.clone().filter(|exception| !exception.trim().is_empty());
        let frame = exception.as_ref().and(failure.stack_trace.as_deref()).and_then(frame::own);
        let message = failure.message.as_deref().map(|message| blanked(first_line(message)));
        let reason = message.filter(|message| frame.is_none() && !message.is_empty());
        Cause { exception, frame, reason }
    }

    /// Of words alone, as a span's status has them.
    pub fn of_text(text: &str) -> Cause {
        let reason = Some(blanked(first_line(text))).filter(|reason| !reason.is_empty());
        Cause { reason, ..Cause::default() }
    }

    /// In words; `None` where no reason was given.
    pub fn told(&self) -> Option<String> {
        (*self != Cause::default()).then(|| self.to_string())
    }

    /// What stands for it in an address, together with the consumer that failed.
    pub fn id(&self, consumer: Option<&str>) -> String {
        let mut digest = Sha256::new();
        for part in [&self.exception, &self.frame, &self.reason].map(Option::as_deref).into_iter().chain([consumer]) {
            // Lengths keep parts apart, and what is missing apart from what is empty.
            digest.update(part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
            digest.update(part.unwrap_or_default());
        }
        hex::encode(&digest.finalize()[..8])
    }
}

impl fmt::Display for Cause {
    /// `GatewayTimeout at Billing.charge`, `GatewayTimeout: no answer in # ms`, or that no reason was given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exception = self.exception.as_deref().map(short);
        match (exception, &self.frame, &self.reason) {
            (Some(exception), Some(frame), _) => write!(f, "{exception} at {frame}"),
            (Some(exception), None, Some(reason)) => write!(f, "{exception}: {reason}"),
            (Some(only), None, None) => f.write_str(only),
            (None, _, Some(reason)) => f.write_str(reason),
            (None, _, None) => f.write_str("no reason given"),
        }
    }
}

/// A type's name without its packages: `GatewayTimeout` of `com.shop.GatewayTimeout`.
fn short(exception: &str) -> &str {
    exception.rsplit(['.', '/', ':']).find(|part| !part.is_empty()).unwrap_or(exception)
}

fn first_line(text: &str) -> &str {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}

/// With `#` for every number, and for every word that is an id in hexadecimal digits.
fn blanked(text: &str) -> String {
    let mut blanked = String::new();
    let mut rest: String = text.chars().take(REASON_LETTERS_MAX).collect();
    while !rest.is_empty() {
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
        let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
        let word: String = rest.drain(..end).collect();
        if is_hex_id(&word) {
            blanked.push('#');
        } else {
            for letter in word.chars() {
                match letter.is_numeric() {
                    true if blanked.ends_with('#') => {}
                    true => blanked.push('#'),
                    false => blanked.push(letter),
                }
            }
        }
        // The separators of one number, as in 12.50, stand within it.
        let starts_number = |rest: &str| rest.chars().nth(1).is_some_and(char::is_numeric);
        if blanked.ends_with('#') && rest.starts_with(['.', ',']) && starts_number(&rest) {
            rest.remove(0);
        } else if let Some(separator) = rest.chars().next() {
            blanked.push(separator);
            rest.remove(0);
        }
    }
    blanked
}

fn is_hex_id(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_hexdigit).count();
    digits >= HEX_ID_DIGITS_MIN
        && word.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
        && word.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::record;

    fn cause(exception: Option<&str>, message: Option<&str>, stack_trace: Option<&str>) -> Cause {
        let mut failure = record("orders.DLT", 0, 0).dead("billing", "").record().failure.unwrap();
        failure.exception = exception.map(str::to_owned);
        failure.message = message.map(str::to_owned);
        failure.stack_trace = stack_trace.map(str::to_owned);
        Cause::of(&failure)
    }

    #[test]
    fn the_same_reason_is_the_same_cause_whatever_order_it_was_about() {
        let declined = |message: &str| cause(Some("com.shop.Declined"), Some(message), None);
        let one =
            declined("order order-48213 of 7f80cd1f-2ef0-4bd9-8c41-a3e2b0d4e6f1: 129.90 EUR declined after 300ms");
        let other = declined("order order-7 of 00000000-2ef0-4bd9-8c41-a3e2b0d4e6f2: 1,250 EUR declined after 2ms");
        assert_eq!(one, other);
        assert_eq!(one.to_string(), "Declined: order order-# of #: # EUR declined after #ms");
        assert_eq!(one.id(Some("billing")), other.id(Some("billing")));
        assert_ne!(one.id(Some("billing")), one.id(Some("shipping")), "in another consumer it is another matter");
        assert_ne!(one.id(None), one.id(Some("")));
    }

    #[test]
    fn where_it_was_thrown_tells_more_than_what_it_said() {
        let stack = "com.shop.Declined: no\n\tat org.springframework.kafka.Listener.call(Listener.java:1)\n\
                     \tat com.shop.Billing.charge(Billing.java:42)";
        let at_charge = cause(Some("com.shop.Declined"), Some("card 1 of Ada"), Some(stack));
        assert_eq!(at_charge.to_string(), "Declined at Billing.charge");
        assert_eq!(at_charge, cause(Some("com.shop.Declined"), Some("something else"), Some(stack)));
    }

    #[test]
    fn what_tells_no_reason_says_so() {
        assert_eq!(cause(None, None, None).to_string(), "no reason given");
        assert_eq!(cause(Some(" "), Some("\n"), Some("junk")).to_string(), "no reason given");
        assert_eq!(cause(None, Some("poison\nand more"), None).to_string(), "poison");
        assert_eq!(cause(Some("TypeError"), None, None).to_string(), "TypeError");
    }

    #[test]
    fn hostile_text_is_cut_and_breaks_nothing() {
        let long = "é9-".repeat(100_000);
        assert!(cause(None, Some(&long), None).to_string().chars().count() <= REASON_LETTERS_MAX);
        assert_eq!(cause(None, Some("…٣٤.٥6 ok"), None).to_string(), "…# ok");
    }
}
