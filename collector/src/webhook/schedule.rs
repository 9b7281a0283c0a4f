//! When a notification is tried again: the retry schedule of Standard Webhooks 1.0, `Retry-After`, and a little chance.

use std::time::Duration;

use store::Timestamp;

/// When a notification is tried, in seconds since it was told. After the last nothing is tried any more, three days later.
/// (standard-webhooks, spec/standard-webhooks.md, "Deliverability and reliability")
const TRIED_AFTER_S: [u64; 10] = [0, 5, 305, 2_105, 9_305, 27_305, 63_305, 113_705, 185_705, 272_105];

/// By how much of a wait it may be longer, so that what failed together doesn't come back together.
const JITTER: f64 = 0.1;

/// The longest rest that a receiver is given: an alert matters now, and a proxy that asks for a day is wrong.
pub const REST_MAX: Duration = Duration::from_secs(3_600);

/// How long after a notification was told it is given up at the latest.
pub const GIVEN_UP_AFTER: Duration = Duration::from_secs(TRIED_AFTER_S[TRIED_AFTER_S.len() - 1] + 86_400);

/// When it is tried next after it failed; `None` for never. It goes by the time since it was told, so that tries between the schedule's own, made
/// because there is something new to tell, don't use it up. `chance` is from 0 to 1.
pub fn next(asked_at: Timestamp, now: Timestamp, rest: Option<Duration>, chance: f64) -> Option<Timestamp> {
    let passed = Duration::from_nanos(u64::try_from(now.nanos_since(asked_at)).unwrap_or(0));
    let after = TRIED_AFTER_S.into_iter().map(Duration::from_secs).find(|after| *after > passed)?;
    let wait = after - passed;
    let wait = wait + wait.mul_f64(JITTER * chance.clamp(0.0, 1.0));
    Some(now.plus(wait.max(rest.unwrap_or_default())))
}

/// How long a receiver wants to be left alone, as `Retry-After` says in seconds or as a date (RFC 9110 section 10.2.3), up to [`REST_MAX`].
pub fn rest(retry_after: &str, now: Timestamp) -> Option<Duration> {
    let text = retry_after.trim();
    let rest = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            let nanos = i64::try_from(at.as_nanosecond()).ok()?.saturating_sub(now.as_nanos());
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
        }
    };
    Some(rest.min(REST_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: Timestamp = Timestamp::from_millis(1_795_442_531_000);

    fn at(seconds: u64) -> Timestamp {
        TOLD.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn what_fails_is_tried_after_the_standards_waits_and_given_up_after_three_days() {
        let (mut now, mut waits) = (TOLD, Vec::new());
        while let Some(next) = next(TOLD, now, None, 0.0) {
            waits.push(next.nanos_since(now) / 1_000_000_000);
            now = next;
        }
        assert_eq!(waits, [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]);
        assert_eq!(next(TOLD, at(1_000_000), None, 0.0), None, "it is too late");
    }

    #[test]
    fn chance_makes_a_wait_longer_by_a_tenth_at_the_most_and_tries_between_change_nothing() {
        assert_eq!(next(TOLD, at(5), None, 1.0), Some(at(335)));
        assert_eq!(next(TOLD, at(100), None, 0.0), Some(at(305)), "tried in between, it keeps its schedule");
        let before = TOLD.minus(Duration::from_secs(60));
        assert_eq!(next(TOLD, before, None, 0.0), Some(before.plus(Duration::from_secs(5))), "the clock was set back");
    }

    #[test]
    fn a_receiver_is_left_alone_for_as_long_as_it_asks_up_to_an_hour() {
        let rest = |text: &str| super::rest(text, TOLD).map(|rest| rest.as_secs());
        assert_eq!((rest("8"), rest(" 0 "), rest("86400")), (Some(8), Some(0), Some(3_600)));
        // 2026-11-23T14:02:11Z is when it was told.
        assert_eq!(rest("Mon, 23 Nov 2026 14:03:11 GMT"), Some(60));
        assert_eq!(rest("Mon, 23 Nov 2026 14:00:00 GMT"), Some(0));
        assert_eq!((rest("soon"), rest("-1"), rest("")), (None, None, None));
        assert_eq!(next(TOLD, TOLD, Some(Duration::from_secs(8)), 0.0), Some(at(8)));
        assert_eq!(next(TOLD, TOLD, Some(Duration::from_secs(2)), 0.0), Some(at(5)));
    }
}
