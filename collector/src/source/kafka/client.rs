//! The librdkafka client: its settings, and what its errors mean for people.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::Statistics;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::error::CollectorError;
use crate::redrive::DELIVERY_TIMEOUT;
use crate::source::kafka::token::{self, Tokens};
use crate::source::kafka::{Config, options};

/// The largest answer of a broker that we take, in bytes. Brokers send at least one whole record however large it is, so
/// this is what bounds a record: 64 MiB leaves room above the 20 MB that some allow. A larger one makes librdkafka drop the
/// connection, which the board then shows.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How many bytes one fetch asks for over all partitions: large enough for full speed, small enough beside [`QUEUE_KIB_MAX`].
const FETCH_BYTES: usize = 8 << 20;

/// How many KiB librdkafka fetches ahead of us (its own default is 64 MiB for each consumer). At the limit it stops fetching.
const QUEUE_KIB_MAX: usize = 16 << 10;

/// How long a broker may hold a fetch that finds nothing, which is librdkafka's own default. Brokers answer at once when something comes, so
/// it delays nothing; librdkafka names every partition in every fetch, so ten a second would be a burden with thousands of them.
const FETCH_WAIT_MS: u32 = 500;

/// How long librdkafka looks away when its queue is full (its own default of 1 s would starve us at full speed).
const FULL_QUEUE_WAIT_MS: u32 = 10;

/// The longest pause between two tries to connect: a broker that comes back is noticed within it.
const RECONNECT_MS_MAX: u32 = 2_000;

/// The settings of one source's client; checks every value with librdkafka, so that a bad one stops the start and not the reading.
pub fn settings(config: &Config) -> Result<ClientConfig, CollectorError> {
    let mut settings = ClientConfig::new();
    settings
        .set("fetch.wait.max.ms", FETCH_WAIT_MS.to_string())
        .set("fetch.max.bytes", FETCH_BYTES.to_string())
        .set("receive.message.max.bytes", ANSWER_BYTES_MAX.to_string())
        .set("queued.max.messages.kbytes", QUEUE_KIB_MAX.to_string());
    reach(&mut settings, config, &config.options, "options")?;
    settings
        // librdkafka refuses to assign without a group id. It never joins: the broker lists no such group.
        .set("group.id", format!("sillage-observer-{:08x}", random()))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("allow.auto.create.topics", "false")
        .set("auto.offset.reset", "error") // a jump is never silent
        .set("isolation.level", "read_committed")
        .set("check.crcs", "true")
        .set("enable.partition.eof", "false")
        .set("fetch.queue.backoff.ms", FULL_QUEUE_WAIT_MS.to_string());
    checked(settings, config, "options")
}

/// The settings of the client that sends dead letters back: with credentials of its own, where they are given.
pub fn sending(config: &Config) -> Result<ClientConfig, CollectorError> {
    let (options, named) = config.sending_options();
    let mut settings = ClientConfig::new();
    reach(&mut settings, config, options, named)?;
    settings
        .set("enable.idempotence", "true") // no message twice, and in order, however often librdkafka sends it
        .set("acks", "all")
        .set("message.timeout.ms", DELIVERY_TIMEOUT.as_millis().to_string())
        .set("message.max.bytes", ANSWER_BYTES_MAX.to_string()) // the broker says what is too large for a topic
        .set("linger.ms", "5")
        .set("allow.auto.create.topics", "false");
    checked(settings, config, named)
}

/// How a client reaches the brokers, and who it is to them.
fn reach(
    settings: &mut ClientConfig,
    config: &Config,
    options: &BTreeMap<String, String>,
    named: &str,
) -> Result<(), CollectorError> {
    settings.set("client.id", "sillage").set("reconnect.backoff.max.ms", RECONNECT_MS_MAX.to_string());
    let encrypted =
        |(key, value): (&String, &String)| key == "security.protocol" && value.to_lowercase().contains("ssl");
    if options.iter().any(encrypted) && !options.contains_key("ssl.ca.location") && !options.contains_key("ssl.ca.pem")
    {
        // Our own OpenSSL doesn't know where this system keeps its certificates; librdkafka knows the usual places.
        settings.set("ssl.ca.location", "probe");
    }
    for (key, value) in options::read(&config.name, named, options)?.into_iter().filter(|(key, _)| !token::is_ours(key))
    {
        settings.set(key, value);
    }
    settings.set("bootstrap.servers", config.brokers.join(",")).set_log_level(RDKafkaLogLevel::Warning);
    Ok(())
}

