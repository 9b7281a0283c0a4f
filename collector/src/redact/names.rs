//! Names whose values are taken out, prepared so that the many names that are none of them cost next to nothing.

use foldhash::HashMap;

use super::Action;

/// A name as rules are compared: without case, `_` and `-`.
type Plain = Box<[u8]>;

/// The longest name that is looked up, in bytes; rules can't be longer, so a longer name is none of them.
const NAME_BYTES_MAX: usize = 64;

/// Names that always hold, with how far their value goes in a text. In HTTP, cookies and credentials take the whole line.
const DEFAULTS: [(&str, Extent); 24] = [
    ("authorization", Extent::Line),
    ("proxy-authorization", Extent::Line),
    ("cookie", Extent::Line),
    ("set-cookie", Extent::Line),
    ("password", Extent::Word),
    ("passwd", Extent::Word),
    ("passphrase", Extent::Word),
    ("token", Extent::Word),
    ("access-token", Extent::Word),
    ("refresh-token", Extent::Word),
    ("id-token", Extent::Word),
    ("auth-token", Extent::Word),
    ("x-auth-token", Extent::Word),
    ("session-token", Extent::Word),
    ("csrf-token", Extent::Word),
    ("xsrf-token", Extent::Word),
    ("api-key", Extent::Word),
    ("x-api-key", Extent::Word),
    ("secret", Extent::Word),
    ("client-secret", Extent::Word),
    ("secret-access-key", Extent::Word),
    ("card-number", Extent::Word),
    ("cvv", Extent::Word),
    ("cvc", Extent::Word),
];

/// All names, by their last part.
#[derive(Debug, Default)]
pub(super) struct Names {
    rules: HashMap<Plain, Vec<Named>>,
    ends: Ends,
}

/// By which letters the names end: one look spares most names everything else.
#[derive(Debug)]
struct Ends([bool; 256]);

impl Default for Ends {
    fn default() -> Ends {
        Ends([false; 256])
    }
}

/// One name.
#[derive(Clone, Debug)]
pub(super) struct Named {
    last: Plain,
    /// What must stand before it, the nearest first.
    before: Vec<Plain>,
    stands: Stands,
    extent: Extent,
    action: Action,
}

/// Where a name counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stands {
    /// In bodies, attributes and headers.
    Anywhere,
    /// In headers, and in attributes that tell one.
    InHeaders,
}

/// How far a value goes that stands in a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Extent {
    /// To the next space or separator.
    Word,
    /// To the end of the line.
    Line,
}

impl Named {
    /// A rule for this name; `None` where it is none.
    pub(super) fn new(name: &str, stands: Stands, action: Action) -> Option<Named> {
        let mut parts = Vec::new();
        for part in name.rsplit('.') {
            let mut room = [0; NAME_BYTES_MAX];
            let part = plain(part.as_bytes(), &mut room)?;
            if part.is_empty() {
                return None;
            }
            parts.push(Plain::from(part));
        }
        let last = parts.remove(0);
        let extent = if stands == Stands::InHeaders { Extent::Line } else { Extent::Word };
        Some(Named { last, before: parts, stands, extent, action })
    }

    /// What becomes of the value.
    pub(super) fn action(&self) -> Action {
        self.action
    }

    /// How far the value goes in a text.
    pub(super) fn extent(&self) -> Extent {
        self.extent
    }

    fn fits<'p>(&self, mut before: impl Iterator<Item = &'p [u8]>, place: Place) -> bool {
        if self.stands == Stands::InHeaders && place != Place::Header {
            return before.next().is_some_and(|part| part.eq_ignore_ascii_case(b"header")) && self.before.is_empty();
        }
        self.before.iter().all(|wanted| {
            let mut room = [0; NAME_BYTES_MAX];
            before.next().and_then(|part| plain(part, &mut room)).is_some_and(|part| part == &**wanted)
        })
    }
}

/// Where a name was met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// A header's name.
    Header,
    /// The name of a field or an attribute.
    Field,
}

impl Names {
    /// Adds a rule behind those that are there.
    pub(super) fn add(&mut self, named: Named) {
        if let Some(end) = named.last.last() {
            self.ends.0[usize::from(*end)] = true;
            self.ends.0[usize::from(end.to_ascii_uppercase())] = true;
        }
        self.rules.entry(named.last.clone()).or_default().push(named);
    }

    /// Adds the names that always hold.
    pub(super) fn add_defaults(&mut self) {
        for (name, extent) in DEFAULTS {
            let named = Named::new(name, Stands::Anywhere, Action::Mask).expect("these are names");
            self.add(Named { extent, ..named });
        }
    }

    /// The rule for a name inside these others, the nearest first; names may have parts, divided by dots.
    pub(super) fn find<'p>(
        &self,
        name: &'p [u8],
        inside: impl Iterator<Item = &'p [u8]> + Clone,
        place: Place,
    ) -> Option<&Named> {
        if !self.ends.0[usize::from(*name.last()?)] {
            return None;
        }
        let begin = name.iter().rposition(|byte| *byte == b'.').map_or(0, |dot| dot + 1);
        let mut room = [0; NAME_BYTES_MAX];
        let rules = self.rules.get(plain(&name[begin..], &mut room)?)?;
        let own = name[..begin.saturating_sub(1)].rsplit(|byte| *byte == b'.').filter(|part| !part.is_empty());
        let before = own.chain(inside.flat_map(|part| part.rsplit(|byte| *byte == b'.')));
        rules.iter().find(|rule| rule.fits(before.clone(), place))
    }
}

/// A name without case, `_` and `-`; `None` where it is longer than any rule.
fn plain<'r>(name: &[u8], room: &'r mut [u8; NAME_BYTES_MAX]) -> Option<&'r [u8]> {
    let mut length = 0;
    for byte in name.iter().filter(|byte| !matches!(byte, b'_' | b'-')) {
        *room.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    Some(&room[..length])
}
