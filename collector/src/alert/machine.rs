//! How one alert goes on: a pure function of how it stood, what was seen, and the time.
//!
//! ```text
//! inactive --holds--> pending --holds for so long--> firing --over for so long--> resolved --holds--> pending
//!     \                  |  ^                          |                             |
//!      nothing tells     v  | it holds still           nothing tells: it fires on    nothing tells: resolved still
//!       '---------------> no data
//! ```
//! Nothing told isn't proof of anything: what fires goes on, and what is pending neither fires nor starts over.

use std::time::Duration;

use store::Timestamp;

/// What a look at one thing says of its rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// It is beyond where the rule begins to hold.
    Holds,
    /// It is between there and where it stops: what fires goes on, nothing else begins.
    Between,
    /// It isn't beyond where it stops.
    Over,
    /// Nothing tells.
    Nothing,
}

/// For how long something must be so before it counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timing {
    /// How long it must hold before it fires.
    pub wait: Duration,
    /// How long it must be over before it is resolved.
    pub keep_firing: Duration,
}

/// How one alert stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Phase {
    /// The rule doesn't hold.
    #[default]
    Inactive,
    /// It holds, but not for long enough yet.
    Pending {
        /// Since when.
        since: Timestamp,
    },
    /// It has held for long enough.
    Firing {
        /// Since when it fires.
        since: Timestamp,
        /// Since when it is over, where it is: not for long enough yet.
        over_since: Option<Timestamp>,
    },
    /// It fired.
    Resolved {
        /// Since when it fired.
        started: Timestamp,
        /// Until when.
        ended: Timestamp,
    },
    /// Nothing tells.
    NoData {
        /// Since when.
        since: Timestamp,
        /// Since when it held before that, where it did.
        held_since: Option<Timestamp>,
    },
}

/// How it stands after a look.
pub fn step(phase: Phase, seen: Seen, timing: Timing, now: Timestamp) -> Phase {
    let phase = phase.not_after(now);
    let held_since = match phase {
        Phase::Pending { since } => Some(since),
        Phase::NoData { held_since, .. } => held_since,
        Phase::Inactive | Phase::Firing { .. } | Phase::Resolved { .. } => None,
    };
    match (phase, seen) {
        (Phase::Firing { since, .. }, Seen::Holds | Seen::Between) => Phase::Firing { since, over_since: None },
        (Phase::Firing { .. }, Seen::Nothing) => phase,
        (Phase::Firing { since, over_since }, Seen::Over) => {
            let over_since = over_since.unwrap_or(now);
            if lasted(over_since, now) >= timing.keep_firing {
                Phase::Resolved { started: since, ended: now }
            } else {
                Phase::Firing { since, over_since: Some(over_since) }
            }
        }
        (_, Seen::Holds) => {
            let since = held_since.unwrap_or(now);
            if lasted(since, now) >= timing.wait {
                Phase::Firing { since: now, over_since: None }
            } else {
                Phase::Pending { since }
            }
        }
        (Phase::Resolved { .. }, Seen::Between | Seen::Over | Seen::Nothing) => phase,
        (_, Seen::Between | Seen::Over) => Phase::Inactive,
        (Phase::NoData { .. }, Seen::Nothing) => phase,
        (Phase::Inactive | Phase::Pending { .. }, Seen::Nothing) => Phase::NoData { since: now, held_since },
    }
}

impl Phase {
    /// With no time in it that lies ahead: where the clock was set back, what was measured begins anew.
    fn not_after(self, now: Timestamp) -> Phase {
        match self {
            Phase::Inactive => self,
            Phase::Pending { since } => Phase::Pending { since: since.min(now) },
            Phase::Firing { since, over_since } => {
                Phase::Firing { since: since.min(now), over_since: over_since.map(|since| since.min(now)) }
            }
            Phase::Resolved { started, ended } => Phase::Resolved { started: started.min(now), ended: ended.min(now) },
            Phase::NoData { since, held_since } => {
                Phase::NoData { since: since.min(now), held_since: held_since.map(|since| since.min(now)) }
            }
        }
    }
}