fn checked(settings: ClientConfig, config: &Config, named: &str) -> Result<ClientConfig, CollectorError> {
    settings.create_native_config().map_err(|error| match error {
        // The value is left out: it may be a secret.
        KafkaError::ClientConfig(_, why, key, _) => {
            CollectorError::Config(format!("source `{}`: `{key}` in `{named}`: {why}", config.name))
        }
        other => CollectorError::Config(format!("source `{}`: {other}", config.name)),
    })?;
    Ok(settings)
}

/// Some number that two observers of one cluster hardly share.
fn random() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(std::process::id());
    u32::try_from(bits & 0xffff_ffff).expect("masked to 32 bits")
}

/// Hears what librdkafka says beside the messages, and gives it tokens when it asks for one.
#[derive(Clone, Default)]
pub struct Hearing {
    last: Arc<Mutex<Option<Trouble>>>,
    requests: Arc<Mutex<BTreeMap<String, u64>>>,
    tokens: Option<Arc<Tokens>>,
}

/// What librdkafka complained of last.
#[derive(Clone, Debug)]
pub struct Trouble {
    code: RDKafkaErrorCode,
    reason: String,
    at: Instant,
}

impl Hearing {
    /// Nothing heard yet; `tokens` are what it identifies itself with, where it does so by tokens.
    pub fn new(tokens: Option<Arc<Tokens>>) -> Hearing {
        Hearing { tokens, ..Hearing::default() }
    }

    /// What librdkafka complained of since `since`.
    pub fn trouble(&self, since: Instant) -> Option<Trouble> {
        self.last.lock().clone().filter(|trouble| trouble.at >= since)
    }

    /// How many requests the brokers got so far, by kind; only of a client that has `statistics.interval.ms`.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.requests.lock().clone()
    }
}

impl Trouble {
    /// Whether it says no more than that nobody answers. librdkafka is silent about connections that are closed on it, as a listener
    /// for TLS does to plain text.
    pub fn is_silence(&self) -> bool {
        matches!(self.code, RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown)
    }
}

impl ClientContext for Hearing {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    /// Called while we poll, when a token is needed or will soon expire. What goes wrong comes back as an error of librdkafka's.
    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let tokens = self.tokens.as_ref().ok_or("nothing says where tokens come from")?;
        Ok(tokens.next()?)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // librdkafka repeats itself at every try to connect; what matters to people is on the board, said once.
        tracing::debug!(target: "librdkafka", ?level, facility, "{message}");
    }

    fn stats(&self, statistics: Statistics) {
        let mut requests = BTreeMap::new();
        for (kind, sent) in statistics.brokers.into_values().flat_map(|broker| broker.req) {
            *requests.entry(kind).or_default() += u64::try_from(sent).unwrap_or(0);
        }
        requests.retain(|_, sent| *sent > 0);
        *self.requests.lock() = requests;
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        let mut last = self.last.lock();
        // "All brokers are down" follows upon the error that says why, and says less.
        let says_less = code == RDKafkaErrorCode::AllBrokersDown
            && last.as_ref().is_some_and(|trouble| trouble.at.elapsed().as_secs() < 30);
        if says_less {
            if let Some(trouble) = last.as_mut() {
                trouble.at = Instant::now();
            }
        } else {
            *last = Some(Trouble { code, reason: reason.to_owned(), at: Instant::now() });
        }
    }
}

impl ConsumerContext for Hearing {}

