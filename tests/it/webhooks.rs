//! Webhooks: what their receivers get, whatever they do, and whatever becomes of Sillage meanwhile.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::home::{Home, Sillage, free_address, free_port};
use crate::rig::receiver::{Does, Receiver};
use crate::rig::{http, parts, until};

const PATIENCE: Duration = Duration::from_secs(20);

/// Keys as `whsec_$(openssl rand -base64 32)` makes them.
const OLD: &str = "whsec_b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQgb2xkIG9sZCE=";
const NEW: &str = "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IG5ldyE=";

/// A `[[webhook]]` at a path of a receiver on this machine.
fn webhook(name: &str, receiver: SocketAddr, path: &str, more: &str) -> String {
    format!(
        "[[webhook]]\nname = \"{name}\"\nurl = \"http://{receiver}{path}\"\nsecret = \"{NEW}\"\nallow_private = true\n{more}\n"
    )
}

/// Orders something as a script does: with the token of the page's forms.
fn order(sillage: &Sillage, order: &Value) -> String {
    let page = sillage.get("/alerts/deliveries").text();
    let (_, rest) = page.split_once("name=\"token\" value=\"").unwrap();
    let headers = [("x-sillage-token", rest.split_once('"').unwrap().0)];
    let answer = http::post(sillage.web, "/api/v1/alerts/deliveries", &headers, order.to_string().as_bytes()).unwrap();
    assert_eq!(answer.status, 202, "{order}: {}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn test(sillage: &Sillage, webhook: &str) -> String {
    order(sillage, &json!({ "test": webhook }))
}

/// A delivery, once it is as a test waits for.
fn delivery_when(sillage: &Sillage, id: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    until(&format!("{id} is {what}"), PATIENCE, || {
        let all = sillage.api("alerts/deliveries?limit=100");
        let found = all["deliveries"].as_array().unwrap().iter().find(|delivery| delivery["id"] == id).cloned();
        found.filter(|delivery| holds(delivery))
    })
}

fn in_state(sillage: &Sillage, id: &str, state: &str) -> Value {
    delivery_when(sillage, id, state, |delivery| delivery["state"] == state)
}

fn statuses(delivery: &Value) -> Vec<Option<u64>> {
    delivery["attempts"].as_array().unwrap().iter().map(|attempt| attempt["status"].as_u64()).collect()
}

#[test]
fn a_receiver_gets_what_it_is_told_however_it_fails_and_holds_back_no_other() {
    let receiver = Receiver::listen(
        free_address(),
        &[
            ("/well", &[Does::Answers(200, "")]),
            ("/500", &[Does::Answers(500, ""), Does::Answers(204, "")]),
            ("/429", &[Does::Answers(429, "Retry-After: 7\r\n"), Does::Answers(200, "")]),
            ("/410", &[Does::Answers(410, "")]),
            ("/302", &[Does::Answers(302, "Location: /well\r\n")]),
            ("/much", &[Does::SendsMuch]),
            ("/hangs", &[Does::Hangs]),
        ],
    );
    let names = ["hangs", "500", "429", "410", "302", "much"];
    let mut more: String = names.map(|name| webhook(name, receiver.address, &format!("/{name}"), "")).concat();
    more.push_str(&webhook("well", receiver.address, "/well", ""));
    // A name that means this machine, as an attacker would spell it: only calling it shows what it means.
    let port = receiver.address.port();
    more.push_str(&format!(
        "[[webhook]]\nname = \"inside\"\nurl = \"https://0x7f.1:{port}/well\"\nsecret = \"{NEW}\"\n"
    ));
    let home = Home::new(&more);
    let sillage = home.serve();
    let ids = names.map(|name| test(&sillage, name));
    let [hangs, failed, limited, gone, redirected, much] = ids.each_ref();
    let inside = test(&sillage, "inside");
    let began = Instant::now();
    let well = test(&sillage, "well");
    in_state(&sillage, &well, "delivered");
    assert!(began.elapsed() < Duration::from_secs(5), "one that hangs holds back no other");

    // Tried again, under the same id, and not before it was asked to.
    let again = in_state(&sillage, failed, "delivered");
    assert_eq!(statuses(&again), [Some(500), Some(204)]);
    assert_eq!(again["attempts"][0]["says"], "the answer 0");
    let calls = receiver.calls("/500");
    assert!(calls.iter().all(|call| call.id == *failed) && calls[0].body == calls[1].body);
    let rested = in_state(&sillage, limited, "delivered");
    assert_eq!(statuses(&rested), [Some(429), Some(200)]);
    let calls = receiver.calls("/429");
    assert!(calls[1].at - calls[0].at >= Duration::from_secs(7), "{:?}", calls[1].at - calls[0].at);

    // Nothing is followed, nothing is read that nobody reads, nothing inside is called.
    let elsewhere = in_state(&sillage, redirected, "retrying");
    assert!(elsewhere["attempts"][0]["says"].as_str().unwrap().contains("not followed"), "{elsewhere}");
    assert_eq!(in_state(&sillage, much, "delivered")["attempts"][0]["says"].as_str().unwrap().len(), 2048);
    assert!(receiver.sent.load(Ordering::Relaxed) < 64 << 20, "a gigabyte was taken in");
    let refused = in_state(&sillage, &inside, "retrying");
    let says = refused["attempts"][0]["says"].as_str().unwrap();
    assert!(says.contains("127.0.0.1 is a loopback address"), "{says}");
    assert_eq!(receiver.calls("/well").len(), 1, "neither the redirect nor the name inside came there");

    // 410: not even after a restart, until it is configured otherwise.
    in_state(&sillage, gone, "disabled");
    let slow = delivery_when(&sillage, hangs, "tried", |delivery| delivery["attempts"][0].is_object());
    assert!(slow["attempts"][0]["says"].as_str().unwrap().contains("did not answer within 15 s"), "{slow}");
    assert!(sillage.stop().success());
    let sillage = home.serve();
    let second = test(&sillage, "410");
    in_state(&sillage, &second, "disabled");
    assert_eq!(receiver.calls("/410").len(), 1);
    let all = sillage.api("alerts/deliveries")["webhooks"].clone();
    let state =
        |name: &str| all.as_array().unwrap().iter().find(|webhook| webhook["name"] == name).unwrap()["state"].clone();
    assert_eq!((state("410"), state("well")), (json!("disabled"), json!("healthy")));
    sillage.stop();
    home.configure(&webhook("410", receiver.address, "/well", ""));
    let sillage = home.serve();
    in_state(&sillage, &test(&sillage, "410"), "delivered");
    let again = order(&sillage, &json!({ "again": second }));
    assert_eq!(in_state(&sillage, &again, "delivered")["id"], second);
    let shown = format!("{}{}", sillage.get("/alerts/deliveries").text(), sillage.log());
    assert!(!shown.contains("whsec_") && !shown.contains("/well"), "nothing is shown that may be secret");
}

#[test]
fn what_is_wanted_again_is_sent_once_however_often_the_form_is_sent() {
    let receiver = Receiver::listen(free_address(), &[("/hook", &[Does::Answers(200, "")])]);
    let home = Home::new(&webhook("ops", receiver.address, "/hook", ""));
    let sillage = home.serve();
    let id = test(&sillage, "ops");
    in_state(&sillage, &id, "delivered");
    let page = sillage.get(&format!("/alerts/deliveries?id={id}")).text();
    let (_, rest) = page.split_once("name=\"token\" value=\"").unwrap();
    let form = format!("token={}&after=1&again={id}", rest.split_once('"').unwrap().0);
    assert!(page.contains("name=\"after\" value=\"1\""));
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let send = || http::post(sillage.web, "/alerts/deliveries", &headers, form.as_bytes()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(send().status, 303));
        }
    });
    delivery_when(&sillage, &id, "delivered again", |delivery| {
        delivery["state"] == "delivered" && statuses(delivery).len() == 2
    });
    assert_eq!(send().status, 303);
    // What is told later is sent later: by then a third call would be there.
    in_state(&sillage, &test(&sillage, "ops"), "delivered");
    let calls: Vec<String> = receiver.calls("/hook").into_iter().map(|call| call.id).collect();
    assert_eq!(calls.iter().filter(|call| **call == id).count(), 2, "{calls:?}");
}

