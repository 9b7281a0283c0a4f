//! A broker that wants to know who we are: SASL over TLS on one port, client certificates on another, with access control on both.
//! Plain text on a third is for the tests themselves.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::home::free_port;
use super::kafka::{self, Kafka};
use super::parts;

/// As whom Sillage comes, and its password (tests/parts/kafka).
pub const USER: &str = "observer";
pub const PASSWORD: &str = "observer-secret";

pub struct Secure {
    /// To send and to ask as a super user.
    pub kafka: Kafka,
    pub sasl: String,
    pub tls: String,
}

/// The broker that all tests share; the observer may read what begins with `open-`, and see but not read what begins with `seen-`.
pub fn shared() -> &'static Secure {
    static SHARED: OnceLock<Secure> = OnceLock::new();
    SHARED.get_or_init(|| {
        let kafka = Kafka::planned("secure");
        let (sasl, tls) = (free_port(), free_port());
        kafka::script("secure", &kafka.folder, &[kafka.port, kafka.controller, sasl, tls]);
        let rights = ["topic:open-*:READ", "topic:open-*:DESCRIBE", "topic:seen-*:DESCRIBE", "group:*:DESCRIBE"];
        parts::wire(&[&["grant", &kafka.address, USER], &rights[..]].concat());
        Secure { kafka, sasl: format!("127.0.0.1:{sasl}"), tls: format!("127.0.0.1:{tls}") }
    })
}

impl Secure {
    /// A file of `tls/`: `ca.pem`, `other-ca.pem`, `client.pem`, `client.key`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.kafka.folder.join("tls").join(name)
    }

    /// A file with a secret in it, as an option names it.
    pub fn secret(&self, name: &str, text: &str) -> String {
        let path = self.kafka.folder.join(name);
        fs::write(&path, text).unwrap();
        format!("file:{}", path.display())
    }

    /// The options with which the observer comes over SASL and TLS by a mechanism that knows passwords.
    pub fn by_password(&self, mechanism: &str) -> Vec<(&'static str, String)> {
        vec![
            ("security.protocol", "sasl_ssl".to_owned()),
            ("ssl.ca.location", self.file("ca.pem").display().to_string()),
            ("sasl.mechanism", mechanism.to_owned()),
            ("sasl.username", USER.to_owned()),
            ("sasl.password", self.secret("password", PASSWORD)),
        ]
    }
}

/// A `[[source]]` that reads these topics from the first record on.
pub fn source(name: &str, broker: &str, topics: &[&str], options: &[(&str, String)]) -> String {
    let options: Vec<String> = options.iter().map(|(key, value)| format!("{key:?} = {value:?}")).collect();
    format!(
        "[[source]]\nname = {name:?}\ntype = \"kafka\"\nbrokers = [{broker:?}]\ntopics = {topics:?}\nfrom = \"earliest\"\noptions = {{ {} }}\n",
        options.join(", ")
    )
}
