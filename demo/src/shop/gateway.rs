//! The payment gateway next door, and what billing does after its answer. Both are pure: what happens follows from
//! the card and the attempt alone.

use std::time::Duration;

/// How often billing tries before it gives an order up.
pub(crate) const ATTEMPTS_MAX: i32 = 3;

/// How long billing waits before the second and the third attempt.
const BACKOFF: [Duration; (ATTEMPTS_MAX - 1) as usize] = [Duration::from_secs(1), Duration::from_secs(2)];

/// What the gateway says to an attempt to charge a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Authorized,
    Declined,
    TimedOut,
}

/// What billing does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Authorize,
    Fail,
    RetryAfter(Duration),
    GiveUp,
}

/// The gateway's answer to the n-th attempt, from 1. Its test cards are named after what they do.
pub(crate) fn answer(card: &str, attempt: i32) -> Answer {
    match card {
        "tok_declined" => Answer::Declined,
        "tok_never_answers" => Answer::TimedOut,
        "tok_times_out_once" if attempt <= 1 => Answer::TimedOut,
        "tok_times_out_twice" if attempt <= 2 => Answer::TimedOut,
        _ => Answer::Authorized,
    }
}

/// What follows from the answer to the n-th attempt, from 1.
pub(crate) fn after(answer: Answer, attempt: i32) -> Step {
    match answer {
        Answer::Authorized => Step::Authorize,
        // A refusal is an answer: trying again would not change it.
        Answer::Declined => Step::Fail,
        Answer::TimedOut => match usize::try_from(attempt - 1).ok().and_then(|failed| BACKOFF.get(failed)) {
            Some(backoff) => Step::RetryAfter(*backoff),
            None => Step::GiveUp,
        },
    }
}

/// How long the gateway takes to answer. A timeout is billing's own patience running out.
pub(crate) fn patience(answer: Answer) -> Duration {
    match answer {
        Answer::Authorized => Duration::from_millis(60),
        Answer::Declined => Duration::from_millis(90),
        Answer::TimedOut => Duration::from_millis(200),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop::story::Story;

    /// The steps that billing takes for a card, until one that ends it.
    fn journey(story: Story) -> Vec<Step> {
        let mut steps = Vec::new();
        for attempt in 1..=ATTEMPTS_MAX + 1 {
            let step = after(answer(story.card(), attempt), attempt);
            steps.push(step);
            if !matches!(step, Step::RetryAfter(_)) {
                break;
            }
        }
        steps
    }

    #[test]
    fn each_story_s_card_plays_it() {
        let (first, second) = (Step::RetryAfter(BACKOFF[0]), Step::RetryAfter(BACKOFF[1]));
        assert_eq!(journey(Story::Fulfilled), [Step::Authorize]);
        assert_eq!(journey(Story::SentTwice), [Step::Authorize]);
        assert_eq!(journey(Story::Declined), [Step::Fail]);
        assert_eq!(journey(Story::RetriedOnce), [first, Step::Authorize]);
        assert_eq!(journey(Story::RetriedTwice), [first, second, Step::Authorize]);
        assert_eq!(journey(Story::GivenUp), [first, second, Step::GiveUp]);
    }

    #[test]
    fn the_back_off_is_one_second_and_then_two() {
        assert_eq!(after(Answer::TimedOut, 1), Step::RetryAfter(Duration::from_secs(1)));
        assert_eq!(after(Answer::TimedOut, 2), Step::RetryAfter(Duration::from_secs(2)));
        assert_eq!(after(Answer::TimedOut, 3), Step::GiveUp);
        assert_eq!(after(Answer::TimedOut, 99), Step::GiveUp);
    }
}
