//! What a page of a group relies on.

use super::*;

fn key(partition: i32) -> LagKey {
    LagKey { source: "main".into(), group: "billing".into(), topic: "orders".into(), partition }
}

fn sample(seconds: i64, committed: i64, end: i64) -> LagSample {
    LagSample { at: Timestamp::from_millis(seconds * 1_000), committed: Some(committed), end: Some(end) }
}

#[test]
fn a_lag_is_kept_when_it_changes_and_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let series = LagSeries::open(folder.path()).unwrap();
    for second in 0..10 {
        series.add(&key(0), sample(second * 10, second / 4, 9));
        series.add(&key(1), sample(second * 10, 5, 5));
    }
    series.save().unwrap();
    series.add(&key(1), LagSample { end: None, ..sample(200, 5, 5) });
    series.save().unwrap();
    let unsaved = series.range(&key(0), Timestamp::MIN, Timestamp::MAX);
    assert_eq!(unsaved.iter().filter_map(LagSample::lag).collect::<Vec<_>>(), [9, 8, 7]);
    assert!(series.bytes() > 0);
    drop(series);
    let series = LagSeries::open(folder.path()).unwrap();
    assert_eq!(series.range(&key(0), Timestamp::MIN, Timestamp::MAX), unsaved);
    assert_eq!(series.latest(&key(1)).unwrap().lag(), None, "unknown is not 0");
    assert_eq!(series.keys(Some((&"main".into(), "billing"))), [key(0), key(1)]);
    assert!(series.keys(Some((&"main".into(), "shipping"))).is_empty());
}

#[test]
fn a_range_begins_with_what_held_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let series = LagSeries::open(folder.path()).unwrap();
    for second in [0, 100, 200, 300] {
        series.add(&key(0), sample(second, second, 1_000));
    }
    let seconds = |found: Vec<LagSample>| found.iter().map(|sample| sample.at.as_millis() / 1_000).collect::<Vec<_>>();
    assert_eq!(seconds(series.range(&key(0), at(150), at(200))), [100, 200]);
    assert_eq!(seconds(series.range(&key(0), at(400), at(500))), [300]);
    assert_eq!(seconds(series.range(&key(0), at(-5), at(-1))), [0; 0]);
}

#[test]
fn a_week_of_changes_every_second_stays_small_and_ends_where_the_lag_is() {
    let folder = tempfile::tempdir().unwrap();
    let series = LagSeries::open(folder.path()).unwrap();
    let week = 7 * 86_400;
    for second in 0..week + 1_000 {
        series.add(&key(0), sample(second, second, week * 2));
    }
    let samples = series.range(&key(0), Timestamp::MIN, Timestamp::MAX);
    assert!(samples.len() < 360 + 1_440 + 1_008 + 100, "{}", samples.len());
    assert!(samples.is_sorted_by_key(|sample| sample.at));
    assert_eq!(samples.last().unwrap().committed, Some(week + 999));
    let last_hour = samples.iter().filter(|sample| sample.at >= Timestamp::from_millis((week - 2_400) * 1_000)).count();
    assert!(last_hour >= 330, "{last_hour}");
}

#[test]
fn a_series_that_gets_no_more_samples_is_thinned_and_one_of_which_nobody_tells_any_more_goes() {
    let folder = tempfile::tempdir().unwrap();
    let series = LagSeries::open(folder.path()).unwrap();
    for second in 0..3_600 {
        series.add(&key(0), sample(second, second, 9_000));
        series.add(&key(1), sample(second, second, 9_000));
    }
    series.save().unwrap();
    let all = |partition: i32| series.range(&key(partition), Timestamp::MIN, Timestamp::MAX);
    assert!(all(0).len() > 360);
    let before = series.bytes();
    // Two days later its lag is still told, and is still the same; of the other nobody tells any more.
    let held = sample(2 * 86_400, 3_599, 9_000);
    series.add(&key(0), held);
    series.save().unwrap();
    assert!(all(0).len() <= 7, "{}", all(0).len());
    assert_eq!(all(0).last().unwrap().lag(), held.lag(), "what holds now stays");
    assert!(series.bytes() < before);
    for day in 3..12 {
        series.add(&key(0), LagSample { at: Timestamp::from_millis(day * 86_400_000), ..held });
        series.save().unwrap();
    }
    assert_eq!((all(0).len(), all(1).len()), (1, 0));
    assert_eq!(series.keys(None), [key(0)]);
    assert_eq!(series.latest(&key(0)).unwrap().lag(), held.lag());
}

