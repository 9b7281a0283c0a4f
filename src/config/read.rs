//! Reads typed settings from the tree: every mistake of a section at once, each with its place.
//!
//! serde stops at the first mistake. So: read; on a mistake note it, take the value that holds it out, and read again:
//!
//! ```text
//! loop { match T::deserialize(node) { Ok(t) => return t, Err(wrong) => { mistakes.push(wrong); node.remove(wrong.steps) } } }
//! ```
//!
//! The parts own their types and know nothing of this: any serde type does.

use std::fmt;

use serde::de::DeserializeOwned;

use super::mistake::{Mistake, suggestion};
use super::tree::{Node, Place, Step, Value};

/// How many mistakes are told of one section: more than anybody repairs at once, and an end to the loop.
const SECTION_MISTAKES_MAX: usize = 20;

/// Reads a section from its node. `title` is how people know it, such as `[web]`; `steps` lead to the node from the root.
/// `None` where there was any mistake.
pub fn section<T: DeserializeOwned>(
    title: &str,
    steps: &[Step],
    node: &Node,
    mistakes: &mut Vec<Mistake>,
) -> Option<T> {
    let mut node = node.clone();
    let mut removed: Vec<Vec<Step>> = Vec::new();
    for _ in 0..SECTION_MISTAKES_MAX {
        let mut wrong = match T::deserialize(&node) {
            Ok(section) => return removed.is_empty().then_some(section),
            Err(wrong) => wrong,
        };
        wrong.locate::<T>(&node);
        if let Some(other) = otherwise::<T>(&node, &wrong) {
            node = other;
            continue;
        }
        // What is missing only because it was wrong and taken out has been told.
        let is_told = match &wrong.kind {
            Kind::Missing(key) => removed.iter().any(|path| path.last() == Some(&Step::Key((*key).to_owned()))),
            _ => false,
        };
        if !is_told {
            mistakes.push(wrong.told(title, steps, &node));
        }
        if !node.remove(&wrong.steps) {
            return None;
        }
        removed.push(wrong.steps);
    }
    None
}

/// The tree with a variable's text understood in another way, where that does away with a mistake: serde reads tagged and flattened
/// types without asking what type it needs, so that every text first counts as a text.
fn otherwise<T: DeserializeOwned>(root: &Node, wrong: &Wrong) -> Option<Node> {
    let Node { place, value: Value::Raw(text) } = root.at(&wrong.steps)? else { return None };
    let items = text.split(',').map(|item| Node { place: place.clone(), value: Value::Text(item.trim().to_owned()) });
    let readings = [
        text.trim().parse().ok().map(Value::Integer),
        text.trim().parse().ok().map(Value::Float),
        Some(Value::Text(text.clone())),
        Some(Value::List(items.collect())),
    ];
    readings.into_iter().flatten().find_map(|value| {
        let mut other = root.clone();
        other.put(&wrong.steps, Node { place: place.clone(), value }).ok()?;
        match T::deserialize(&other) {
            Ok(_) => Some(other),
            Err(next) => (next.message() != wrong.message() && !next.is_of_type()).then_some(other),
        }
    })
}

/// Whether a value says which type the whole table has: without it nothing else can be judged.
fn is_tag<T: DeserializeOwned>(root: &Node, steps: &[Step]) -> bool {
    let mut other = root.clone();
    let nonsense = Node { place: Place::Default, value: Value::Text(String::new()) };
    let is_put = other.put(steps, nonsense).is_ok();
    is_put && matches!(T::deserialize(&other), Err(Wrong { kind: Kind::Variant(..), .. }))
}

/// Why a value can't be read, and where.
#[derive(Debug)]
pub struct Wrong {
    /// The way from the section to the value.
    steps: Vec<Step>,
    /// The place, where it is known.
    place: Option<Place>,
    /// What is wrong.
    kind: Kind,
}

