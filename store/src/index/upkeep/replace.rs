//! Puts one segment in place of others, without what is not to stay: forgetting does it to one, merging to several.
//!
//! They are read twice, a block at a time: once to know what is in them, once in the order of the new one. However large the entries are,
//! no more than a few blocks of them are in memory at once.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use super::discard::discard;
use super::{Counted, seal_meanwhile, write};
use crate::engine::StoreError;
use crate::index::hash::{IdentityKey, knot_terms};
use crate::index::segment::build::{self, Entries, Kept};
use crate::index::segment::caches::READING_BYTES;
use crate::index::segment::entries::Outline;
use crate::index::segment::manifest::Manifest;
use crate::index::segment::{Caches, Damage, Segment};
use crate::index::view::Shared;

/// After so many entries it is looked whether a live set waits to become a segment: some ten milliseconds.
const STRETCH: usize = 512;

/// What stays of some segments.
pub struct Remaining<'a> {
    shared: &'a Shared,
    segments: &'a [Arc<Segment>],
    caches: Caches,
    /// Which segment each entry is in, and its number there.
    places: Vec<(u32, u32)>,
    outlines: Vec<Outline>,
    gone: Vec<IdentityKey>,
    _counted: Counted<'a>,
}

impl<'a> Remaining<'a> {
    /// Reads segments through. A damaged one is set aside, and all of it is an error then.
    pub fn of(
        shared: &'a Shared,
        segments: &'a [Arc<Segment>],
        goes: impl Fn(IdentityKey) -> bool,
    ) -> Result<Remaining<'a>, Damage> {
        let n_entries: u64 = segments.iter().map(|segment| segment.manifest.entries()).sum();
        let outlines_bytes = n_entries * (size_of::<Outline>() + size_of::<(u32, u32)>()) as u64;
        let mut remaining = Remaining {
            shared,
            segments,
            caches: Caches::for_reading(),
            places: Vec::with_capacity(n_entries as usize),
            outlines: Vec::with_capacity(n_entries as usize),
            gone: Vec::new(),
            _counted: Counted::new(shared, 2 * READING_BYTES as u64 + outlines_bytes),
        };
        for (place, segment) in (0..).zip(segments) {
            let n_here = segment.manifest.entries() as u32;
            let mut read = |numbers: Range<u32>| -> Result<(), Damage> {
                for number in numbers {
                    let held = segment.get(&remaining.caches, number)?;
                    let key = IdentityKey::of(&held.entry.identity());
                    if goes(key) {
                        remaining.gone.push(key);
                    } else {
                        remaining.places.push((place, number));
                        remaining.outlines.push(Outline::of(&held));
                    }
                }
                Ok(())
            };
            for first in (0..n_here).step_by(STRETCH) {
                shared.ask(segment, || read(first..n_here.min(first + STRETCH as u32)))?;
                seal_meanwhile(shared);
            }
        }
        Ok(remaining)
    }

    /// Which entries don't stay.
    pub fn gone(&self) -> &[IdentityKey] {
        &self.gone
    }

    /// Puts one segment of what stays in place of those it was read from, at once for everybody, and removes their files.
    pub fn replace(self) -> Result<(), StoreError> {
        let (shared, segments) = (self.shared, self.segments);
        let new = if self.outlines.is_empty() { None } else { Some(self.write()?) };
        let is_replaced = |number: u64| segments.iter().any(|segment| segment.number() == number);
        shared.change(|view| {
            view.segments.retain(|segment| !is_replaced(segment.number()));
            view.segments.extend(new);
            // One that was sealed meanwhile has a higher number.
            view.segments.sort_by_key(|segment| segment.number());
        });
        // All are tried, even where one can't be removed.
        let discarded: Vec<_> = segments.iter().map(|segment| discard(shared, segment)).collect();
        discarded.into_iter().collect()
    }

    fn write(self) -> Result<Arc<Segment>, StoreError> {
        let (shared, segments) = (self.shared, self.segments);
        let newest = |of: fn(&Manifest) -> u64| segments.iter().map(|segment| of(&segment.manifest)).max().unwrap_or(0);
        let last = segments.iter().max_by_key(|segment| segment.manifest.group);
        let checkpoints = last.map(|last| shared.ask(last, || last.checkpoints())).transpose().map_err(unreadable)?;
        let manifest = Manifest {
            number: shared.number_segment(),
            group: newest(|manifest| manifest.group),
            sequence_last: newest(|manifest| manifest.sequence_last),
            checkpoints: checkpoints.unwrap_or_default(),
            replaces: replaces(shared, segments),
            ..Manifest::default()
        };
        let packed = segments.iter().map(|segment| segment.manifest.bytes()).sum();
        let Remaining { caches, places, outlines, .. } = self;
        let read = Cell::new(0_usize);
        let get = |place: usize| {
            read.set(read.get() + 1);
            if read.get().is_multiple_of(STRETCH) {
                seal_meanwhile(shared);
            }
            let (segment, number) = places[place];
            let segment = &segments[segment as usize];
            let held = shared.ask(segment, || segment.get(&caches, number)).map_err(unreadable)?;
            let (key, knots) = (IdentityKey::of(&held.entry.identity()), knot_terms(&held.entry));
            Ok(Cow::Owned(Kept { held, key, knots }))
        };
        write(shared, manifest, &Entries { outlines, get: Box::new(get) }, None, packed)
    }
}

/// Which segments a new one stands in for: these, and those that they stood in for themselves and that couldn't be removed. Such a one
/// would come back with the next start if nobody named it any more.
fn replaces(shared: &Shared, segments: &[Arc<Segment>]) -> Vec<u64> {
    let folder = shared.config.segments_folder();
    let before = segments.iter().flat_map(|segment| &segment.manifest.replaces).copied();
    let left = before.filter(|number| build::folder(&folder, *number).exists());
    segments.iter().map(|segment| segment.number()).chain(left).collect()
}

/// As an error of the whole job.
pub fn unreadable(damage: Damage) -> StoreError {
    StoreError::Damaged { path: format!("segments/{:016}", damage.segment), reason: damage.reason }
}