fn lasted(since: Timestamp, now: Timestamp) -> Duration {
    Duration::from_nanos(u64::try_from(now.nanos_since(since)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000).plus(Duration::from_secs(seconds))
    }

    const TIMING: Timing = Timing { wait: Duration::from_secs(30), keep_firing: Duration::from_secs(20) };

    /// What stands after these looks, ten seconds apart: `h`olds, `b`etween, `o`ver, `n`othing.
    fn after(looks: &str) -> Phase {
        let mut phase = Phase::default();
        for (look, letter) in (0_u64..).zip(looks.chars()) {
            let seen = match letter {
                'h' => Seen::Holds,
                'b' => Seen::Between,
                'o' => Seen::Over,
                _ => Seen::Nothing,
            };
            phase = step(phase, seen, TIMING, at(look * 10));
        }
        phase
    }

    #[test]
    fn it_fires_after_it_held_for_so_long_and_not_before() {
        assert_eq!(after("hhh"), Phase::Pending { since: at(0) });
        assert_eq!(after("hhhh"), Phase::Firing { since: at(30), over_since: None });
        assert_eq!(after("hhohhh"), Phase::Pending { since: at(30) }, "a gap starts it over");
        assert_eq!(after("hhbhhh"), Phase::Pending { since: at(30) }, "nothing begins between the thresholds");
    }

    #[test]
    fn it_is_resolved_after_it_was_over_for_so_long_and_not_between_the_thresholds() {
        assert_eq!(after("hhhhoo"), Phase::Firing { since: at(30), over_since: Some(at(40)) });
        assert_eq!(after("hhhhooo"), Phase::Resolved { started: at(30), ended: at(60) });
        assert_eq!(after("hhhhbbbbb"), Phase::Firing { since: at(30), over_since: None });
        assert_eq!(after("hhhhoohoo"), Phase::Firing { since: at(30), over_since: Some(at(70)) });
        assert_eq!(after("hhhhoooh"), Phase::Pending { since: at(70) }, "it may begin again");
    }

    #[test]
    fn where_nothing_tells_what_fires_goes_on_and_what_is_pending_waits() {
        assert_eq!(after("nn"), Phase::NoData { since: at(0), held_since: None });
        assert_eq!(after("hhnn"), Phase::NoData { since: at(20), held_since: Some(at(0)) });
        assert_eq!(after("hhnnh"), Phase::Firing { since: at(40), over_since: None });
        assert_eq!(after("hhnno"), Phase::Inactive);
        assert_eq!(after("hhhhnnnnnn"), Phase::Firing { since: at(30), over_since: None });
        assert_eq!(after("hhhhooonn"), Phase::Resolved { started: at(30), ended: at(60) });
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nothing_up_for_longer_than_it_is_told_to() {
        let pending = Phase::Pending { since: at(86_400) };
        let begun_anew = step(pending, Seen::Holds, TIMING, at(0));
        assert_eq!(begun_anew, Phase::Pending { since: at(0) });
        assert_eq!(step(begun_anew, Seen::Holds, TIMING, at(30)), Phase::Firing { since: at(30), over_since: None });
    }

    /// What the rule says in words, worked out from the whole history each time.
    mod model {
        use super::*;

        pub type Look = (Timestamp, Seen);

        /// Since when it has held without a look that says otherwise, at the last of these looks.
        fn held_since(looks: &[Look]) -> Option<Timestamp> {
            let told = looks.iter().rev().filter(|(_, seen)| *seen != Seen::Nothing);
            told.take_while(|(_, seen)| *seen == Seen::Holds).last().map(|(at, _)| *at)
        }

        /// Since when it has been over without a look that says otherwise.
        fn over_since(looks: &[Look]) -> Option<Timestamp> {
            let told = looks.iter().rev().filter(|(_, seen)| *seen != Seen::Nothing);
            told.take_while(|(_, seen)| *seen == Seen::Over).last().map(|(at, _)| *at)
        }

        /// Whether it fires after these looks: at some look it had held for long enough, and at none since it was over for long enough.
        pub fn fires(looks: &[Look], timing: Timing) -> bool {
            let mut fired_at: Option<usize> = None;
            let mut resolved_at = 0;
            for (index, (now, seen)) in looks.iter().enumerate() {
                match fired_at {
                    None => {
                        let since = held_since(&looks[resolved_at..=index]);
                        let is_long =
                            since.is_some_and(|since| now.nanos_since(since) >= timing.wait.as_nanos() as i64);
                        if *seen == Seen::Holds && is_long {
                            fired_at = Some(index);
                        }
                    }
                    Some(fired) => {
                        let since = over_since(&looks[fired + 1..=index]);
                        let is_long =
                            since.is_some_and(|since| now.nanos_since(since) >= timing.keep_firing.as_nanos() as i64);
                        if *seen == Seen::Over && is_long {
                            fired_at = None;
                            resolved_at = index + 1;
                        }
                    }
                }
            }
            fired_at.is_some()
        }
    }

    fn looks() -> impl Strategy<Value = Vec<(u64, Seen)>> {
        let seen = prop_oneof![
            4 => Just(Seen::Holds),
            1 => Just(Seen::Between),
            4 => Just(Seen::Over),
            1 => Just(Seen::Nothing),
        ];
        prop::collection::vec((1_u64..30, seen), 1..80)
    }

    proptest! {
        #[test]
        fn whatever_is_seen_it_fires_exactly_when_the_model_says_so(
            steps in looks(), wait in 0_u64..60, keep_firing in 0_u64..60
        ) {
            let timing = Timing { wait: Duration::from_secs(wait), keep_firing: Duration::from_secs(keep_firing) };
            let (mut phase, mut seconds, mut history) = (Phase::default(), 0, Vec::new());
            for (gap, seen) in steps {
                seconds += gap;
                history.push((at(seconds), seen));
                let before = phase;
                phase = step(phase, seen, timing, at(seconds));
                prop_assert_eq!(matches!(phase, Phase::Firing { .. }), model::fires(&history, timing), "{:?}", history);
                // Only what fired is ever resolved.
                if let Phase::Resolved { started, ended } = phase {
                    prop_assert!(started <= ended);
                    let had_fired = matches!(before, Phase::Firing { .. } | Phase::Resolved { .. });
                    prop_assert!(had_fired, "{:?} after {:?}", phase, before);
                }
            }
        }
    }
}
