//! Avro's binary encoding, to JSON (Avro 1.12 specification, "Binary encoding").
//!
//! Reads the bytes by our own hands and not by the `apache-avro` crate: that builds a tree of values first, without a limit on
//! depth (a recursive schema and a body of twos end the process), and may set 512 MiB aside for one length that a sender wrote.
//! Here a value goes straight into [`Json`], whose limits hold for all of it: each step either takes a byte or writes one.

mod logical; // dates, times, decimals
pub mod schema; // what stands where

use super::Problem;
use super::cursor::Cursor;
use super::json::{Around, Json};
use schema::{Node, Schema};

/// One value as JSON, all of the bytes.
pub fn decode(schema: &Schema, bytes: &[u8], bytes_max: usize) -> Result<String, Problem> {
    let mut json = Json::new(bytes_max);
    let mut reader = Reader { schema, bytes: Cursor { rest: bytes } };
    reader.value(schema.root, &mut json)?;
    reader.bytes.end()?;
    Ok(json.into_text())
}

struct Reader<'a> {
    schema: &'a Schema,
    bytes: Cursor<'a>,
}

impl<'a> Reader<'a> {
    fn value(&mut self, node: usize, json: &mut Json) -> Result<(), Problem> {
        match &self.schema.nodes[node] {
            Node::Null => json.bare("null"),
            Node::Boolean => match self.bytes.take(1)? {
                [0] => json.bare(false),
                [1] => json.bare(true),
                _ => Err(Problem::new("a boolean is neither 0 nor 1")),
            },
            Node::Int(logical) => {
                let number = self.long()?;
                let number = i32::try_from(number).map_err(|_| Problem::new("an int is larger than 32 bits"))?;
                logical::number(*logical, number.into(), json)
            }
            Node::Long(logical) => {
                let number = self.long()?;
                logical::number(*logical, number, json)
            }
            Node::Float => json.single(f32::from_le_bytes(self.bytes.array()?)),
            Node::Double => json.float(f64::from_le_bytes(self.bytes.array()?)),
            Node::Bytes(logical) => {
                let length = self.length()?;
                logical::bytes(*logical, self.bytes.take(length)?, json)
            }
            Node::Fixed(length, logical) => logical::bytes(*logical, self.bytes.take(*length)?, json),
            Node::String => {
                let text = self.text()?;
                json.string(text)
            }
            Node::Enum(symbols) => {
                let number = self.long()?;
                let symbol = usize::try_from(number).ok().and_then(|number| symbols.get(number));
                json.string(symbol.ok_or_else(|| Problem::new(format!("an enum has no symbol {number}")))?)
            }
            Node::Union(branches) => {
                let number = self.long()?;
                let branch = usize::try_from(number).ok().and_then(|number| branches.get(number));
                self.value(*branch.ok_or_else(|| Problem::new(format!("a union has no branch {number}")))?, json)
            }
            Node::Record(fields) => {
                json.begin(Around::Object)?;
                for (name, node) in fields {
                    json.key(name)?;
                    self.value(*node, json)?;
                }
                json.end(Around::Object)
            }
            Node::Array(items) => {
                json.begin(Around::List)?;
                self.blocks(|reader| reader.value(*items, json))?;
                json.end(Around::List)
            }
            Node::Map(values) => {
                json.begin(Around::Object)?;
                self.blocks(|reader| {
                    let name = reader.text()?;
                    json.key(name)?;
                    reader.value(*values, json)
                })?;
                json.end(Around::Object)
            }
        }
    }

    /// Items come in blocks, each behind how many it has; a negative number stands before the block's length in bytes, too.
    fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Problem>) -> Result<(), Problem> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                item(self)?;
            }
        }
    }

    fn text(&mut self) -> Result<&'a str, Problem> {
        let length = self.length()?;
        self.bytes.text(length)
    }

    fn length(&mut self) -> Result<usize, Problem> {
        usize::try_from(self.long()?).map_err(|_| Problem::new("a length is negative"))
    }

    /// A zigzag varint of at most ten bytes.
    fn long(&mut self) -> Result<i64, Problem> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let [byte] = self.bytes.array()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
            if byte < 0x80 {
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        Err(Problem::new("a number goes on for more than ten bytes"))
    }
}

#[cfg(test)]
mod tests;