#[derive(Debug)]
pub enum Kind {
    /// This key isn't known; these are.
    Unknown(String, Vec<&'static str>),
    /// This key must be given.
    Missing(&'static str),
    /// The value is none of these.
    Variant(String, Vec<&'static str>),
    /// The value has another type than the one that is needed, in words.
    Type(String),
    /// Anything else, in words.
    Other(String),
}

impl Wrong {
    pub(super) fn new(kind: Kind) -> Wrong {
        Wrong { steps: Vec::new(), place: None, kind }
    }

    pub(super) fn under(mut self, step: Step, place: &Place) -> Wrong {
        self.steps.insert(0, step);
        self.place.get_or_insert_with(|| place.clone());
        self
    }

    /// Finds the guilty member of a table whose type doesn't tell it: serde reads tagged and flattened types from a copy without places.
    /// The guilty one is the one without which this mistake doesn't happen.
    fn locate<T: DeserializeOwned>(&mut self, root: &Node) {
        let Some(Node { value: Value::Table(members), .. }) = root.at(&self.steps) else { return };
        let guilty = match &self.kind {
            Kind::Missing(_) => None,
            Kind::Unknown(key, _) => members.iter().find(|member| member.name == *key),
            Kind::Variant(written, _) => members.iter().find(|member| match &member.node.value {
                Value::Text(text) | Value::Raw(text) => text == written,
                _ => false,
            }),
            Kind::Type(_) | Kind::Other(_) => members.iter().find(|member| {
                let mut steps = self.steps.clone();
                steps.push(Step::Key(member.name.clone()));
                let mut without = root.clone();
                without.remove(&steps);
                match T::deserialize(&without) {
                    Ok(_) => true,
                    Err(Wrong { kind: Kind::Missing(key), .. }) => key == member.name && !is_tag::<T>(root, &steps),
                    Err(other) => other.message() != self.message(),
                }
            }),
        };
        if let Some(member) = guilty {
            self.steps.push(Step::Key(member.name.clone()));
            self.place = Some(if matches!(self.kind, Kind::Unknown(..)) {
                member.place.clone()
            } else {
                member.node.place.clone()
            });
        }
    }

    fn message(&self) -> String {
        match &self.kind {
            Kind::Unknown(key, _) => format!("unknown key `{key}`"),
            Kind::Missing(key) => format!("the key `{key}` is missing"),
            Kind::Variant(written, _) => format!("`{written}` is not known"),
            Kind::Type(says) | Kind::Other(says) => says.clone(),
        }
    }

    fn is_of_type(&self) -> bool {
        matches!(self.kind, Kind::Type(_))
    }

    fn told(&self, title: &str, before: &[Step], node: &Node) -> Mistake {
        let place = self.place.clone().unwrap_or_else(|| node.place.clone());
        let steps: Vec<Step> = before.iter().chain(&self.steps).cloned().collect();
        let key = self.steps.iter().rev().find_map(|step| match step {
            Step::Key(name) => Some(name.as_str()),
            Step::Index(_) => None,
        });
        let (says, hint) = match &self.kind {
            Kind::Unknown(key, known) => {
                (format!("unknown key `{key}` in {title}"), suggestion(key, known, &place, &steps))
            }
            Kind::Missing(key) => (format!("`{key}` is missing in {title}"), Some(format!("add a line `{key} = ...`"))),
            Kind::Variant(written, known) => {
                let key = key.unwrap_or("the value");
                // A value is spelled the same in a variable.
                (format!("`{key}` in {title} can't be `{written}`"), suggestion(written, known, &Place::Default, &[]))
            }
            Kind::Type(says) | Kind::Other(says) => match key {
                Some(key) => (format!("`{key}` in {title}: {says}"), None),
                None => (format!("{title}: {says}"), None),
            },
        };
        Mistake { place, says, hint }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for Wrong {}

/// The keys that a type knows, read from what it says of one that it can't know. `base` are members that it needs to get that far.
#[cfg(test)]
pub fn known_keys<T: DeserializeOwned>(base: &[(&str, &str)]) -> Vec<&'static str> {
    let text = |text: &str| Node { place: Place::Default, value: Value::Text(text.to_owned()) };
    let mut node = Node::empty(Place::Default);
    for (key, value) in base.iter().chain(&[("no such key", "")]) {
        node.put(&[Step::Key((*key).to_owned())], text(value)).expect("a table takes every key");
    }
    match T::deserialize(&node) {
        Err(Wrong { kind: Kind::Unknown(_, known), .. }) => known,
        Err(other) => panic!("a type that takes unknown keys, or fails before: {other}"),
        Ok(_) => panic!("a type that takes unknown keys"),
    }
}