#[test]
fn a_kill_between_the_decision_and_the_answer_loses_nothing_and_keeps_the_id() {
    let receiver = Receiver::listen(free_address(), &[("/hook", &[Does::Hangs, Does::Answers(200, "")])]);
    let home = Home::new(&webhook("ops", receiver.address, "/hook", ""));
    let sillage = home.serve();
    let id = test(&sillage, "ops");
    receiver.calls_when("/hook", 1, PATIENCE);
    sillage.kill_9();
    let sillage = home.serve();
    let delivery = in_state(&sillage, &id, "delivered");
    assert_eq!(statuses(&delivery), [Some(200)], "what was cut off was never answered");
    let calls = receiver.calls("/hook");
    assert!(calls.len() == 2 && calls.iter().all(|call| call.id == id && call.body == calls[0].body));
}

#[test]
fn a_receiver_that_was_down_gets_everything_and_each_beginning_before_its_end() {
    let address = free_address();
    let home = Home::new(&webhook("ops", address, "/hook", ""));
    let sillage = home.serve();
    let firing = test(&sillage, "ops");
    delivery_when(&sillage, &firing, "tried", |delivery| statuses(delivery) == [None]);
    let resolved = order(&sillage, &json!({ "test": "ops", "resolved": true }));
    // Something newer to tell has the one before it tried at once.
    delivery_when(&sillage, &firing, "tried again", |delivery| delivery["attempts"].as_array().unwrap().len() >= 2);
    sillage.kill_9();
    let receiver = Receiver::listen(address, &[("/hook", &[Does::Answers(200, "")])]);
    let sillage = home.serve();
    let third = test(&sillage, "ops");
    for id in [&firing, &resolved, &third] {
        in_state(&sillage, id, "delivered");
    }
    let calls = receiver.calls("/hook");
    assert_eq!(calls.iter().map(|call| call.id.clone()).collect::<Vec<_>>(), [firing, resolved, third]);
    let told: Vec<&Value> = calls.iter().map(|call| &call.body["data"]["status"]).collect();
    assert_eq!(told, ["firing", "resolved", "firing"]);
}

