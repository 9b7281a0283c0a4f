//! Numbers, ids and values in all the spellings that are on the wire.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use store::Value;
use store::span::SpanKind;

use super::mirror::KeyValue;
use crate::otlp::protobuf;
use crate::otlp::wire::{Budget, DecodeError};

thread_local! {
    /// What decoding on this thread may still allocate. Serde's derived code has no place to hand a budget through,
    /// and a request is decoded on one thread from beginning to end.
    static BUDGET: Cell<Option<Budget>> = const { Cell::new(None) };
}

/// Decodes within a budget; an error where it was not enough.
pub(super) fn within<T>(budget: &mut Budget, decode: impl FnOnce() -> T) -> Result<T, DecodeError> {
    BUDGET.set(Some(std::mem::replace(budget, Budget::new())));
    let decoded = decode();
    *budget = BUDGET.take().ok_or(DecodeError::TooLarge)?;
    Ok(decoded)
}

/// Pays for one `T`; false once the budget is spent.
fn pay_for<T>() -> bool {
    let paid = BUDGET.take().and_then(|mut budget| budget.pay_for::<T>().is_ok().then_some(budget));
    let is_paid = paid.is_some();
    BUDGET.set(paid);
    is_paid
}

/// A list, each element paid for; null is an empty one.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    struct List<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Vec<T>, A::Error> {
            let mut values = Vec::new();
            while let Some(value) = from.next_element()? {
                if !pay_for::<T>() {
                    return Err(de::Error::custom("too much for one request"));
                }
                values.push(value);
            }
            Ok(values)
        }
    }

    from.deserialize_any(List(PhantomData))
}

/// Text; null is empty text.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(from)?.unwrap_or_default())
}

/// A number, or text that spells one, or the name of an enum's value.
#[derive(Deserialize)]
#[serde(untagged)]
enum Spelled {
    Unsigned(u64),
    Signed(i64),
    Double(f64),
    Text(String),
}

impl Spelled {
    /// A whole number; `None` for anything else.
    fn whole(&self) -> Option<i128> {
        match self {
            Spelled::Unsigned(number) => Some(i128::from(*number)),
            Spelled::Signed(number) => Some(i128::from(*number)),
            // As proto3's JSON mapping has it, `1e3` is a whole number, too.
            Spelled::Double(number) if number.fract() == 0.0 && number.abs() < 1e18 => Some(*number as i128),
            Spelled::Double(_) => None,
            Spelled::Text(text) => text.trim().parse().ok(),
        }
    }
}

fn whole<'de, D: Deserializer<'de>>(from: D, what: &str) -> Result<i128, D::Error> {
    match Option::<Spelled>::deserialize(from)? {
        None => Ok(0),
        Some(spelled) => spelled.whole().ok_or_else(|| de::Error::custom(format!("expected {what}"))),
    }
}

/// A number of 64 bits without a sign.
pub(super) fn wide<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    u64::try_from(whole(from, "a number")?).map_err(|_| de::Error::custom("a number without a sign is out of range"))
}

/// A number of 32 bits without a sign.
pub(super) fn unsigned<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    u32::try_from(whole(from, "a number")?).map_err(|_| de::Error::custom("a number of 32 bits is out of range"))
}

/// A value of an enum: its number, or its name in `names` (which begin at 0) without regard to the prefix that the enum's values share.
fn enumerated<'de, D: Deserializer<'de>>(from: D, prefix: &str, names: &[&str]) -> Result<u32, D::Error> {
    let Some(spelled) = Option::<Spelled>::deserialize(from)? else { return Ok(0) };
    if let Some(number) = spelled.whole() {
        // A number that is not known yet counts as not told, whatever it is.
        return Ok(u32::try_from(number).unwrap_or(0));
    }
    let Spelled::Text(name) = &spelled else { return Err(de::Error::custom("expected a number or a name")) };
    let name = name.strip_prefix(prefix).unwrap_or(name);
    let known = names.iter().position(|known| known.eq_ignore_ascii_case(name));
    Ok(known.and_then(|index| u32::try_from(index).ok()).unwrap_or(0))
}

/// A span's kind.
pub(super) fn span_kind<'de, D: Deserializer<'de>>(from: D) -> Result<SpanKind, D::Error> {
    const NAMES: [&str; 6] = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
    enumerated(from, "SPAN_KIND_", &NAMES).map(protobuf::span_kind)
}