#[test]
fn a_damaged_file_costs_what_is_damaged_only() {
    let folder = tempfile::tempdir().unwrap();
    let series = LagSeries::open(folder.path()).unwrap();
    for partition in 0..3 {
        series.add(&key(partition), sample(1, 2, 3));
        series.save().unwrap();
    }
    let path = folder.path().join("lag");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(LagSeries::open(folder.path()).unwrap().keys(None), [key(0), key(2)]);
}

#[test]
fn the_course_of_a_group_is_what_was_last_seen_and_nothing_where_nobody_looked() {
    let folder = tempfile::tempdir().unwrap();
    let series = LagSeries::open(folder.path()).unwrap();
    let source = "main".into();
    let look = |series: &LagSeries, second: i64, lag: u64| {
        let level = Level { lag: Some(lag), lag_ms: Some(lag * 100) };
        series.add_level((&source, "billing"), Timestamp::from_millis(second * 1_000), level);
    };
    for second in [15, 25, 35] {
        look(&series, second, 4);
    }
    series.save().unwrap();
    look(&series, 300, 9);
    series.save().unwrap();
    for series in [&series, &LagSeries::open(folder.path()).unwrap()] {
        let course = series.course((&source, "billing"), at(0), Duration::from_secs(10), 32);
        let lags: Vec<Option<u64>> = course.iter().map(|level| level.lag).collect();
        assert_eq!(lags[..4], [None, Some(4), Some(4), Some(4)]);
        assert_eq!((lags[20], lags[30]), (None, Some(9)), "Sillage was away in between");
        assert_eq!(course[30].lag_ms, Some(900));
    }
    assert!(
        series.course((&source, "shipping"), at(0), Duration::from_secs(10), 2).iter().all(|level| level.lag.is_none())
    );
}

#[test]
fn resets_and_rebalances_are_there_after_a_restart_and_only_the_latest_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let series = LagSeries::open(folder.path()).unwrap();
    let source: SourceName = "main".into();
    series.add(&key(0), sample(0, 1, 9));
    let reset = Change::Reset { topic: "orders".into(), moves: vec![Move { partition: 0, from: 9, to: 2 }] };
    let changes = [Change::Members { joined: 1, left: 2 }, Change::Reassigned { partitions: 3 }, reset];
    let marks: Vec<Mark> = (1..).zip(changes).map(|(second, change)| Mark { at: at(second), change }).collect();
    for mark in &marks {
        series.mark((&source, "billing"), mark.clone());
        series.save().unwrap();
    }
    let again = LagSeries::open(folder.path()).unwrap();
    assert_eq!(again.marks((&source, "billing"), at(0), at(9)), marks);
    assert_eq!(again.marks((&source, "billing"), at(2), at(2)), marks[1..2]);
    for second in 0..2 * MARKS_MAX as i64 {
        again.mark((&source, "billing"), Mark { at: at(second + 10), change: Change::Members { joined: 1, left: 0 } });
    }
    assert_eq!(again.marks((&source, "billing"), at(0), Timestamp::MAX).len(), MARKS_MAX);
}

#[test]
fn until_when_something_held_is_there_after_a_restart_once_it_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let series = LagSeries::open(folder.path()).unwrap();
    for (second, committed) in [(0, 5), (10, 5), (500, 5), (510, 9)] {
        series.add(&key(0), sample(second, committed, 9));
        series.save().unwrap();
    }
    let passed = series.passed(&key(0), 7);
    assert_eq!(passed.map(|passed| (passed.after, passed.by)), Some((Some(at(500)), at(510))));
    assert_eq!(LagSeries::open(folder.path()).unwrap().passed(&key(0), 7), passed);
}

#[test]
fn five_hundred_groups_on_two_hundred_partitions_stay_within_what_is_allowed_and_tell_the_latest_exactly() {
    let series = LagSeries::default();
    let keys: Vec<LagKey> = (0..500)
        .flat_map(|group| (0..200).map(move |partition| LagKey { group: format!("g{group}"), ..key(partition) }))
        .collect();
    let rounds = 25;
    for round in 0..rounds {
        for key in &keys {
            series.add(key, sample(round * 10, round * 7, round * 7 + 50));
        }
    }
    assert!(series.bytes() < 200 << 20, "{}", series.bytes());
    assert_eq!(series.left_out(), 0);
    let last = rounds - 1;
    for key in [&keys[0], &keys[99_999]] {
        assert_eq!(series.latest(key), Some(sample(last * 10, last * 7, last * 7 + 50)));
        let passed = series.passed(key, last * 7 - 1).unwrap();
        assert_eq!((passed.after, passed.by), (Some(at((last - 1) * 10)), at(last * 10)));
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}