/// A process of a test's own, ended with it.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A certificate for `localhost`, and its key.
fn certificate(folder: &Path) {
    let mut openssl = Command::new("openssl");
    openssl.args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=hook".split(' '));
    openssl.args("-addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE".split(' '));
    parts::run(openssl.arg("-keyout").arg(folder.join("key.pem")).arg("-out").arg(folder.join("hook-ca.pem")));
}

#[test]
fn a_receiver_over_tls_verifies_both_signatures_of_a_rotation_with_the_standards_own_library() {
    let home = Home::new("");
    let (folder, port) = (home.folder.path(), free_port());
    certificate(folder);
    let seen = folder.join("seen");
    let _receiver = Process(
        Command::new(parts::installed("python/bin/python"))
            .arg(parts::repository().join("tests/it/webhooks/receiver.py"))
            .arg(port.to_string())
            .args([folder.join("hook-ca.pem"), folder.join("key.pem")])
            .args([OLD, NEW])
            .stdin(Stdio::null())
            .stdout(File::create(&seen).unwrap())
            .spawn()
            .unwrap(),
    );
    let hook = |name: &str, path: &str, more: &str| {
        format!(
            "[[webhook]]\nname = \"{name}\"\nurl = \"https://localhost:{port}/{path}\"\nsecret = [\"{NEW}\", \"{OLD}\"]\nallow_private = true\n{more}\n"
        )
    };
    let ca = format!("ca = {:?}", folder.join("hook-ca.pem"));
    home.configure(&[hook("old", "0", &ca), hook("new", "1", &ca), hook("stranger", "1", "")].concat());
    until("the receiver listens", PATIENCE, || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    let sillage = home.serve();
    for name in ["old", "new"] {
        let id = test(&sillage, name);
        assert_eq!(statuses(&in_state(&sillage, &id, "delivered")), [Some(204)]);
    }
    let stranger = in_state(&sillage, &test(&sillage, "stranger"), "retrying");
    let says = stranger["attempts"][0]["says"].as_str().unwrap();
    assert!(says.contains("certificate is not trusted") && says.contains("`ca`"), "{says}");
    let seen: Vec<Value> =
        fs::read_to_string(seen).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(seen.len(), 2);
    for request in &seen {
        assert_eq!((&request["name"], &request["host"]), (&json!("localhost"), &json!(format!("localhost:{port}"))));
        assert_eq!(request["body"]["type"], "alert.test");
    }
}

#[test]
fn a_real_alertmanager_takes_an_alert_and_its_end() {
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let mut start = Command::new(parts::script("alertmanager"));
    start.env("SILLAGE_OWNER", std::process::id().to_string()).arg("start").arg(folder.path());
    parts::run(start.arg(port.to_string()));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let home = Home::new(&webhook("am", address, "/api/v2/alerts", "format = \"alertmanager\""));
    let sillage = home.serve();
    let alerts = || http::get(address, "/api/v2/alerts").unwrap().json().as_array().unwrap().clone();
    in_state(&sillage, &test(&sillage, "am"), "delivered");
    let firing = until("it fires there", PATIENCE, || Some(alerts()).filter(|alerts| !alerts.is_empty()));
    assert_eq!(firing[0]["labels"], json!({ "alertname": "test", "severity": "info", "webhook": "am" }));
    assert_eq!(firing[0]["annotations"]["summary"], "This is a test of the webhook: nothing is wrong.");
    assert!(firing[0]["generatorURL"].as_str().unwrap().starts_with(&format!("http://{}/", home.web)));
    in_state(&sillage, &order(&sillage, &json!({ "test": "am", "resolved": true })), "delivered");
    until("it is over there", PATIENCE, || alerts().is_empty().then_some(()));
    parts::run(Command::new(parts::script("alertmanager")).arg("stop").arg(folder.path()));
}
