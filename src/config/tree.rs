//! The settings as written, each with the place where it stands: what file, environment and flags are merged into.
//!
//! Not for typed settings: those are read from this tree by [`super::read`].

use std::ops::Range;

/// Where a setting stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// In the file: a range of its bytes.
    File(Range<usize>),
    /// In an environment variable of this name.
    Variable(String),
    /// In a flag of the command line, such as `--listen`.
    Flag(&'static str),
    /// Nowhere: a section that was left out.
    Default,
}

/// A setting or a table of settings, with its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Where the value stands; for a table its header.
    pub place: Place,
    /// What stands there.
    pub value: Value,
}

/// What stands at a place.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a point.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// A TOML date or time, as written.
    Date(String),
    /// Values in order.
    List(Vec<Node>),
    /// Named values in the order written.
    Table(Vec<Member>),
    /// The text of a variable or flag: whatever type its reader asks for.
    Raw(String),
}

/// One named value of a table.
#[derive(Clone, PartialEq, Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub place: Place,
    /// Its value.
    pub node: Node,
}

/// One step from a table or list to what it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// To the member of this name.
    Key(String),
    /// To the value of this index.
    Index(usize),
}

impl Node {
    /// A table without members.
    pub fn empty(place: Place) -> Node {
        Node { place, value: Value::Table(Vec::new()) }
    }

    /// The member of this name, where this is a table that has it.
    pub fn member(&self, name: &str) -> Option<&Member> {
        match &self.value {
            Value::Table(members) => members.iter().find(|member| member.name == name),
            _ => None,
        }
    }

    /// What lies at the end of these steps.
    pub fn at(&self, steps: &[Step]) -> Option<&Node> {
        let Some((first, rest)) = steps.split_first() else { return Some(self) };
        match (first, &self.value) {
            (Step::Key(name), _) => self.member(name)?.node.at(rest),
            (Step::Index(index), Value::List(nodes)) => nodes.get(*index)?.at(rest),
            (Step::Index(_), _) => None,
        }
    }

    /// Takes out what lies at the end of these steps; false where nothing does.
    pub fn remove(&mut self, steps: &[Step]) -> bool {
        let Some((first, rest)) = steps.split_first() else { return false };
        match (first, &mut self.value) {
            (Step::Key(name), Value::Table(members)) => {
                let Some(index) = members.iter().position(|member| member.name == *name) else { return false };
                if rest.is_empty() {
                    members.remove(index);
                    return true;
                }
                members[index].node.remove(rest)
            }
            (Step::Index(index), Value::List(nodes)) if *index < nodes.len() => {
                if rest.is_empty() {
                    nodes.remove(*index);
                    return true;
                }
                nodes[*index].remove(rest)
            }
            _ => false,
        }
    }

    /// Puts a value at the end of these steps, in place of what stood there, and makes the tables on the way.
    /// A list grows by one where the index is its length. Tells in words what stands in the way.
    pub fn put(&mut self, steps: &[Step], node: Node) -> Result<(), String> {
        let Some((first, rest)) = steps.split_first() else {
            *self = node;
            return Ok(());
        };
        match (first, &mut self.value) {
            (Step::Key(name), Value::Table(members)) => {
                let index = members.iter().position(|member| member.name == *name).unwrap_or_else(|| {
                    members.push(Member { name: name.clone(), place: node.place.clone(), node: between(rest, &node) });
                    members.len() - 1
                });
                if rest.is_empty() {
                    members[index].place = node.place.clone();
                }
                members[index].node.put(rest, node)
            }
            (Step::Index(index), Value::List(nodes)) if *index <= nodes.len() => {
                if *index == nodes.len() {
                    nodes.push(between(rest, &node));
                }
                nodes[*index].put(rest, node)
            }
            (Step::Index(index), Value::List(nodes)) => {
                Err(format!("there are {} before it: the next number is {}, not {index}", nodes.len(), nodes.len()))
            }
            (Step::Index(_), _) => Err("this is no list, so no number belongs here".to_owned()),
            (Step::Key(_), Value::List(_)) => Err("this is a list: its number is missing, such as __0__".to_owned()),
            (Step::Key(_), _) => Err("this is a single value, it has no keys of its own".to_owned()),
        }
    }
}

/// What must stand between a table and the rest of the way to a value that is put there.
fn between(rest: &[Step], node: &Node) -> Node {
    match rest.first() {
        Some(Step::Index(_)) => Node { place: node.place.clone(), value: Value::List(Vec::new()) },
        Some(Step::Key(_)) | None => Node::empty(node.place.clone()),
    }
}
