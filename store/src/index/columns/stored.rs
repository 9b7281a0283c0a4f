//! Columns as bytes: numbers as differences, which zstd then packs well, because neighbours are alike.

use bytes::Bytes;
use prost::Message;

use super::{Columns, FIELDS, FieldColumn, NO_DURATION};

/// zstd's level: 3 packs columns a third better than 1 and costs microseconds, because there is so little of them.
const LEVEL: i32 = 3;

/// The most bytes that columns may unpack to: far above what the largest segment has, and a bound on what damaged bytes can ask for.
const UNPACKED_BYTES_MAX: usize = 256 << 20;

#[derive(Clone, PartialEq, Message)]
struct StoredColumns {
    #[prost(sint64, repeated, tag = "1")]
    time_steps: Vec<i64>,
    #[prost(sint64, repeated, tag = "2")]
    sequence_steps: Vec<i64>,
    /// One more than the duration; 0 for none.
    #[prost(uint64, repeated, tag = "3")]
    durations: Vec<u64>,
    #[prost(message, repeated, tag = "4")]
    fields: Vec<StoredField>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredField {
    /// The place of the field in [`FIELDS`].
    #[prost(uint32, tag = "1")]
    field: u32,
    #[prost(message, repeated, tag = "2")]
    lists: Vec<StoredList>,
    #[prost(uint32, repeated, tag = "3")]
    numbers: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredList {
    #[prost(string, repeated, tag = "1")]
    values: Vec<String>,
}

/// Columns as bytes.
pub fn write(columns: &Columns) -> std::io::Result<Vec<u8>> {
    let sequences: Vec<i64> = columns.sequences.iter().map(|sequence| *sequence as i64).collect();
    let fields = columns.fields.iter().enumerate().map(|(place, column)| StoredField {
        field: place as u32,
        lists: column.lists.iter().map(|values| StoredList { values: values.clone() }).collect(),
        numbers: column.numbers.clone(),
    });
    let stored = StoredColumns {
        time_steps: steps(&columns.times),
        sequence_steps: steps(&sequences),
        durations: columns.durations.iter().map(|duration| duration.wrapping_add(1)).collect(),
        fields: fields.collect(),
    };
    zstd::bulk::compress(&stored.encode_to_vec(), LEVEL)
}

/// Columns from bytes, or why they are none.
pub fn read(bytes: &[u8]) -> Result<Columns, String> {
    let unpacked = zstd::bulk::decompress(bytes, unpacked_bytes(bytes)?).map_err(|error| error.to_string())?;
    let stored = StoredColumns::decode(Bytes::from(unpacked)).map_err(|error| error.to_string())?;
    let times = sums(&stored.time_steps);
    let mut columns = Columns {
        sequences: sums(&stored.sequence_steps).into_iter().map(|sequence| sequence as u64).collect(),
        durations: stored.durations.iter().map(|duration| duration.wrapping_sub(1)).collect(),
        times,
        ..Columns::default()
    };
    for field in stored.fields {
        // A column of a later version is left out: its field is then asked of the bodies.
        let Some(column) = columns.fields.get_mut(field.field as usize) else { continue };
        let lists = field.lists.into_iter().map(|list| list.values).collect();
        *column = FieldColumn { lists, numbers: field.numbers, ..FieldColumn::default() };
    }
    let n_entries = columns.times.len();
    let whole = columns.sequences.len() == n_entries
        && columns.durations.len() == n_entries
        && columns.fields.len() == FIELDS.len()
        && columns.fields.iter().all(|column| {
            let n_lists = column.lists.len();
            column.numbers.len() == n_entries && column.numbers.iter().all(|number| (*number as usize) < n_lists)
        });
    if whole { Ok(columns) } else { Err("columns of different lengths".to_owned()) }
}

fn unpacked_bytes(bytes: &[u8]) -> Result<usize, String> {
    match zstd::zstd_safe::get_frame_content_size(bytes) {
        Ok(Some(size)) if size <= UNPACKED_BYTES_MAX as u64 => Ok(size as usize),
        _ => Err("not a compressed block".to_owned()),
    }
}

fn steps(values: &[i64]) -> Vec<i64> {
    let mut before = 0_i64;
    values.iter().map(|value| value.wrapping_sub(std::mem::replace(&mut before, *value))).collect()
}

fn sums(steps: &[i64]) -> Vec<i64> {
    let mut sum = 0_i64;
    steps
        .iter()
        .map(|step| {
            sum = sum.wrapping_add(*step);
            sum
        })
        .collect()
}

const _: () = assert!(NO_DURATION.wrapping_add(1) == 0, "0 stands for no duration");
