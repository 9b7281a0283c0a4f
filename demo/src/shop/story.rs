//! What is going to happen to the n-th order. A fixed cycle, so that every run shows every story in the same share.
//!
//! A story is told to nobody but the payment gateway, by the token of the card: the services find out by doing their
//! work, as they would in a real shop.

/// How an order goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Story {
    /// Placed, reserved, paid, planned.
    Fulfilled,
    /// The gateway times out once; the first retry succeeds.
    RetriedOnce,
    /// The gateway times out twice; the second retry succeeds.
    RetriedTwice,
    /// The gateway never answers: all attempts fail, and the event ends in the dead-letter topic.
    GivenUp,
    /// The card is declined: the stock is released and the order cancelled.
    Declined,
    /// The outbox relay sends the same event twice.
    SentTwice,
}

use Story::{Declined, Fulfilled, GivenUp, RetriedOnce, RetriedTwice, SentTwice};

/// The first orders, placed at once: every story happens in the first seconds. What takes longest comes first.
pub(crate) const OPENING: [Story; 10] =
    [GivenUp, RetriedTwice, Declined, SentTwice, RetriedOnce, Fulfilled, Fulfilled, Fulfilled, Fulfilled, Fulfilled];

/// Then this goes round: 18 of 25 go well, 1 is sent twice, 3 are retried and succeed, 1 is given up, 2 are declined.
const CYCLE: [Story; 25] = [
    Fulfilled,
    Fulfilled,
    RetriedOnce,
    Fulfilled,
    Fulfilled,
    Declined,
    Fulfilled,
    Fulfilled,
    Fulfilled,
    SentTwice,
    Fulfilled,
    Fulfilled,
    RetriedTwice,
    Fulfilled,
    Fulfilled,
    Fulfilled,
    RetriedOnce,
    Fulfilled,
    Fulfilled,
    Declined,
    Fulfilled,
    Fulfilled,
    GivenUp,
    Fulfilled,
    Fulfilled,
];

/// Every so many orders the old import job writes a record that nobody can read.
const POISON_EVERY: u64 = 40;

/// The poison of the opening comes after this order.
const FIRST_POISON: u64 = 4;

/// The story of the n-th order since the shop opened, from 0.
pub(crate) fn of(order: u64) -> Story {
    let opening = OPENING.len() as u64;
    match usize::try_from(order) {
        Ok(index) if order < opening => OPENING[index],
        _ => CYCLE[((order - opening) % CYCLE.len() as u64) as usize],
    }
}

/// Whether the n-th order is followed by a record that nobody can read.
pub(crate) fn poison_follows(order: u64) -> bool {
    order % POISON_EVERY == FIRST_POISON
}

impl Story {
    /// The card token with which the gateway plays the story.
    pub(crate) fn card(self) -> &'static str {
        match self {
            Fulfilled | SentTwice => "tok_visa",
            RetriedOnce => "tok_times_out_once",
            RetriedTwice => "tok_times_out_twice",
            GivenUp => "tok_never_answers",
            Declined => "tok_declined",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Story; 6] = [Fulfilled, RetriedOnce, RetriedTwice, GivenUp, Declined, SentTwice];

    #[test]
    fn every_story_happens_in_the_opening_and_in_every_cycle() {
        for story in ALL {
            assert!(OPENING.contains(&story), "{story:?}");
            assert!(CYCLE.contains(&story), "{story:?}");
        }
        assert!((0..OPENING.len() as u64).any(poison_follows));
    }

    #[test]
    fn the_shares_stay_the_same_for_ever() {
        let opening = OPENING.len() as u64;
        let share = |from: u64, story| (from..from + 25).filter(|order| of(*order) == story).count();
        for from in [opening, opening + 1, 1_000_000] {
            assert_eq!(share(from, Fulfilled), 18, "from {from}");
            assert_eq!(share(from, Declined), 2, "from {from}");
            assert_eq!(share(from, RetriedOnce) + share(from, RetriedTwice) + share(from, GivenUp), 4, "from {from}");
        }
    }
}