/// A status' code.
pub(super) fn status_code<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    enumerated(from, "STATUS_CODE_", &["UNSET", "OK", "ERROR"])
}

/// A log's severity.
pub(super) fn severity<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    const NAMES: [&str; 25] = [
        "UNSPECIFIED",
        "TRACE",
        "TRACE2",
        "TRACE3",
        "TRACE4",
        "DEBUG",
        "DEBUG2",
        "DEBUG3",
        "DEBUG4",
        "INFO",
        "INFO2",
        "INFO3",
        "INFO4",
        "WARN",
        "WARN2",
        "WARN3",
        "WARN4",
        "ERROR",
        "ERROR2",
        "ERROR3",
        "ERROR4",
        "FATAL",
        "FATAL2",
        "FATAL3",
        "FATAL4",
    ];
    enumerated(from, "SEVERITY_NUMBER_", &NAMES)
}

/// An id of `N` bytes in hexadecimal digits of either case; `None` where it is empty or no such id.
/// That is no error of the request: the span alone is left out and counted.
#[derive(Default)]
pub(super) struct Hex<const N: usize>(pub(super) Option<[u8; N]>);

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Hex<N>, D::Error> {
        let digits = text(from)?;
        let mut bytes = [0; N];
        Ok(Hex(hex::decode_to_slice(digits, &mut bytes).is_ok().then_some(bytes)))
    }
}

/// An `AnyValue`.
pub(super) struct AnyValue(pub(super) Value);

impl Default for AnyValue {
    fn default() -> AnyValue {
        AnyValue(Value::Empty)
    }
}

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<AnyValue, D::Error> {
        from.deserialize_any(AnyValueVisitor)
    }
}

struct AnyValueVisitor;

impl<'de> Visitor<'de> for AnyValueVisitor {
    type Value = AnyValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object such as {\"stringValue\": \"...\"}")
    }

    fn visit_unit<E>(self) -> Result<AnyValue, E> {
        Ok(AnyValue::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<AnyValue, A::Error> {
        let mut told = Value::Empty;
        while let Some(key) = from.next_key::<String>()? {
            let value = match key.as_str() {
                "stringValue" => from.next_value::<Option<String>>()?.map(|text| Value::Text(text.into())),
                "boolValue" => from.next_value::<Option<bool>>()?.map(Value::Bool),
                "intValue" => from.next_value::<Option<Spelled>>()?.map(int).transpose()?,
                "doubleValue" => from.next_value::<Option<Spelled>>()?.map(double).transpose()?,
                "bytesValue" => from.next_value::<Option<String>>()?.map(bytes).transpose()?,
                "arrayValue" => from
                    .next_value::<Option<Values<AnyValue>>>()?
                    .map(|array| Value::List(array.values.into_iter().map(|value| value.0).collect())),
                "kvlistValue" => from
                    .next_value::<Option<Values<KeyValue>>>()?
                    .map(|entries| Value::Map(super::attributes(entries.values))),
                _ => {
                    from.next_value::<IgnoredAny>()?;
                    None
                }
            };
            told = value.unwrap_or(told);
        }
        Ok(AnyValue(told))
    }
}

/// An `ArrayValue` or `KeyValueList`.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Values<T> {
    #[serde(default = "Vec::new", deserialize_with = "list")]
    values: Vec<T>,
}

fn int<E: de::Error>(spelled: Spelled) -> Result<Value, E> {
    let number = spelled.whole().and_then(|number| i64::try_from(number).ok());
    number.map(Value::Int).ok_or_else(|| E::custom("`intValue` is no whole number of 64 bits"))
}

fn double<E: de::Error>(spelled: Spelled) -> Result<Value, E> {
    let number = match spelled {
        Spelled::Unsigned(number) => Some(number as f64),
        Spelled::Signed(number) => Some(number as f64),
        Spelled::Double(number) => Some(number),
        // `NaN`, `Infinity` and `-Infinity` are among what Rust parses.
        Spelled::Text(text) => text.trim().parse().ok(),
    };
    number.map(Value::Double).ok_or_else(|| E::custom("`doubleValue` is no number"))
}

fn bytes<E: de::Error>(text: String) -> Result<Value, E> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    // Proto3's JSON mapping takes the URL-safe alphabet as well.
    let standard = text.replace('-', "+").replace('_', "/");
    LENIENT.decode(standard).map(Value::Bytes).map_err(|_| E::custom("`bytesValue` is no base64"))
}
