//! Avro's logical types, as people write such values. What is out of their range is shown as the bare number that it is.

use jiff::civil::{Date, Time};
use jiff::{Span, Timestamp};

use crate::decode::Problem;
use crate::decode::json::{Around, Json};

/// What a number or bytes mean beyond that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Logical {
    /// Nothing.
    Plain,
    /// Days since the epoch.
    Date,
    /// Since midnight, in so many nanoseconds a unit.
    Time(i64),
    /// Since the epoch, in so many nanoseconds a unit.
    Timestamp(i64),
    /// The same without a time zone.
    LocalTimestamp(i64),
    /// A number without a unit behind so many decimal places.
    Decimal(u32),
    /// A UUID in 16 bytes.
    Uuid,
    /// Months, days and milliseconds, in 4 bytes each.
    Duration,
}

/// How many decimal places a number may have to be written as one; nobody counts in smaller parts.
const PLACES_MAX: u32 = 38;

/// A number.
pub fn number(logical: Logical, number: i64, json: &mut Json) -> Result<(), Problem> {
    let text = match logical {
        Logical::Date => date(number),
        Logical::Time(unit) => time(number, unit),
        Logical::Timestamp(unit) => timestamp(number, unit).map(|at| at.to_string()),
        Logical::LocalTimestamp(unit) => {
            timestamp(number, unit).map(|at| jiff::tz::Offset::UTC.to_datetime(at).to_string())
        }
        Logical::Plain | Logical::Decimal(_) | Logical::Uuid | Logical::Duration => None,
    };
    match text {
        Some(text) => json.string(&text),
        None => json.bare(number),
    }
}

/// Bytes.
pub fn bytes(logical: Logical, bytes: &[u8], json: &mut Json) -> Result<(), Problem> {
    match logical {
        Logical::Decimal(places) => match decimal(bytes, places) {
            Some(text) => json.bare(text),
            None => json.bytes(bytes),
        },
        Logical::Uuid if bytes.len() == 16 => {
            let hex = hex::encode(bytes);
            let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
            json.string(&parts.join("-"))
        }
        Logical::Duration if bytes.len() == 12 => {
            json.begin(Around::Object)?;
            for (name, part) in ["months", "days", "millis"].into_iter().zip(bytes.chunks_exact(4)) {
                json.key(name)?;
                json.bare(u32::from_le_bytes(part.try_into().expect("chunks of four bytes")))?;
            }
            json.end(Around::Object)
        }
        _ => json.bytes(bytes),
    }
}

fn date(days: i64) -> Option<String> {
    let span = Span::new().try_days(days).ok()?;
    Some(Date::constant(1970, 1, 1).checked_add(span).ok()?.to_string())
}

fn time(number: i64, unit_nanos: i64) -> Option<String> {
    let span = Span::new().try_nanoseconds(number.checked_mul(unit_nanos)?).ok()?;
    Some(Time::midnight().checked_add(span).ok()?.to_string())
}

fn timestamp(number: i64, unit_nanos: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(number) * i128::from(unit_nanos)).ok()
}

/// A decimal number from its digits in two's complement, most significant byte first.
fn decimal(bytes: &[u8], places: u32) -> Option<String> {
    if bytes.is_empty() || bytes.len() > size_of::<i128>() || places > PLACES_MAX {
        return None;
    }
    let sign = if bytes[0] >= 0x80 { -1_i128 } else { 0 };
    let number = bytes.iter().fold(sign, |number, byte| number << 8 | i128::from(*byte));
    let places = places as usize;
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    let minus = if number < 0 { "-" } else { "" };
    Some(if part.is_empty() { format!("{minus}{whole}") } else { format!("{minus}{whole}.{part}") })
}
