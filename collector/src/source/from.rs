//! Where to begin with a source that nothing is kept of yet.

use std::time::Duration;

use serde::Deserialize;
use store::Timestamp;

/// Where to begin with a source that nothing is kept of yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum From {
    /// At the end: what comes from now on.
    #[default]
    Latest,
    /// At the beginning of what the broker holds.
    Earliest,
    /// With what is at most this old, when we first ask.
    Ago(Duration),
    /// With what the broker took in at or after this time.
    At(Timestamp),
}

impl TryFrom<String> for From {
    type Error = String;

    fn try_from(text: String) -> Result<From, String> {
        match text.as_str() {
            "latest" => return Ok(From::Latest),
            "earliest" => return Ok(From::Earliest),
            _ => {}
        }
        if let Some(ago) = text.strip_prefix('-').and_then(duration) {
            return Ok(From::Ago(ago));
        }
        Timestamp::from_rfc3339(&text).map(From::At).ok_or_else(|| {
            format!(
                "`{text}` is no place to begin: write \"latest\", \"earliest\", \"-1h\" or a time such as \"2026-11-23T00:00:00Z\""
            )
        })
    }
}

/// `90s`, `15m`, `1h`, `7d`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number: u64 = text[..text.len() - unit.len_utf8()].parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_to_begin_is_written_in_four_ways() {
        let read = |text: &str| From::try_from(text.to_owned());
        assert_eq!(read("latest"), Ok(From::Latest));
        assert_eq!(read("earliest"), Ok(From::Earliest));
        assert_eq!(read("-90m"), Ok(From::Ago(Duration::from_secs(5_400))));
        assert_eq!(
            read("2026-11-23T00:00:00Z"),
            Ok(From::At(Timestamp::from_rfc3339("2026-11-23T00:00:00Z").unwrap()))
        );
        for wrong in ["", "-", "1h", "-1y", "-é", "yesterday", "-99999999999999999999d"] {
            assert!(read(wrong).unwrap_err().contains("no place to begin"), "{wrong}");
        }
    }
}
