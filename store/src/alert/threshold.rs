//! When it is too much: a threshold as written, and what it means in the measure of a kind.

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

use super::kind::Measure;
use crate::config::{Period, Size};

/// A threshold as written: what it means depends on what is measured.
#[derive(Clone, PartialEq, Debug)]
pub enum Threshold {
    /// A bare number.
    Number(f64),
    /// A text, such as `30s`, `5%` or `2GiB`.
    Text(String),
}

/// When a rule begins to hold, and when it stops.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bounds {
    /// It begins to hold beyond this.
    pub enter: f64,
    /// It stops once it isn't beyond this any more.
    pub leave: f64,
    /// True where more is worse.
    pub rises: bool,
}

impl Threshold {
    /// What it means in the measure of a kind; what would be understood where it means nothing.
    pub(super) fn number(&self, measure: Measure) -> Result<f64, String> {
        let text = match self {
            Threshold::Number(number) => number.to_string(),
            Threshold::Text(text) => text.trim().to_owned(),
        };
        let plain = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        match measure {
            Measure::Count => {
                plain.ok_or_else(|| format!("`{text}` is no number: write one without a unit, such as 1000"))
            }
            Measure::Time => {
                text.parse::<Period>().map(|period| period.0.as_secs_f64() * 1e3).map_err(|error| error.to_string())
            }
            Measure::Bytes => text.parse::<Size>().map(|size| size.0 as f64).map_err(|error| error.to_string()),
            Measure::Share => {
                let percent = text.strip_suffix('%').and_then(|text| text.trim().parse::<f64>().ok());
                let share = percent.map(|percent| percent / 100.0).or(plain);
                share
                    .filter(|share| (0.0..=1.0).contains(share))
                    .ok_or_else(|| format!("`{text}` is no share: write it as 5% or 0.05"))
            }
            Measure::Truth => Err("nothing is measured".to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Threshold, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = Threshold;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, or a text such as \"30s\", \"5%\" or \"2GiB\",")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Threshold, E> {
                Ok(Threshold::Number(number as f64))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Threshold, E> {
                Ok(Threshold::Number(number as f64))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Threshold, E> {
                Ok(Threshold::Number(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Threshold, E> {
                Ok(Threshold::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Written)
    }
}
