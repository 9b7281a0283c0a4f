//! An Avro schema (Avro 1.12 specification, "Schema declaration"), read once and laid out so that decoding looks up no names.

use std::collections::HashMap;

use serde_json::Value;

use super::logical::Logical;
use crate::decode::Problem;

/// A schema: its types, each at its place.
#[derive(Debug)]
pub struct Schema {
    /// The types, which name each other by their place here.
    pub nodes: Vec<Node>,
    /// Where the schema itself stands.
    pub root: usize,
    /// Its full name, where it is one of the types that have names.
    pub name: Option<String>,
}

/// One type.
#[derive(Debug)]
pub enum Node {
    Null,
    Boolean,
    Int(Logical),
    Long(Logical),
    Float,
    Double,
    Bytes(Logical),
    String,
    /// So many bytes.
    Fixed(usize, Logical),
    /// Its symbols.
    Enum(Vec<String>),
    /// Its items.
    Array(usize),
    /// Its values.
    Map(usize),
    /// Its branches, none of which is a union.
    Union(Vec<usize>),
    /// Its fields with their names.
    Record(Vec<(String, usize)>),
}

impl Schema {
    /// Reads a schema; `references` are the texts of others that it may name, each with the name by which it is referred to.
    pub fn read(text: &str, references: &[(String, String)]) -> Result<Schema, Problem> {
        let mut reading =
            Reading { nodes: Vec::new(), names: HashMap::new(), references: references.to_vec(), depth: 0 };
        let (root, name) = reading.text(text)?;
        Ok(Schema { nodes: reading.nodes, root, name })
    }
}

struct Reading {
    nodes: Vec<Node>,
    /// Where each type with a name stands, by its full name.
    names: HashMap<String, usize>,
    /// What was not needed yet.
    references: Vec<(String, String)>,
    depth: usize,
}

/// How deep types and references may nest: serde_json's own limit for one text, and some references deep.
const DEPTH_MAX: usize = 256;

