//! Which notification goes out next to one receiver.
//!
//! Of each group only the first that waits: whoever hears that something ended has heard before that it began.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use store::Timestamp;
use store::alert::deliveries::Delivery;

/// What goes out next.
#[derive(Debug)]
pub enum Next {
    /// This one, now.
    Now(Arc<Delivery>),
    /// Nothing before this time.
    At(Timestamp),
    /// Nothing waits, or all that waits is on its way.
    Nothing,
}

/// How a receiver stands.
#[derive(Debug)]
pub struct Standing<'a> {
    /// The groups of which one is on its way.
    pub busy: &'a HashSet<String>,
    /// When it last took something.
    pub succeeded_at: Option<Timestamp>,
    /// It is let alone until then.
    pub open_until: Option<Timestamp>,
}

/// What goes out next of what waits, which is in the order in which it was told.
pub fn next(waiting: &[Arc<Delivery>], standing: &Standing<'_>, now: Timestamp) -> Next {
    let mut seen: HashSet<&str> = HashSet::new();
    let firsts = waiting.iter().filter(|delivery| {
        let group = delivery.notification.group.as_str();
        seen.insert(group) && !standing.busy.contains(group)
    });
    let due = firsts.map(|first| (due(first, waiting, standing), first));
    let Some((due, first)) = due.min_by_key(|(due, first)| (*due, first.number)) else { return Next::Nothing };
    match due.max(standing.open_until.unwrap_or(due)) {
        due if due > now => Next::At(due),
        _ => Next::Now(first.clone()),
    }
}

/// The least time between two attempts at one notification, whatever brings the second one forward: a receiver that takes one and refuses
/// another would else be told the same twice in one breath.
const ATTEMPTS_APART: Duration = Duration::from_secs(5);

/// When a notification is due: by its schedule; earlier where the receiver has taken another one since, or where there is something newer to
/// tell of its group, which waits behind it.
fn due(first: &Delivery, waiting: &[Arc<Delivery>], standing: &Standing<'_>) -> Timestamp {
    let due = first.due().unwrap_or(Timestamp::MAX);
    let Some(tried_at) = first.tried_at().filter(|_| first.tries > 0) else { return due };
    let of_group = waiting.iter().filter(|delivery| delivery.notification.group == first.notification.group);
    let newer = of_group.map(|delivery| delivery.asked_at).chain(standing.succeeded_at);
    newer.filter(|at| *at > tried_at).map(|at| at.max(tried_at.plus(ATTEMPTS_APART))).fold(due, Timestamp::min)
}

#[cfg(test)]
mod tests {
    use store::alert::deliveries::{Deliveries, test_notification};
    use store::alert::{Attempt, Outbox};
    use store::journal::LineKind;
    use store::{Journal, Timestamp};

    use super::*;

    /// An hour after everything that a test writes down.
    fn later() -> Timestamp {
        Timestamp::now().plus(Duration::from_secs(3_600))
    }

    fn told(group: &str) -> Outbox {
        let notification = test_notification("ops", true, Timestamp::from_millis(0));
        Outbox::Told(store::alert::Notification { group: group.to_owned(), ..notification })
    }

    fn failed(next_at: Timestamp) -> Outbox {
        let next_at = Some(next_at.to_string());
        Outbox::Attempted(Attempt { number: 1, took_ms: 1, status: None, says: String::new(), next_at })
    }

    async fn waiting(lines: &[(&str, Outbox)]) -> Vec<Arc<Delivery>> {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        for (id, line) in lines {
            journal.append(LineKind::Outbox, id, "sillage", line).await.unwrap();
        }
        let deliveries = Deliveries::default();
        deliveries.catch_up(&journal).await.unwrap();
        deliveries.waiting("ops")
    }

    fn named(next: Next) -> String {
        match next {
            Next::Now(delivery) => delivery.id.clone(),
            Next::At(at) => format!("at {at}"),
            Next::Nothing => "nothing".to_owned(),
        }
    }

    #[tokio::test]
    async fn what_ended_never_goes_out_before_what_began_and_no_group_waits_for_another() {
        let far = later();
        let waiting = waiting(&[("firing", told("a")), ("firing", failed(far)), ("other", told("b"))]).await;
        let none = HashSet::new();
        let standing = |busy, open_until| Standing { busy, succeeded_at: None, open_until };
        let now = Timestamp::now();
        assert_eq!(named(next(&waiting, &standing(&none, None), now)), "other");
        let busy = HashSet::from(["b".to_owned()]);
        assert_eq!(named(next(&waiting, &standing(&busy, None), now)), format!("at {far}"));
        let rest = now.plus(Duration::from_secs(60));
        assert_eq!(named(next(&waiting, &standing(&none, Some(rest)), now)), format!("at {rest}"));
        assert_eq!(named(next(&[], &standing(&none, None), now)), "nothing");
    }

    #[tokio::test]
    async fn something_newer_to_tell_or_a_receiver_that_is_well_again_brings_forward_what_waits() {
        let far = later();
        let lines = [("firing", told("a")), ("firing", failed(far)), ("resolved", told("a"))];
        let none = HashSet::new();
        let mut standing = Standing { busy: &none, succeeded_at: None, open_until: None };
        let now = Timestamp::now().plus(Duration::from_secs(6));
        assert_eq!(named(next(&waiting(&lines).await, &standing, now)), "firing", "the end waits behind it");
        let soon = Timestamp::now().plus(Duration::from_secs(1));
        assert!(named(next(&waiting(&lines).await, &standing, soon)).starts_with("at "), "not in the same breath");
        let alone = waiting(&lines[..2]).await;
        assert_eq!(named(next(&alone, &standing, now)), format!("at {far}"));
        standing.succeeded_at = Some(now);
        assert_eq!(named(next(&alone, &standing, now)), "firing");
        standing.succeeded_at = Some(Timestamp::from_millis(0));
        assert_eq!(named(next(&alone, &standing, now)), format!("at {far}"), "it took something before it failed");
    }
}
