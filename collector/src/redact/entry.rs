//! What is looked at in records, spans and logs: everything that people write into them, and nothing that joins them (ids, positions).

use std::iter::successors;

use bytes::Bytes;
use store::value::Attributes;
use store::{Log, Span, Value, span::SpanStatus};

use super::names::Place;
use super::{Action, Redactor, stand_in};
use crate::decode::opened::Opened;
use crate::source::raw::Raw;

/// The name around a value, and those around it.
#[derive(Clone, Copy)]
struct Inside<'p> {
    name: &'p [u8],
    outer: Option<&'p Inside<'p>>,
}

impl Redactor {
    /// A record, before it is read: its key, its body and its headers. Where something is to be taken out of what stands in a body or a key,
    /// the text without it takes the place of the bytes, which hold it, too.
    pub fn raw(&self, raw: &mut Raw, opened: &mut Opened) {
        for (bytes, inside) in [(&mut raw.key, &mut opened.key), (&mut raw.body, &mut opened.body)] {
            match inside.text.as_deref().and_then(|text| self.bytes(text)) {
                Some(without) => {
                    *bytes = Some(without.into());
                    inside.text = None;
                }
                None => self.shared(bytes),
            }
        }
        let mut is_dropped = false;
        for header in &mut raw.headers {
            match self.action(header.name.as_bytes(), None, Place::Header) {
                None => self.shared(&mut header.value),
                Some(Action::Keep) => {}
                Some(Action::Drop) => is_dropped = true,
                Some(action @ (Action::Mask | Action::Hash)) => {
                    header.value = header.value.take().map(|value| stand_in(action, &value).into());
                }
            }
        }
        if is_dropped {
            let action = |name: &str| self.action(name.as_bytes(), None, Place::Header);
            raw.headers.retain(|header| action(&header.name) != Some(Action::Drop));
        }
    }

    /// A span, but for its resource and scope, which many share.
    pub fn span(&self, span: &mut Span) {
        self.string(&mut span.name);
        if let SpanStatus::Error(says) = &mut span.status {
            self.string(says);
        }
        self.attributes(&mut span.attributes);
        for event in &mut span.events {
            self.string(&mut event.name);
            self.attributes(&mut event.attributes);
        }
        for link in &mut span.links {
            self.attributes(&mut link.attributes);
        }
    }

    /// A log, but for its resource and scope, which many share.
    pub fn log(&self, log: &mut Log) {
        self.value(&mut log.body, None);
        self.attributes(&mut log.attributes);
    }

    /// Attributes: of a span, a log, a resource or a scope.
    pub fn attributes(&self, attributes: &mut Attributes) {
        self.members(attributes, None);
    }

    fn members(&self, members: &mut Attributes, outer: Option<&Inside<'_>>) {
        let mut is_dropped = false;
        for (name, value) in members.iter_mut() {
            match self.action(name.as_bytes(), outer, Place::Field) {
                None => self.value(value, Some(&Inside { name: name.as_bytes(), outer })),
                Some(Action::Keep) => {}
                Some(Action::Drop) => is_dropped = true,
                Some(action @ (Action::Mask | Action::Hash)) => {
                    if *value != Value::Empty {
                        *value = Value::Text(stand_in(action, value.to_string().as_bytes()).into());
                    }
                }
            }
        }
        if is_dropped {
            members.retain(|(name, _)| self.action(name.as_bytes(), outer, Place::Field) != Some(Action::Drop));
        }
    }

    fn value(&self, value: &mut Value, inside: Option<&Inside<'_>>) {
        match value {
            Value::Empty | Value::Bool(_) | Value::Double(_) => {}
            Value::Int(number) => {
                // Without patterns only the numbers of cards count, and those have thirteen digits.
                if (*number >= 1_000_000_000_000 || !self.patterns.is_empty())
                    && let Some(without) = self.text(number.to_string().as_bytes())
                {
                    *value = Value::Text((&*String::from_utf8_lossy(&without)).into());
                }
            }
            Value::Text(text) => {
                if let Some(without) = self.bytes(text.as_bytes()) {
                    *text = (&*String::from_utf8_lossy(&without)).into();
                }
            }
            Value::Bytes(bytes) => {
                if let Some(without) = self.bytes(bytes) {
                    *bytes = without;
                }
            }
            Value::List(values) => values.iter_mut().for_each(|value| self.value(value, inside)),
            Value::Map(members) => self.members(members, inside),
        }
    }

    fn string(&self, text: &mut String) {
        if let Some(without) = self.bytes(text.as_bytes()) {
            *text = String::from_utf8_lossy(&without).into_owned();
        }
    }

    fn shared(&self, bytes: &mut Option<Bytes>) {
        if let Some(without) = bytes.as_deref().and_then(|bytes| self.bytes(bytes)) {
            *bytes = Some(without.into());
        }
    }

    fn action(&self, name: &[u8], outer: Option<&Inside<'_>>, place: Place) -> Option<Action> {
        let around = successors(outer, |inside| inside.outer).map(|inside| inside.name);
        self.names.find(name, around, place).map(super::names::Named::action)
    }
}
