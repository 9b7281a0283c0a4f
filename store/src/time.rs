//! Points in time as nanoseconds since the Unix epoch, in UTC.
//!
//! Not a clock: whoever needs "now" asks [`Timestamp::now`] at the edge and passes it in.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970-01-01T00:00:00Z; reaches from 1677 to 2262.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest point that can be held.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// The latest point that can be held.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// The clock of this machine, now.
    pub fn now() -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Timestamp {
        Timestamp(nanos)
    }

    /// From milliseconds since the epoch; what lies outside the range is cut to it.
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Nanoseconds from `earlier` to this; negative where this is the earlier one.
    pub const fn nanos_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This much later.
    pub fn plus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// This much earlier.
    pub fn minus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// From RFC 3339 text such as `2026-11-23T14:02:11.541Z`, in any offset.
    pub fn from_rfc3339(text: &str) -> Option<Timestamp> {
        let parsed: jiff::Timestamp = text.trim().parse().ok()?;
        i64::try_from(parsed.as_nanosecond()).ok().map(Timestamp)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with nine decimals, as the JSON API writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(at) => write!(f, "{at:.9}"),
            Err(_) => write!(f, "{} ns", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_as_rfc3339_with_nanoseconds() {
        let at = Timestamp::from_nanos(1_795_442_531_541_000_002);
        assert_eq!(at.to_string(), "2026-11-23T14:02:11.541000002Z");
        assert_eq!(Timestamp::from_rfc3339(&at.to_string()), Some(at));
        assert_eq!(Timestamp::from_rfc3339("2026-11-23T15:02:11.541000002+01:00"), Some(at));
        assert_eq!(Timestamp::from_rfc3339("yesterday"), None);
        assert_eq!(Timestamp::from_millis(i64::MAX), Timestamp::MAX);
    }
}
