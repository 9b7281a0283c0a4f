//! The `[store]` section of the configuration, and the small types in which periods and sizes are written there.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// Where the store is and what it may take. Every key may be left out.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The data folder; made where it isn't there. `sillage-data` in the working folder by default.
    pub path: PathBuf,
    /// Entries older than this, by when they were received, are removed. 7 days by default: a week's incident can still be looked into.
    pub retention: Period,
    /// When the data folder is larger than this, the oldest entries are removed. 10 GiB by default: fits any developer's disk.
    pub retention_size: Size,
    /// What an acknowledgement promises. `fsync` by default: nothing acknowledged is lost, whatever happens to the machine.
    pub durability: Durability,
    /// How much memory the process may take; the store keeps its own share of it. 512 MiB by default.
    pub memory_limit: Size,
    /// So many entries make a segment. 50,000 by default: segments of 12,000 to 240,000 entries differ little in size on disk, and a
    /// smaller one is sealed sooner.
    pub seal_entries: NonZeroUsize,
    /// Entries that have waited for so long make a segment, however few they are. 10 minutes by default: a quiet store has few segments,
    /// and little to replay.
    pub seal_age: Period,
}

/// What `seal_entries` is by default.
const SEAL_ENTRIES: NonZeroUsize = NonZeroUsize::new(50_000).expect("it isn't zero");

impl Default for Config {
    fn default() -> Config {
        Config {
            path: PathBuf::from("sillage-data"),
            retention: Period(Duration::from_secs(7 * 24 * 3_600)),
            retention_size: Size(10 << 30),
            durability: Durability::Fsync,
            memory_limit: Size(512 << 20),
            seal_entries: SEAL_ENTRIES,
            seal_age: Period(Duration::from_secs(600)),
        }
    }
}

/// What an acknowledgement promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// What was acknowledged outlives a power cut.
    #[default]
    Fsync,
    /// It outlives a crash of the process, but not of the machine: for laptops.
    Os,
}

/// A length of time, written as a number and a unit: `250ms`, `30s`, `2m`, `12h`, `7d`, `2w`; several may follow one another, `1h30m`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Period(pub Duration);

/// A number of bytes, written as a number and a unit: `512MiB`, `10GiB`, `1.5GB`; without a unit it counts bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Size(pub u64);

/// A text that is no period or size.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{text}` is no {expected}")]
pub struct Unreadable {
    text: String,
    expected: &'static str,
}

/// Milliseconds per unit.
const PERIOD_UNITS: [(&str, f64); 6] =
    [("ms", 1.0), ("s", 1e3), ("m", 60e3), ("h", 3_600e3), ("d", 86_400e3), ("w", 7.0 * 86_400e3)];

/// Bytes per unit: powers of 1,024 with an `i`, powers of 1,000 without, as IEC and SI have it.
const SIZE_UNITS: [(&str, f64); 10] = [
    ("", 1.0),
    ("b", 1.0),
    ("kib", 1_024.0),
    ("mib", 1_048_576.0),
    ("gib", 1_073_741_824.0),
    ("tib", 1_099_511_627_776.0),
    ("kb", 1e3),
    ("mb", 1e6),
    ("gb", 1e9),
    ("tb", 1e12),
];

impl FromStr for Period {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Period, Unreadable> {
        let unreadable = || Unreadable {
            text: text.to_owned(),
            expected: "length of time: write a number and a unit, such as 30s, 2m, 12h or 7d",
        };
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(unreadable());
        }
        let mut millis = 0.0;
        while !rest.is_empty() {
            let (number, after) = leading_number(rest).ok_or_else(unreadable)?;
            let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let unit = after[..unit_end].trim();
            let (_, factor) = PERIOD_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(unreadable)?;
            millis += number * factor;
            rest = &after[unit_end..];
        }
        // A hundred years: longer is a slip of the pen, and would overflow times later on.
        if millis > 100.0 * 365.0 * 86_400e3 {
            return Err(unreadable());
        }
        Ok(Period(Duration::from_secs_f64(millis / 1e3)))
    }
}

impl FromStr for Size {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Size, Unreadable> {
        let unreadable = || Unreadable {
            text: text.to_owned(),
            expected: "size: write a number and a unit, such as 512MiB or 10GiB",
        };
        let (number, unit) = leading_number(text.trim()).ok_or_else(unreadable)?;
        let unit = unit.trim().to_ascii_lowercase();
        let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(unreadable)?;
        let bytes = number * factor;
        // An exbibyte: far above any disk, far below where 64 bits end.
        if bytes > (1_u64 << 60) as f64 {
            return Err(unreadable());
        }
        Ok(Size(bytes as u64))
    }
}

/// A number without sign or exponent at the beginning of a text, and what follows.
fn leading_number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Period, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Bytes(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Bytes(bytes) => Ok(Size(bytes)),
            Written::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

impl fmt::Display for Period {
    /// In its largest unit that leaves no rest: `90m`, `7d`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
        let (unit, factor) = units.into_iter().find(|(_, factor)| millis.is_multiple_of(*factor)).unwrap_or(("ms", 1));
        if millis == 0 { f.write_str("0s") } else { write!(f, "{}{unit}", millis / factor) }
    }
}

impl fmt::Display for Size {
    /// In binary units with at most one decimal: `1.5 GiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0 as f64;
        let mut unit = "B";
        for larger in ["KiB", "MiB", "GiB", "TiB"] {
            if value < 1_024.0 {
                break;
            }
            value /= 1_024.0;
            unit = larger;
        }
        let rounded = (value * 10.0).round() / 10.0;
        write!(f, "{rounded} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_written_as_people_write_them() {
        for (text, millis) in
            [("250ms", 250), ("30s", 30_000), ("2m", 120_000), ("1h30m", 5_400_000), ("7d", 604_800_000)]
        {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.0.as_millis(), millis, "{text}");
        }
        for text in ["", "7", "7 days", "-3s", "s", "1e9w", "9999999w"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
        assert_eq!("90m".parse::<Period>().unwrap().to_string(), "90m");
        assert_eq!("48h".parse::<Period>().unwrap().to_string(), "2d");
    }

    #[test]
    fn sizes_are_written_as_people_write_them() {
        for (text, bytes) in [("10GiB", 10 << 30), ("512MiB", 512 << 20), ("1.5 GB", 1_500_000_000), ("4096", 4_096)] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "lots", "10 Gibs", "-1", "99999999TiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        assert_eq!(Size(1_610_612_736).to_string(), "1.5 GiB");
    }

    #[test]
    fn an_unknown_key_is_refused_and_an_empty_section_is_well() {
        let json = |text: &str| serde_json::from_str::<Config>(text);
        assert_eq!(json("{}").unwrap(), Config::default());
        assert!(json(r#"{"retenton": "7d"}"#).is_err());
        let config = json(r#"{"retention": "36h", "durability": "os", "memory_limit": "256MiB"}"#).unwrap();
        assert_eq!(config.retention.0, Duration::from_secs(36 * 3_600));
        assert_eq!(config.durability, Durability::Os);
        assert_eq!(config.memory_limit, Size(256 << 20));
    }
}
