//! Numbers, times and names as people read them. The same words everywhere; the JSON API writes its own.

use jiff::tz::TimeZone;
use store::Timestamp;

/// A duration with two or three figures that matter: `310 ms`, `4.06 s`, `3 min 12 s`, `2 h 5 min`.
pub fn duration(nanos: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000, "µs"), (1_000_000, "ms"), (1_000_000_000, "s")];
    if nanos < 1_000 {
        return format!("{nanos} ns");
    }
    // What would be rounded up to the next unit is written in it: never "1000 ms".
    for (unit, name) in UNITS {
        let value = nanos as f64 / unit as f64;
        let limit = if name == "s" { 59.95 } else { 999.5 };
        if value < limit {
            return format!("{} {name}", figures(value));
        }
    }
    let seconds = (nanos + 500_000_000) / 1_000_000_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |many: u64, name: &str, rest: u64, rest_name: &str| {
        if rest == 0 { format!("{many} {name}") } else { format!("{many} {name} {rest} {rest_name}") }
    };
    match () {
        () if minutes < 60 => two(minutes, "min", seconds % 60, "s"),
        () if hours < 48 => two(hours, "h", minutes % 60, "min"),
        () => two(days, "d", hours % 24, "h"),
    }
}

/// With three figures that matter, and no zeros after the point: `4.06`, `31`, `0.5`.
fn figures(value: f64) -> String {
    let decimals = match value {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// How long after the start something was: `+0.064`, in seconds with milliseconds; with minutes where it is longer.
pub fn offset(nanos: i64) -> String {
    let sign = if nanos < 0 { '−' } else { '+' };
    let millis = (nanos.unsigned_abs() + 500_000) / 1_000_000;
    let (seconds, rest) = (millis / 1_000, millis % 1_000);
    match seconds {
        0..60 => format!("{sign}{seconds}.{rest:03}"),
        60..3_600 => format!("{sign}{}:{:02}.{rest:03}", seconds / 60, seconds % 60),
        _ => format!("{sign}{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60),
    }
}

/// A number with its thousands set apart: `48,213`.
pub fn count(many: u64) -> String {
    let digits = many.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many of something, in the singular where it is one: `1 record`, `5 records`.
pub fn many(count_of: u64, singular: &str) -> String {
    let plural = if count_of == 1 { "" } else { "s" };
    format!("{} {singular}{plural}", count(count_of))
}

/// Bytes: `640 B`, `64 KiB`, `1.5 GiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1_024.0;
    let mut unit = 0;
    while value >= 1_023.5 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    format!("{} {}", figures(value), UNITS[unit])
}

/// Something per second: `1,842 /s`, `3.50 /s`, `2 /min` below one in ten seconds. With the zeros, so that the points of a
/// column stand below each other.
pub fn rate(many: u64, seconds: f64) -> String {
    let per_second = many as f64 / seconds.max(f64::MIN_POSITIVE);
    match per_second {
        0.0 => "0 /s".to_owned(),
        rate if rate < 0.1 => format!("{} /min", figures(rate * 60.0)),
        rate if rate < 9.995 => format!("{rate:.2} /s"),
        rate if rate < 99.95 => format!("{rate:.1} /s"),
        rate => format!("{} /s", count(rate.round() as u64)),
    }
}

/// Some names, the first four, and how many more there are: `billing, inventory and 3 more`.
pub fn names(all: &[String]) -> String {
    const SHOWN: usize = 4;
    let first = all.iter().take(SHOWN).map(|name| cut(name, 40)).collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(SHOWN) {
        0 if all.is_empty() => "–".to_owned(),
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// A share: `2.1 %`, `38 %`.
pub fn share(part: u64, whole: u64) -> String {
    let percent = if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 };
    if percent > 0.0 && percent < 0.1 { "under 0.1 %".to_owned() } else { format!("{} %", one_decimal(percent)) }
}

fn one_decimal(value: f64) -> String {
    if value >= 9.95 { format!("{value:.0}") } else { format!("{value:.1}").trim_end_matches(".0").to_owned() }
}

/// The time of day in UTC with milliseconds, the day before it where it isn't today's: `14:02:11.480`, `Nov 23 14:02:11.480`.
pub fn clock(at: Timestamp, now: Timestamp) -> String {
    let (Some(at_civil), Some(now_civil)) = (civil(at), civil(now)) else { return at.to_string() };
    let format = match () {
        () if at_civil.date() == now_civil.date() => "%H:%M:%S%.3f",
        () if at_civil.year() == now_civil.year() => "%b %-d %H:%M:%S%.3f",
        () => "%Y-%m-%d %H:%M:%S%.3f",
    };
    at_civil.strftime(format).to_string()
}

/// A point in time in full, as it was sent, without zeros at its end: `2026-11-23T14:02:11.541Z`.
pub fn instant(at: Timestamp) -> String {
    let text = at.to_string();
    match text.strip_suffix('Z') {
        Some(text) if text.contains('.') => format!("{}Z", text.trim_end_matches('0').trim_end_matches('.')),
        _ => text,
    }
}

/// The time of day without fractions: `14:02:11`.
pub fn clock_short(at: Timestamp, now: Timestamp) -> String {
    let clock = clock(at, now);
    clock.rsplit_once('.').map_or(clock.clone(), |(whole, _)| whole.to_owned())
}

/// A tick of a time axis that is so long, in nanoseconds: `14:05`, `14:05:30` on a short one, `Nov 23 06:00` over days.
pub fn tick(at: Timestamp, axis_nanos: u64) -> String {
    const MINUTE: u64 = 60_000_000_000;
    let format = match axis_nanos {
        nanos if nanos < 10 * MINUTE => "%H:%M:%S",
        nanos if nanos <= 26 * 60 * MINUTE => "%H:%M",
        _ => "%b %-d %H:%M",
    };
    civil(at).map_or_else(|| at.to_string(), |at| at.strftime(format).to_string())
}

fn civil(at: Timestamp) -> Option<jiff::civil::DateTime> {
    Some(TimeZone::UTC.to_datetime(jiff::Timestamp::from_nanosecond(i128::from(at.as_nanos())).ok()?))
}

/// The beginning of a text, at most so many bytes, never half a letter.
pub fn beginning(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// Cut to so many letters, with `…` where something is missing.
pub fn cut(text: &str, letters_max: usize) -> String {
    match text.char_indices().nth(letters_max) {
        None => text.to_owned(),
        Some(_) => {
            let kept = letters_max.saturating_sub(1);
            let end = text.char_indices().nth(kept).map_or(text.len(), |(end, _)| end);
            format!("{}…", text[..end].trim_end())
        }
    }
}

/// Text with control characters made visible, so that a payload can't hide anything: U+0007 becomes `␇`.
/// Line ends and tabs stay, marks that turn the direction of writing are named.
pub fn visible(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\n' | '\t' => letter,
            '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(letter)).unwrap_or('␀'),
            '\x7f' => '␡',
            '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            letter => letter,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_figures_that_matter() {
        for (nanos, words) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_500, "1.5 µs"),
            (999_600, "1 ms"),
            (4_000_000, "4 ms"),
            (310_400_000, "310 ms"),
            (999_700_000, "1 s"),
            (4_060_000_000, "4.06 s"),
            (12_340_000_000, "12.3 s"),
            (59_960_000_000, "1 min"),
            (192_000_000_000, "3 min 12 s"),
            (7_500_000_000_000, "2 h 5 min"),
            (200_000_000_000_000, "2 d 7 h"),
        ] {
            assert_eq!(duration(nanos), words, "{nanos}");
        }
    }

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(many(1, "record"), "1 record");
        assert_eq!(many(0, "record"), "0 records");
        assert_eq!(bytes(65_536), "64 KiB");
        assert_eq!(bytes(1_048_575), "1 MiB");
        assert_eq!(rate(18_420, 10.0), "1,842 /s");
        assert_eq!(rate(7, 2.0), "3.50 /s");
        assert_eq!(rate(2, 60.0), "2 /min");
        assert_eq!(share(21, 1_000), "2.1 %");
        assert_eq!(share(1, 1_000_000), "under 0.1 %");
        assert_eq!(share(1, 0), "0 %");
    }

    #[test]
    fn offsets_count_from_the_start() {
        assert_eq!(offset(64_000_000), "+0.064");
        assert_eq!(offset(-3_000_000), "−0.003");
        assert_eq!(offset(62_500_000_000), "+1:02.500");
        assert_eq!(offset(7_200_000_000_000), "+2:00:00");
    }

    #[test]
    fn a_time_says_its_day_only_when_it_is_not_today() {
        let at = |text: &str| Timestamp::from_rfc3339(text).unwrap();
        let now = at("2026-11-23T15:00:00Z");
        assert_eq!(clock(at("2026-11-23T14:02:11.4804Z"), now), "14:02:11.480");
        assert_eq!(clock(at("2026-11-02T14:02:11Z"), now), "Nov 2 14:02:11.000");
        assert_eq!(instant(at("2026-11-02T14:02:11.541Z")), "2026-11-02T14:02:11.541Z");
        assert_eq!(instant(at("2026-11-02T14:02:10Z")), "2026-11-02T14:02:10Z");
        assert_eq!(clock_short(at("2025-11-02T14:02:11Z"), now), "2025-11-02 14:02:11");
    }

    #[test]
    fn long_text_is_cut_and_hidden_text_shown() {
        assert_eq!(cut("order.placed", 12), "order.placed");
        assert_eq!(cut("order.placed-retry", 8), "order.p…");
        assert_eq!(visible("a\x07b\u{202e}c\n"), "a␇b\u{fffd}c\n");
    }
}
