//! Where the time of a flow went, as one bar of up to four parts.

use store::flow::Budget;

use crate::wording;

/// One part of the bar.
#[derive(Clone, PartialEq, Debug)]
pub struct Part {
    /// Where it begins, in per cent.
    pub x: f64,
    /// How wide it is, in per cent.
    pub width: f64,
    /// What it is, for its colour: `working`, `waiting`, `backing-off`, `unknown`.
    pub kind: &'static str,
    /// What it says, such as `3.01 s backing off between retries`.
    pub says: String,
    /// Whether the text fits into it on a wide screen.
    pub has_room: bool,
}

/// The least width of a part that is there at all, in per cent: one can still see it.
const WIDTH_MIN: f64 = 0.6;

/// A bar is at least this wide, in pixels, where its texts are placed; on a narrower screen the list under it says the same.
const BAR_PX: f64 = 700.0;

/// The parts in the order in which they are told, without those that are nothing.
pub fn parts(budget: &Budget) -> Vec<Part> {
    let told = [
        (budget.working, "working", "working"),
        (budget.waiting, "waiting", "waiting in brokers"),
        (budget.backing_off, "backing-off", "backing off between retries"),
        (budget.unknown, "unknown", "not accounted for"),
    ];
    let there: Vec<_> = told.into_iter().filter(|(nanos, ..)| *nanos > 0).collect();
    let total: f64 = there.iter().map(|(nanos, ..)| *nanos as f64).sum();
    let raised = |nanos: u64| (nanos as f64 * 100.0 / total).max(WIDTH_MIN);
    let sum: f64 = there.iter().map(|(nanos, ..)| raised(*nanos)).sum();
    let mut x = 0.0;
    let mut parts = Vec::new();
    for (nanos, kind, words) in there {
        let width = raised(nanos) * 100.0 / sum;
        let says = format!("{} {words}", wording::duration(nanos));
        let has_room = super::label::width(&says, 11.0, false) + 14.0 <= width * BAR_PX / 100.0;
        parts.push(Part { x, width, kind, says, has_room });
        x += width;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_the_bar_and_say_what_they_are() {
        let budget = Budget { working: 930_000_000, waiting: 120_000_000, backing_off: 3_010_000_000, unknown: 0 };
        let parts = parts(&budget);
        let says: Vec<&str> = parts.iter().map(|part| part.says.as_str()).collect();
        assert_eq!(says, ["930 ms working", "120 ms waiting in brokers", "3.01 s backing off between retries"]);
        let last = parts.last().unwrap();
        assert!((last.x + last.width - 100.0).abs() < 1e-9);
        assert!(last.has_room && !parts[1].has_room);
    }

    #[test]
    fn a_part_that_is_there_can_be_seen_and_nothing_is_drawn_of_nothing() {
        let parts = parts(&Budget { working: 1, waiting: 0, backing_off: 0, unknown: u64::MAX / 2 });
        assert!(parts[0].width > 0.5);
        assert!(super::parts(&Budget::default()).is_empty());
    }
}
