//! Jumps to a place or a time in a topic: the records from there on, newest first.
//!
//! `3@48213` is a partition and an offset, `48213` an offset of any partition; `-15m` is a time ago, and RFC 3339 one in full, its time of
//! day and zone left out at will.

use store::query::{Field, Test, duration};
use store::{Entry, Place, Query, Timestamp};

use crate::wording;

/// Where somebody wants to go.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Jump {
    /// To an offset, of one partition or of any.
    Offset { partition: Option<i32>, offset: i64 },
    /// To a time.
    Time(Timestamp),
}

/// Reads what somebody typed; nothing where they typed nothing.
pub fn read(text: &str, now: Timestamp) -> Result<Option<Jump>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(ago) = text.strip_prefix('-').and_then(duration) {
        return Ok(Some(Jump::Time(now.minus(ago))));
    }
    let (partition, offset) = match text.split_once('@') {
        Some((partition, offset)) => (Some(partition.trim_start_matches('p').parse::<i32>()), offset.parse::<i64>()),
        None => (None, text.parse()),
    };
    if let (Ok(partition), Ok(offset)) = (partition.transpose(), offset)
        && offset >= 0
        && partition.is_none_or(|partition| partition >= 0)
    {
        return Ok(Some(Jump::Offset { partition, offset }));
    }
    let spaced = text.replacen(' ', "T", 1);
    let forms = [spaced.clone(), format!("{spaced}Z"), format!("{spaced}:00Z"), format!("{spaced}T00:00:00Z")];
    match forms.iter().find_map(|form| Timestamp::from_rfc3339(form)) {
        Some(at) => Ok(Some(Jump::Time(at))),
        None => {
            Err(format!("`{text}` is no place and no time: write `48213`, `3@48213`, `-15m`, or `2026-11-23 14:02`"))
        }
    }
}

impl Jump {
    /// The records from there on, towards older ones.
    pub fn query(self) -> Query {
        match self {
            Jump::Time(at) => {
                Query::Time { from: None, to: Some(Timestamp::from_nanos(at.as_nanos().saturating_add(1))) }
            }
            Jump::Offset { partition, offset } => {
                let until = Query::Term { field: Field::Offset, test: Test::Between(None, Some(offset as f64)) };
                match partition {
                    Some(partition) => until.and(Query::is(Field::Partition, partition.to_string())),
                    None => until,
                }
            }
        }
    }

    /// What is to be said where the first record isn't the one that was meant.
    pub fn says(self, first: Option<&Entry>) -> Option<String> {
        let Jump::Offset { offset: wanted, .. } = self else { return None };
        let found = first.and_then(Entry::as_record).map(|record| &record.position.place);
        let is_it = matches!(found, Some(Place::Offset { offset, .. }) if *offset == wanted);
        let wanted = wording::count(u64::try_from(wanted).unwrap_or(0));
        (!is_it).then(|| format!("Offset {wanted} isn't kept, or isn't the newest of what is: these are before it."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_from_a_time() {
        let now = Timestamp::from_rfc3339("2026-11-23T15:00:00Z").unwrap();
        let at = |text: &str| Some(Jump::Time(Timestamp::from_rfc3339(text).unwrap()));
        for (text, jump) in [
            ("", None),
            ("48213", Some(Jump::Offset { partition: None, offset: 48_213 })),
            (" 3@48213", Some(Jump::Offset { partition: Some(3), offset: 48_213 })),
            ("p3@48213", Some(Jump::Offset { partition: Some(3), offset: 48_213 })),
            ("-15m", at("2026-11-23T14:45:00Z")),
            ("2026-11-23T14:02:11.5+01:00", at("2026-11-23T13:02:11.5Z")),
            ("2026-11-23 14:02:11", at("2026-11-23T14:02:11Z")),
            ("2026-11-23 14:02", at("2026-11-23T14:02:00Z")),
            ("2026-11-23", at("2026-11-23T00:00:00Z")),
        ] {
            assert_eq!(read(text, now), Ok(jump), "{text}");
        }
        for wrong in ["soon", "3@", "@4", "-15", "14:02"] {
            assert!(read(wrong, now).is_err(), "{wrong}");
        }
    }
}
