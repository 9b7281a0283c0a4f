//! Points in time as frameworks write them.

use store::Timestamp;

/// Reads a time in any of the forms that frameworks write.
///
/// | Form | Who |
/// |---|---|
/// | RFC 3339, with an offset | most |
/// | the same without an offset: taken as UTC | Java's `LocalDateTime`, Python's naive `isoformat` |
/// | whole or broken seconds, milliseconds, microseconds or nanoseconds since the epoch, told apart by size | Jackson's default, JavaScript |
/// | `2026-11-23 14:02:11:541000 Z` | NServiceBus : src/NServiceBus.Core/DateTimeOffsetHelper.cs; Wolverine |
/// | RFC 2822 | Eventuate's `DATE` |
pub fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.is_empty() || text.len() > TIME_BYTES_MAX {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-')
        && text.bytes().filter(|byte| *byte == b'-').count() <= 1
    {
        return since_epoch(text);
    }
    Timestamp::from_rfc3339(text)
        .or_else(|| nservicebus(text))
        .or_else(|| without_offset(text))
        .or_else(|| jiff::fmt::rfc2822::parse(text).ok().and_then(|zoned| from_jiff(zoned.timestamp())))
}

/// No form is longer, in bytes.
const TIME_BYTES_MAX: usize = 64;

/// Whole numbers up to these are seconds, milliseconds, microseconds; each bound is the year 5138 in its unit, so that any
/// time since 1973 is told apart rightly.
const SECONDS_BELOW: i64 = 100_000_000_000;
const MILLIS_BELOW: i64 = 100_000_000_000_000;
const MICROS_BELOW: i64 = 100_000_000_000_000_000;

fn since_epoch(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number: i64 = whole.parse().ok()?;
    let unit_nanos = match number.saturating_abs() {
        0..SECONDS_BELOW => 1_000_000_000,
        SECONDS_BELOW..MILLIS_BELOW => 1_000_000,
        MILLIS_BELOW..MICROS_BELOW => 1_000,
        _ => 1,
    };
    let mut nanos = number.checked_mul(unit_nanos)?;
    let mut place = unit_nanos / 10;
    for digit in fraction.bytes().map(|byte| i64::from(byte.wrapping_sub(b'0'))) {
        if !(0..=9).contains(&digit) {
            return None;
        }
        nanos = nanos.checked_add(digit * place * number.signum().min(0).saturating_mul(2).saturating_add(1))?;
        place /= 10;
    }
    Some(Timestamp::from_nanos(nanos))
}

/// `yyyy-MM-dd HH:mm:ss:ffffff Z`: the microseconds follow a colon.
fn nservicebus(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix(" Z")?;
    let (seconds, micros) = text.rsplit_once(':')?;
    (micros.len() == 6).then(|| Timestamp::from_rfc3339(&format!("{}.{micros}Z", seconds.replacen(' ', "T", 1))))?
}

fn without_offset(text: &str) -> Option<Timestamp> {
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    from_jiff(jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?)
}

fn from_jiff(timestamp: jiff::Timestamp) -> Option<Timestamp> {
    i64::try_from(timestamp.as_nanosecond()).ok().map(Timestamp::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instant_is_read_in_every_form() {
        let instant = Timestamp::from_rfc3339("2026-11-23T14:02:11.541Z");
        for form in [
            "2026-11-23T14:02:11.541Z",
            "2026-11-23T15:02:11.541+01:00",
            "2026-11-23T14:02:11.541",
            "2026-11-23 14:02:11.541",
            "1795442531.541",
            "1795442531541",
            "1795442531541000",
            "1795442531541000000",
            "2026-11-23 14:02:11:541000 Z",
        ] {
            assert_eq!(time(form), instant, "{form}");
        }
        assert_eq!(time("Mon, 23 Nov 2026 14:02:11 GMT"), Timestamp::from_rfc3339("2026-11-23T14:02:11Z"));
        assert_eq!(time("1795442531"), Timestamp::from_rfc3339("2026-11-23T14:02:11Z"));
        assert_eq!(time("-1.5"), Some(Timestamp::from_nanos(-1_500_000_000)));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "soon", "-", ".", "1.2.3", "2026-11", "9223372036854775807000", "é", "2026-13-45T99:00:00Z"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