impl Reading {
    fn text(&mut self, text: &str) -> Result<(usize, Option<String>), Problem> {
        // A primitive type may stand there without quotes, as Confluent's serializers register it.
        let json = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.trim().to_owned()));
        let root = self.node(&json, "")?;
        let name = json.get("name").and_then(Value::as_str).map(|name| full_name(name, json.get("namespace"), ""));
        Ok((root, name))
    }

    /// The type that stands in some JSON, within a namespace.
    fn node(&mut self, json: &Value, namespace: &str) -> Result<usize, Problem> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(wrong("is nested too deep"));
        }
        let node = match json {
            Value::String(name) => self.named(name, namespace)?,
            Value::Array(branches) => {
                let branches: Vec<usize> =
                    branches.iter().map(|branch| self.node(branch, namespace)).collect::<Result<_, _>>()?;
                if branches.iter().any(|branch| matches!(self.nodes[*branch], Node::Union(_))) {
                    return Err(wrong("has a union within a union"));
                }
                self.put(Node::Union(branches))
            }
            Value::Object(_) => self.declared(json, namespace)?,
            _ => return Err(wrong("has a type that is neither a name, a list nor an object")),
        };
        self.depth -= 1;
        Ok(node)
    }

    fn put(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<usize, Problem> {
        if let Some(node) = primitive(name, Logical::Plain) {
            return Ok(self.put(node));
        }
        let full = full_name(name, None, namespace);
        loop {
            if let Some(node) = self.names.get(&full).or_else(|| self.names.get(name)) {
                return Ok(*node);
            }
            // Declared in a schema that this one refers to: probably in the one of that name.
            let meant = self.references.iter().position(|(reference, _)| *reference == full);
            let Some(next) = meant.or(self.references.len().checked_sub(1)) else {
                return Err(wrong(&format!("names `{full}`, which is declared nowhere")));
            };
            let (_, text) = self.references.remove(next);
            self.text(&text)?;
        }
    }

    fn declared(&mut self, json: &Value, namespace: &str) -> Result<usize, Problem> {
        let kind = match &json["type"] {
            Value::String(kind) => kind.as_str(),
            inner @ (Value::Object(_) | Value::Array(_)) => return self.node(inner, namespace),
            _ => return Err(wrong("has a declaration without a type")),
        };
        let logical = logical(json);
        match kind {
            "array" => {
                let items = self.node(&json["items"], namespace)?;
                Ok(self.put(Node::Array(items)))
            }
            "map" => {
                let values = self.node(&json["values"], namespace)?;
                Ok(self.put(Node::Map(values)))
            }
            "record" | "error" | "enum" | "fixed" => self.declared_name(kind, json, namespace),
            primitive_kind => match primitive(primitive_kind, logical) {
                Some(node) => Ok(self.put(node)),
                None => self.named(primitive_kind, namespace),
            },
        }
    }

    fn declared_name(&mut self, kind: &str, json: &Value, namespace: &str) -> Result<usize, Problem> {
        let name = json["name"].as_str().ok_or_else(|| wrong(&format!("has a {kind} without a name")))?;
        let full = full_name(name, json.get("namespace"), namespace);
        match kind {
            "enum" => {
                let symbols = json["symbols"].as_array().ok_or_else(|| wrong("has an enum without symbols"))?;
                let symbols = symbols.iter().map(|symbol| symbol.as_str().unwrap_or_default().to_owned()).collect();
                let node = self.put(Node::Enum(symbols));
                self.names.insert(full, node);
                Ok(node)
            }
            "fixed" => {
                let size = json["size"].as_u64().and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or_else(|| wrong("has a fixed without a size"))?;
                let node = self.put(Node::Fixed(size, logical(json)));
                self.names.insert(full, node);
                Ok(node)
            }
            _ => {
                // Its fields may name it.
                let node = self.put(Node::Record(Vec::new()));
                self.names.insert(full.clone(), node);
                let inner = full.rsplit_once('.').map_or("", |(namespace, _)| namespace);
                let fields = json["fields"].as_array().ok_or_else(|| wrong("has a record without fields"))?;
                let mut read = Vec::with_capacity(fields.len());
                for field in fields {
                    let name = field["name"].as_str().ok_or_else(|| wrong("has a field without a name"))?;
                    read.push((name.to_owned(), self.node(&field["type"], inner)?));
                }
                self.nodes[node] = Node::Record(read);
                Ok(node)
            }
        }
    }
}

fn full_name(name: &str, own_namespace: Option<&Value>, namespace: &str) -> String {
    let namespace = own_namespace.and_then(Value::as_str).unwrap_or(namespace);
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn primitive(name: &str, logical: Logical) -> Option<Node> {
    Some(match name {
        "null" => Node::Null,
        "boolean" => Node::Boolean,
        "int" => Node::Int(logical),
        "long" => Node::Long(logical),
        "float" => Node::Float,
        "double" => Node::Double,
        "bytes" => Node::Bytes(logical),
        "string" => Node::String,
        _ => return None,
    })
}

fn logical(json: &Value) -> Logical {
    const MILLI: i64 = 1_000_000;
    const MICRO: i64 = 1_000;
    match json["logicalType"].as_str().unwrap_or_default() {
        "date" => Logical::Date,
        "time-millis" => Logical::Time(MILLI),
        "time-micros" => Logical::Time(MICRO),
        "timestamp-millis" => Logical::Timestamp(MILLI),
        "timestamp-micros" => Logical::Timestamp(MICRO),
        "timestamp-nanos" => Logical::Timestamp(1),
        "local-timestamp-millis" => Logical::LocalTimestamp(MILLI),
        "local-timestamp-micros" => Logical::LocalTimestamp(MICRO),
        "local-timestamp-nanos" => Logical::LocalTimestamp(1),
        "decimal" => Logical::Decimal(json["scale"].as_u64().and_then(|scale| u32::try_from(scale).ok()).unwrap_or(0)),
        "uuid" => Logical::Uuid,
        "duration" => Logical::Duration,
        _ => Logical::Plain,
    }
}

fn wrong(what: &str) -> Problem {
    Problem::new(format!("its Avro schema {what}"))
}
