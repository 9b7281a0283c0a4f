//! What a page of a group relies on.

use super::*;

fn key(partition: i32) -> LagKey {
    LagKey { source: "main".into(), group: "billing".into(), topic: "orders".into(), partition }
}

fn sample(seconds: i64, committed: i64, end: i64) -> LagSample {
    LagSample { at: Timestamp::from_millis(seconds * 1_000), committed: Some(committed), end: Some(end), lag_ms: None }
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
    let at = |second: i64| Timestamp::from_millis(second * 1_000);
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
fn the_course_of_a_group_is_the_sum_of_what_was_last_known_of_its_partitions() {
    let series = LagSeries::default();
    let key = |group: &str, partition| LagKey {
        source: "main".into(),
        group: group.to_owned(),
        topic: "orders".into(),
        partition,
    };
    let sample = |seconds: i64, committed, end| LagSample {
        at: Timestamp::from_millis(seconds * 1_000),
        committed: Some(committed),
        end: Some(end),
        lag_ms: None,
    };
    series.add(&key("billing", 0), sample(15, 0, 4));
    series.add(&key("billing", 0), sample(35, 4, 4));
    series.add(&key("billing", 1), sample(25, 1, 10));
    series.add(&key("billings", 1), sample(5, 0, 100));
    let course = series.course((&"main".into(), "billing"), Timestamp::from_millis(0), Duration::from_secs(10), 5);
    assert_eq!(course, [None, Some(4), Some(13), Some(9), Some(9)]);
}
