//! `[telemetry]`: where Sillage's own traces and logs go.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use collector::otlp::Address;
use collector::source::secret;
use serde::Deserialize;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};

/// `[telemetry]` in the configuration.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// An OTLP endpoint: `http://collector:4317` is gRPC; with a path, or the port 4318, it is HTTP; `https://` is TLS. Default empty:
    /// nothing is sent.
    pub endpoint: String,
    /// What is sent with every request, such as a key of the one who receives: the values as they are, or as `file:PATH` or `env:NAME`.
    pub headers: BTreeMap<String, String>,
    /// Which share of traces is sent, from 0 to 1; logs are all sent. Default 1.
    pub sample_ratio: f64,
}

impl Default for Config {
    fn default() -> Config {
        Config { endpoint: String::new(), headers: BTreeMap::new(), sample_ratio: 1.0 }
    }
}

impl fmt::Debug for Config {
    /// Without the values of headers, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&String> = self.headers.keys().collect();
        let Config { endpoint, sample_ratio, .. } = self;
        write!(f, "Config {{ endpoint: {endpoint:?}, headers: {headers:?}, sample_ratio: {sample_ratio} }}")
    }
}

impl Config {
    /// Where it goes; `None` for nowhere.
    pub fn address(&self) -> Result<Option<Address>, String> {
        if self.endpoint.is_empty() { Ok(None) } else { Address::read(&self.endpoint).map(Some) }
    }

    /// The headers, with their values read from where they are kept.
    pub fn reveal(&self) -> Result<MetadataMap, String> {
        let mut headers = MetadataMap::new();
        for (name, value) in &self.headers {
            let key: MetadataKey<Ascii> =
                name.to_ascii_lowercase().parse().map_err(|_| format!("`{name}` is no name of a header"))?;
            let value: MetadataValue<Ascii> = secret::reveal(name, value)?
                .parse()
                .map_err(|_| format!("the value of `{name}` can't be sent in a header"))?;
            headers.insert(key, value);
        }
        Ok(headers)
    }

    /// What is wrong with it: the key, and why. `ours` are the addresses of `[otlp]`.
    pub fn check(&self, ours: &[SocketAddr]) -> Result<(), (&'static str, String)> {
        match self.address() {
            Err(why) => return Err(("endpoint", why)),
            Ok(Some(address)) if address.is_one_of(ours) => {
                let why = format!(
                    "`{address}` is where Sillage itself receives: its own spans would never come to an end; name another OTLP endpoint"
                );
                return Err(("endpoint", why));
            }
            Ok(_) => {}
        }
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return Err(("sample_ratio", format!("`{}` is no share: it goes from 0 to 1", self.sample_ratio)));
        }
        self.reveal().map(drop).map_err(|why| ("headers", why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_receiver_a_wrong_share_and_a_secret_that_is_not_there_are_told_by_key() {
        let ours = ["127.0.0.1:4317".parse().unwrap(), "0.0.0.0:4318".parse().unwrap()];
        let header = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let endpoint = |endpoint: &str| Config { endpoint: endpoint.to_owned(), ..Config::default() };
        for (config, key, says) in [
            (endpoint("http://localhost:4317"), "endpoint", "never come to an end"),
            (endpoint("http://127.0.0.1:4318/v1/traces"), "endpoint", "never come to an end"),
            (endpoint("collector:4317"), "endpoint", "http://"),
            (Config { sample_ratio: 1.5, ..Config::default() }, "sample_ratio", "from 0 to 1"),
            (Config { sample_ratio: f64::NAN, ..Config::default() }, "sample_ratio", "from 0 to 1"),
            (Config { headers: header("a b", "x"), ..Config::default() }, "headers", "`a b` is no name"),
            (Config { headers: header("a", "env:SILLAGE_NOT_SET"), ..Config::default() }, "headers", "isn't set"),
            (Config { headers: header("a", "x\ny"), ..Config::default() }, "headers", "can't be sent"),
        ] {
            let (told, why) = config.check(&ours).unwrap_err();
            assert!(told == key && why.contains(says), "{told}: {why}");
        }
        assert_eq!(endpoint("https://collector.example/otlp").check(&ours), Ok(()));
        let secret = Config { headers: header("x-api-key", "s3cret"), ..Config::default() };
        assert_eq!(secret.check(&ours), Ok(()));
        assert!(!format!("{secret:?}").contains("s3cret"));
    }
}
