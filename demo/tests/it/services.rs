//! Services stop and start, and what is outside may be down.

use std::time::{Duration, Instant};

use demo::{EmbeddedBroker, PARTITIONS, Shop, ShopConfig, TOPICS};

use crate::{eventually, otlp::Receiver, records::Watcher};

const PATIENCE: Duration = Duration::from_secs(15);

async fn watcher(broker: &EmbeddedBroker) -> Watcher {
    let brokers = broker.bootstrap();
    tokio::task::spawn_blocking(move || Watcher::new(&brokers)).await.unwrap()
}

/// Runs `look` on the watcher away from the async threads, and gives both back.
async fn watch<T: Send + 'static>(
    mut watcher: Watcher,
    look: impl FnOnce(&mut Watcher) -> T + Send + 'static,
) -> (Watcher, T) {
    tokio::task::spawn_blocking(move || {
        let found = look(&mut watcher);
        (watcher, found)
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_service_says_nothing_and_catches_up_when_it_is_back() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topics(&TOPICS, PARTITIONS).unwrap();
    let receiver = Receiver::start().await;
    let config = ShopConfig {
        brokers: broker.bootstrap(),
        otlp: receiver.endpoint.clone(),
        orders_per_s: 10.0,
        without: vec!["analytics".into(), "read-model".into()],
        ..ShopConfig::default()
    };
    let shop = Shop::start(config).await.unwrap();
    assert_eq!(shop.running().await, ["shop-api", "billing", "inventory", "shipping"]);
    let (watched, ()) = watch(watcher(&broker).await, |watcher| {
        eventually("payments", PATIENCE, || (watcher.count("payment.authorized") > 3).then_some(()));
    })
    .await;

    shop.stop_service("billing").await.unwrap();
    shop.stop_service("billing").await.unwrap();
    let (watched, meanwhile) = watch(watched, |watcher| {
        let paid = watcher.count("payment.authorized");
        let placed = watcher.count("order.placed");
        eventually("orders go on", PATIENCE, || (watcher.count("order.placed") >= placed + 10).then_some(()));
        assert_eq!(watcher.count("payment.authorized"), paid, "billing is stopped, but payments go on");
        let orders = watcher.look().iter().filter(|seen| seen.topic == "order.placed" && seen.json.is_some());
        orders.skip(placed).map(|order| order.key.clone()).collect::<Vec<String>>()
    })
    .await;
    assert!(meanwhile.len() > 5, "{meanwhile:?}");

    shop.start_service("billing").await.unwrap();
    let (watched, ()) = watch(watched, move |watcher| {
        eventually("billing deals with what was placed meanwhile", PATIENCE, || {
            let seen = watcher.look();
            let outcomes = ["payment.authorized", "payment.failed", "order.placed-retry"];
            let dealt_with =
                |key: &String| seen.iter().any(|seen| seen.key == *key && outcomes.contains(&seen.topic.as_str()));
            meanwhile.iter().all(dealt_with).then_some(())
        });
    })
    .await;
    shop.stop().await;
    let spans = receiver.spans();
    assert!(spans.iter().any(|span| span.service == "billing"));
    assert!(!spans.iter().any(|span| ["analytics", "read-model"].contains(&span.service.as_str())));
    tokio::task::spawn_blocking(move || drop((watched, broker))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_otlp_endpoint_that_is_down_does_not_stop_the_shop() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topics(&TOPICS, PARTITIONS).unwrap();
    // A port that was free a moment ago, and where nobody listens.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = ShopConfig {
        brokers: broker.bootstrap(),
        otlp: format!("http://{closed}"),
        without: vec!["analytics".into(), "read-model".into()],
        ..ShopConfig::default()
    };
    let shop = Shop::start(config).await.unwrap();
    let (watched, ()) = watch(watcher(&broker).await, |watcher| {
        eventually("parcels", PATIENCE, || (watcher.count("parcel.planned") > 5).then_some(()));
    })
    .await;
    let stopping = Instant::now();
    shop.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(10), "stopping took {:?}", stopping.elapsed());
    tokio::task::spawn_blocking(move || drop((watched, broker))).await.unwrap();
}
