//! What is drawn of a flow.

use store::flow::{Start, assemble};
use store::{Board, Entry, Timestamp, fixture};

use super::*;
use crate::given::{holding, order_journey};

async fn scene(entries: Vec<Entry>) -> Scene {
    let store = holding(entries).await;
    let flow =
        assemble(&*store, &Board::default(), Start::Trace(fixture::trace(1)), Timestamp::now()).await.unwrap().unwrap();
    Scene::of(&flow)
}

fn names(scene: &Scene) -> Vec<&str> {
    scene.lanes.iter().map(|lane| lane.name.as_str()).collect()
}

#[tokio::test]
async fn lanes_stand_in_the_order_in_which_the_flow_went() {
    let scene = scene(order_journey()).await;
    let expected = [
        "shop-api",
        "order.placed",
        "read-model",
        "inventory",
        "stock.reserved",
        "shipping",
        "billing",
        "order.placed-retry",
        "order.placed-dlt",
    ];
    assert_eq!(names(&scene), expected);
    assert_eq!(scene.left_out, 0);
}

#[tokio::test]
async fn lines_lead_from_who_published_to_who_read() {
    let scene = scene(order_journey()).await;
    let mut told: Vec<String> = scene
        .lines
        .iter()
        .map(|line| {
            let (service, topic) =
                (&scene.lanes[scene.bars[line.bar].lane].name, &scene.lanes[scene.dots[line.dot].lane].name);
            let bar = scene.bars[line.bar].label.split(" ·").next().unwrap();
            match line.kind {
                LineKind::Published => format!("{service} ({bar}) -> {topic} {:?}", line.tone),
                LineKind::Read => format!("{topic} -> {service} ({bar}) {:?}", line.tone),
            }
        })
        .collect();
    told.sort();
    let mut expected = [
        "shop-api (POST /orders) -> order.placed Plain",
        "order.placed -> read-model (project OrderPlaced) Plain",
        "order.placed -> inventory (reserve stock) Plain",
        "order.placed -> billing (attempt 1) Plain",
        "billing (attempt 1) -> order.placed-retry Retry",
        "order.placed-retry -> billing (attempt 2) Retry",
        "billing (attempt 2) -> order.placed-retry Retry",
        "order.placed-retry -> billing (attempt 3) Retry",
        "billing (attempt 3) -> order.placed-dlt Dead",
        "inventory (reserve stock) -> stock.reserved Plain",
        "stock.reserved -> shipping (plan parcel) Plain",
        "stock.reserved -> read-model (project StockReserved) Plain",
    ];
    expected.sort_unstable();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_services_inner_spans_are_part_of_its_work() {
    let scene = scene(vec![
        fixture::span("shop", "POST /orders").id(1).at(0.0).took(1.0).entry(),
        fixture::span("shop", "SELECT").id(2).parent(1).at(0.1).entry(),
        fixture::span("shop", "send").id(3).parent(2).published("orders").at(0.2).entry(),
        fixture::record("orders", 0, 1).event("OrderPlaced").trace(1).span(3).at(0.25).entry(),
        fixture::span("pay", "charge").id(4).parent(1).at(0.3).entry(),
    ])
    .await;
    let bars: Vec<&str> = scene.bars.iter().map(|bar| bar.label.as_str()).collect();
    assert_eq!(bars, ["POST /orders", "charge"]);
    assert_eq!(scene.lines.len(), 1);
    assert_eq!(scene.bars[scene.lines[0].bar].label, "POST /orders");
}

#[tokio::test]
async fn a_flow_without_spans_still_has_its_records() {
    let entry = fixture::record("orders", 0, 1).event("OrderPlaced").version("2").trace(1).entry();
    let scene = scene(vec![entry]).await;
    assert_eq!(names(&scene), ["orders"]);
    assert_eq!(scene.dots[0].label, "OrderPlaced v2  p0@1");
    assert!(scene.bars.is_empty() && scene.lines.is_empty());
}

#[tokio::test]
async fn spans_in_a_circle_end() {
    let scene = scene(vec![
        fixture::span("a", "one").id(1).parent(2).entry(),
        fixture::span("a", "two").id(2).parent(1).entry(),
        fixture::span("b", "own parent").id(3).parent(3).entry(),
    ])
    .await;
    assert!(names(&scene).contains(&"b"));
}
