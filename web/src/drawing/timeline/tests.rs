//! Where things stand in a flow's drawing.

use store::flow::{Start, assemble};
use store::{Board, Entry, fixture};

use super::texts::TEXT_SIZE;
use super::*;
use crate::drawing::scale::WIDTH_MIN;
use crate::given::{holding, order_journey};

async fn drawn(entries: Vec<Entry>) -> Timeline {
    let store = holding(entries).await;
    let flow =
        assemble(&*store, &Board::default(), Start::Trace(fixture::trace(1)), Timestamp::now()).await.unwrap().unwrap();
    Timeline::of(&Scene::of(&flow), flow.started_at, flow.ended_at)
}

#[tokio::test]
async fn time_runs_to_the_right_and_nothing_leaves_the_drawing() {
    let timeline = drawn(order_journey()).await;
    let labels: Vec<&str> = timeline.ticks.iter().map(|tick| tick.label.as_str()).collect();
    assert_eq!(labels, ["0", "1 s", "2 s", "3 s", "4 s"]);
    assert!(timeline.ticks.windows(2).all(|pair| pair[0].x < pair[1].x));
    let inside = |x: Share| (0.0..=100.0).contains(&x.0);
    assert!(timeline.dots.iter().all(|dot| inside(dot.x) && dot.y < timeline.height));
    assert!(timeline.bars.iter().all(|bar| inside(bar.x) && bar.y + BAR < timeline.height));
    assert!(timeline.segments.iter().all(|line| inside(line.x1) && inside(line.x2)));
}

#[tokio::test]
async fn no_two_texts_run_into_each_other() {
    for entries in [order_journey(), crowd(40)] {
        let timeline = drawn(entries).await;
        let boxes: Vec<(f64, f64, f64)> = timeline
            .texts
            .iter()
            .map(|text| {
                let width = label::width(&text.text, TEXT_SIZE, text.kind == "record");
                let at = text.x.px() + text.dx;
                if text.anchor == "end" { (text.y, at - width, at) } else { (text.y, at, at + width) }
            })
            .collect();
        for (index, one) in boxes.iter().enumerate() {
            assert!(one.1 >= 0.0 && one.2 <= WIDTH_MIN, "{one:?} leaves the drawing");
            for other in &boxes[index + 1..] {
                assert!(one.0 != other.0 || one.2 <= other.1 || other.2 <= one.1, "{one:?} and {other:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_went_wrong_is_always_named() {
    let timeline = drawn(order_journey()).await;
    let told: Vec<&str> = timeline.texts.iter().map(|text| text.text.as_str()).collect();
    assert!(told.contains(&"dead letter: RuntimeError"), "{told:?}");
    assert!(told.iter().any(|text| text.starts_with("attempt 1")), "{told:?}");
    assert!(told.iter().any(|text| text.starts_with("attempt 2")), "{told:?}");
}

#[tokio::test]
async fn no_line_goes_through_a_text_that_has_another_side() {
    let timeline = drawn(order_journey()).await;
    for text in timeline.texts.iter().filter(|text| text.kind == "dead") {
        let width = label::width(&text.text, TEXT_SIZE, false);
        let (from, to) = (text.x.px() + text.dx - width, text.x.px() + text.dx);
        let crossed = timeline.segments.iter().filter(|line| line.x1 == line.x2).any(|line| {
            let (top, bottom) = (line.y1.min(line.y2), line.y1.max(line.y2));
            top < text.y - 2.0 && bottom > text.y && line.x1.px() > from + 1.0 && line.x1.px() < to - 1.0
        });
        assert!(!crossed, "{}", text.text);
    }
}

#[tokio::test]
async fn work_at_the_same_time_stands_below_each_other() {
    let timeline = drawn(crowd(3)).await;
    let mut heights: Vec<u64> = timeline.bars.iter().map(|bar| bar.y as u64).collect();
    heights.dedup();
    assert_eq!(heights.len(), 3);
    let many = drawn(crowd(40)).await;
    assert!(many.height < 300.0, "{}", many.height);
}

#[tokio::test]
async fn a_moment_can_be_seen() {
    let timeline = drawn(vec![
        fixture::span("a", "long").id(1).at(0.0).took(3_600.0).entry(),
        fixture::span("b", "short").id(2).at(5.0).took(0.000_001).entry(),
    ])
    .await;
    assert_eq!(timeline.bars[1].width, "3");
    let alone = drawn(vec![fixture::record("orders", 0, 1).trace(1).entry()]).await;
    assert_eq!((alone.dots.len(), alone.ticks.len()), (1, 1));
}

fn crowd(many: u64) -> Vec<Entry> {
    let worker = |number| fixture::span("billing", "charge the card of somebody").id(100 + number);
    (0..many).map(|number| worker(number).at(number as f64 / 100.0).took(2.0).entry()).collect()
}
