//! What can be proved to be wrong with the events of a real Kafka: on their flows, in the search, and for whoever is told.

use std::time::Duration;

use serde_json::json;

use crate::rig::home::Home;
use crate::rig::kafka::{self, Draft};
use crate::rig::until;

/// What reads a broker that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn an_event_that_nothing_followed_in_its_declared_time_is_a_finding_of_its_flow_and_one_that_was_followed_is_not() {
    let kafka = kafka::shared();
    let (orders, payments) = (kafka.topic("unfollowed", 1), kafka.topic("following", 1));
    let event = |event_type: &str, order: &str, trace: u8| {
        let body = json!({ "eventId": format!("{event_type}-{order}"), "eventType": event_type, "orderId": order });
        let traceparent = format!("00-{}-{}-01", format!("{trace:02x}").repeat(16), "11".repeat(8));
        Draft::json(order, &body).header("traceparent", Some(traceparent.as_bytes()))
    };
    let home = Home::new(&format!(
        "{}\n[[alert]]\nname = \"unpaid\"\nkind = \"missing_reaction\"\nevent = \"OrderPlaced\"\none_of = [\"Paid\", \"Declined\"]\nwithin = \"2s\"\n\
         [[alert]]\nname = \"something is wrong\"\nkind = \"finding\"\nfinding = [\"reaction\"]\n",
        kafka::source(kafka, &[&orders, &payments])
    ));
    let sillage = home.serve();
    kafka.send(&orders, &[event("OrderPlaced", "order-1", 0xa1), event("OrderPlaced", "order-2", 0xa2)]);
    kafka.send(&payments, &[event("Paid", "order-1", 0xa1)]);
    sillage.records_when(&orders, 2, PATIENCE);
    sillage.records_when(&payments, 1, PATIENCE);

    let flow = sillage.flow_when(&"a2".repeat(16), "a finding", |flow| flow["findings"] != json!([]));
    let finding = &flow["findings"][0];
    let says = "no Paid or Declined followed within 2s, as the rule `unpaid` has it";
    assert!(finding["kind"] == "reaction" && finding["says"].as_str().unwrap().ends_with(says), "{finding}");
    assert_eq!(finding["position"]["channel"], orders.as_str());
    assert_eq!(sillage.api(&format!("flow/{}", "a1".repeat(16)))["findings"], json!([]));
    let found = sillage.search_all("finding:reaction");
    assert!(found.len() == 1 && found[0]["key"] == "order-2", "{found:?}");
    until("both rules say so", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(200));
        let all = sillage.api("alerts");
        let firing = all["alerts"].as_array()?.iter().filter(|alert| alert["state"] == "firing").count();
        (firing == 2).then_some(())
    });
    let page = sillage.get(&format!("/flow/{}?tab=findings", "a2".repeat(16))).text();
    assert!(page.contains("no Paid or Declined followed within 2s"));
    drop(sillage);
}