/// What is wrong, in a sentence, and what to do about it.
pub fn advice(brokers: &str, trouble: Option<&Trouble>) -> String {
    let Some(trouble) = trouble else {
        return format!("no Kafka broker answers at {brokers}: start it, or correct `brokers`");
    };
    let said = short(&trouble.reason);
    match trouble.code {
        RDKafkaErrorCode::Authentication if said.contains("OAUTHBEARER token") => {
            format!(
                "no token for {brokers}: check the `sasl.oauthbearer.` options, and that what gives tokens runs ({said})"
            )
        }
        RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => {
            format!(
                "{brokers} refuses us: check `sasl.mechanism`, `sasl.username` and `sasl.password` in `options` ({said})"
            )
        }
        RDKafkaErrorCode::SSL => {
            format!("no secure connection to {brokers}: check `security.protocol` and the `ssl.` options ({said})")
        }
        RDKafkaErrorCode::Resolve => {
            format!("the name of {brokers} is unknown here: correct `brokers`, or the name service ({said})")
        }
        RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => {
            format!("{brokers} doesn't let us read: grant DESCRIBE and READ on the topics ({said})")
        }
        RDKafkaErrorCode::GroupAuthorizationFailed => {
            format!("{brokers} doesn't let us read: grant READ on groups with the prefix `sillage-observer-` ({said})")
        }
        RDKafkaErrorCode::BadMessage => {
            format!("a record from {brokers} is damaged or larger than {ANSWER_BYTES_MAX} bytes ({said})")
        }
        RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown => {
            format!("no Kafka broker answers at {brokers}: start it, or correct `brokers` ({said})")
        }
        _ => format!("{brokers} doesn't answer as a Kafka broker should ({said})"),
    }
}

/// What is wrong where something takes connections in plain text, and then says nothing.
pub fn advice_on_silence(brokers: &str) -> String {
    format!(
        "something listens at {brokers}, but doesn't answer as a Kafka broker does in plain text: start it, or set `security.protocol` \
         in `options` to what it wants"
    )
}

/// What is wrong where a broker that answered before says nothing for so long, though something still takes connections.
pub fn advice_on_delay(brokers: &str, waited: Duration) -> String {
    format!(
        "{brokers} takes connections, but has not answered within {} s: it is overloaded or hangs, and is asked again",
        waited.as_secs()
    )
}

/// How much of librdkafka's own words is shown, in characters: one line.
const SAID_CHARS_MAX: usize = 200;

/// librdkafka's words without what differs from try to try, such as "(after 0ms in state CONNECT, 1 identical error(s) suppressed)".
fn short(reason: &str) -> String {
    let reason = reason.split(" (after ").next().unwrap_or(reason);
    reason.chars().filter(|letter| !letter.is_control()).take(SAID_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &str, value: &str) -> Config {
        Config { options: BTreeMap::from([(key.to_owned(), value.to_owned())]), ..Config::local() }
    }

    #[test]
    fn no_option_makes_us_commit_or_jump() {
        let settings = settings(&with("client.rack", "a")).unwrap();
        assert_eq!(settings.get("enable.auto.commit"), Some("false"));
        assert_eq!(settings.get("enable.auto.offset.store"), Some("false"));
        assert_eq!(settings.get("auto.offset.reset"), Some("error"));
        assert_eq!(settings.get("client.rack"), Some("a"));
        assert!(settings.get("group.id").unwrap().starts_with("sillage-observer-"));
    }

    #[test]
    fn a_bad_value_is_refused_before_anything_starts() {
        let refused = settings(&with("fetch.wait.max.ms", "soon")).unwrap_err().to_string();
        assert!(refused.contains("fetch.wait.max.ms"), "{refused}");
    }

    #[test]
    fn every_trouble_says_what_to_do() {
        let trouble = |code| Trouble { code, reason: "127.0.0.1:9092: no\nentry".to_owned(), at: Instant::now() };
        assert!(advice("a:1", Some(&trouble(RDKafkaErrorCode::Authentication))).contains("sasl.password"));
        assert!(advice("a:1", Some(&trouble(RDKafkaErrorCode::SSL))).contains("ssl."));
        assert!(advice("a:1", Some(&trouble(RDKafkaErrorCode::BrokerTransportFailure))).contains("start it"));
        assert!(!advice("a:1", Some(&trouble(RDKafkaErrorCode::Unknown))).contains('\n'));
        assert!(advice("a:1", None).contains("start it"));
        assert!(advice_on_delay("a:1", Duration::from_secs(5)).contains("within 5 s"));
    }
}
