use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_795_000_000_000).plus(Duration::from_secs(seconds))
}

const PACE: Pace = Pace {
    group_wait: Duration::from_secs(5),
    group_interval: Duration::from_secs(60),
    repeat_interval: Duration::from_secs(3_600),
};

fn firing(rule: &str, group: &str, since: u64) -> Alert {
    Alert {
        name: rule.to_owned(),
        kind: "group_state".to_owned(),
        severity: Default::default(),
        state: AlertState::Firing,
        labels: Labels::from([("group".to_owned(), group.to_owned())]),
        value: "stalled".to_owned(),
        summary: String::new(),
        page: String::new(),
        since: at(since).to_string(),
        started_at: Some(at(since).to_string()),
        ended_at: None,
    }
}

/// Tells one webhook of one rule, second after second.
struct Desk {
    telling: Telling,
    /// When something was told, and how: `+billing` fires, `-billing` is resolved.
    told: Vec<(u64, String)>,
    /// Everything that was written down.
    written: Vec<Notification>,
}

impl Desk {
    fn new() -> Desk {
        Desk { telling: Telling::default(), told: Vec::new(), written: Vec::new() }
    }

    fn hear(&mut self, second: u64, alerts: &[Alert], silenced: &[&str]) {
        let is_silenced = |alert: &Alert| silenced.iter().any(|group| alert.labels["group"] == *group);
        let heard: Vec<Heard<'_>> =
            alerts.iter().map(|alert| Heard { alert, is_silenced: is_silenced(alert) }).collect();
        let webhooks = BTreeMap::from([("late", vec!["ops"])]);
        for notification in self.telling.due(&heard, &webhooks, &["ops".to_owned()], PACE, at(second)) {
            let sign = |alert: &Alert| if alert.state == AlertState::Firing { '+' } else { '-' };
            let told = notification.alerts.iter().map(|alert| format!("{}{}", sign(alert), alert.labels["group"]));
            self.told.push((second, told.collect::<Vec<_>>().join(" ")));
            self.telling.take(&notification);
            self.written.push(notification);
        }
    }

    /// The same after a restart: all that is known is what was written down.
    fn restart(&mut self) {
        self.telling = Telling::default();
        self.written.iter().for_each(|notification| self.telling.take(notification));
    }

    fn told(&self) -> Vec<(u64, &str)> {
        self.told.iter().map(|(second, told)| (*second, told.as_str())).collect()
    }
}

#[test]
fn what_fires_together_is_told_together_and_what_comes_later_after_a_while() {
    let mut desk = Desk::new();
    for second in 0..200 {
        let mut alerts = vec![firing("late", "billing", 0)];
        if second >= 3 {
            alerts.push(firing("late", "shipping", 3));
        }
        if second >= 10 {
            alerts.push(firing("late", "inventory", 10));
        }
        desk.hear(second, &alerts, &[]);
    }
    assert_eq!(desk.told(), [(5, "+billing +shipping"), (65, "+inventory +billing +shipping")]);
}

#[test]
fn a_flap_of_ten_seconds_is_told_once_per_repeat_interval() {
    let mut desk = Desk::new();
    for second in 0..3 * 3_600 {
        let began = second / 20 * 20;
        let alerts = if second % 20 < 10 { vec![firing("late", "billing", began)] } else { Vec::new() };
        desk.hear(second, &alerts, &[]);
    }
    let told = desk.told();
    assert!(told.iter().all(|(_, told)| *told == "+billing"), "never told to be over: {told:?}");
    assert_eq!(told.iter().map(|(second, _)| second / 3_600).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn what_is_over_is_told_once_it_stayed_so_and_may_then_be_told_anew() {
    let mut desk = Desk::new();
    for second in 0..400 {
        let alerts = match second {
            0..100 => vec![firing("late", "billing", 0)],
            300.. => vec![firing("late", "billing", 300)],
            _ => Vec::new(),
        };
        desk.hear(second, &alerts, &[]);
    }
    assert_eq!(desk.told(), [(5, "+billing"), (160, "-billing"), (305, "+billing")]);
    assert!(!desk.written[1].firing);
    assert_eq!(desk.written[1].alerts[0].ended_at, Some(at(100).to_string()));
}

#[test]
fn a_restart_tells_nobody_twice_and_still_tells_that_it_is_over() {
    let mut desk = Desk::new();
    for second in 0..500 {
        if second % 50 == 20 {
            desk.restart();
        }
        let alerts = if second < 200 { vec![firing("late", "billing", 0)] } else { Vec::new() };
        desk.hear(second, &alerts, &[]);
    }
    // It begins to count at a start what has been over since before it.
    assert_eq!(desk.told()[0], (5, "+billing"));
    assert_eq!(
        desk.told().len(),
        1,
        "a restart every fifty seconds leaves no minute in which it stayed over: {:?}",
        desk.told()
    );
    for second in 500..600 {
        desk.hear(second, &[], &[]);
    }
    assert_eq!(desk.told().last().unwrap().1, "-billing");
    assert_eq!(desk.told().len(), 2);
}

#[test]
fn what_was_left_out_of_a_word_for_lack_of_room_is_not_told_again_after_a_restart() {
    let mut desk = Desk::new();
    let alerts = ["billing", "shipping"].map(|group| firing("late", group, 0));
    desk.hear(5, &alerts, &[]);
    let written = &mut desk.written[0];
    written.left_out = 1;
    written.alerts.truncate(1);
    desk.restart();
    for second in 6..1_000 {
        desk.hear(second, &alerts, &[]);
    }
    assert_eq!(desk.told(), [(5, "+billing +shipping")]);
}

#[test]
fn what_is_silenced_is_not_told_and_what_was_told_before_is_still_told_to_be_over() {
    let mut desk = Desk::new();
    for second in 0..8_000 {
        let alerts = if second < 7_800 { vec![firing("late", "billing", 0)] } else { Vec::new() };
        let silenced: &[&str] = if second > 10 { &["billing"] } else { &[] };
        desk.hear(second, &alerts, silenced);
    }
    assert_eq!(desk.told(), [(5, "+billing"), (7_860, "-billing")], "no repetition while it is silent");
    let mut desk = Desk::new();
    for second in 0..8_000 {
        desk.hear(second, &[firing("late", "billing", 0)], if second < 5_000 { &["billing"] } else { &[] });
    }
    assert_eq!(desk.told(), [(5_000, "+billing")], "when the silence ends and it still fires");
}

#[test]
fn a_webhook_that_is_not_configured_any_more_is_forgotten_and_a_rule_that_went_is_told_to_be_over() {
    let mut telling = Telling::default();
    let alert = firing("late", "billing", 0);
    let heard = [Heard { alert: &alert, is_silenced: false }];
    let known = ["ops".to_owned(), "chat".to_owned()];
    let both = BTreeMap::from([("late", vec!["ops", "chat"])]);
    for notification in telling.due(&heard, &both, &known, PACE, at(5)) {
        telling.take(&notification);
    }
    assert_eq!(telling.of(&alert).len(), 2);
    let none = BTreeMap::new();
    assert_eq!(telling.due(&[], &none, &known[..1], PACE, at(70)), []);
    let over = telling.due(&[], &none, &known[..1], PACE, at(140));
    assert_eq!(over.iter().map(|told| (told.webhook.as_str(), told.firing)).collect::<Vec<_>>(), [("ops", false)]);
}
