//! An OTLP endpoint that something is sent to, as the configuration names it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::Uri;
use http::uri::Scheme;

/// An OTLP endpoint: `http://collector:4317` is gRPC, `https://collector:4317` gRPC over TLS;
/// with a path, or the port 4318, it is HTTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address(Uri);

impl Address {
    /// Reads it, or says what is wrong with it.
    pub fn read(text: &str) -> Result<Address, String> {
        let wrong = |why: &str| Err(format!("`{text}` {why}"));
        let Ok(uri) = text.trim().parse::<Uri>() else {
            return wrong("is no URL; use one such as http://collector:4317");
        };
        if uri.scheme().is_none_or(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
            return wrong("must begin with http:// or https://");
        }
        let host_and_port = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        if host_and_port.is_empty() || host_and_port.contains('@') {
            return wrong("must name a host, and no user");
        }
        let port = host_and_port.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return wrong("names a port that there isn't: ports go to 65535");
        }
        Ok(Address(uri))
    }

    /// Whether it is reached over HTTP, not gRPC.
    pub fn is_http(&self) -> bool {
        self.0.port_u16() == Some(4318) || !self.0.path().trim_end_matches('/').is_empty()
    }

    /// Whether it is reached over TLS.
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }

    /// All of it.
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    /// Scheme, host and port, and what goes before `/v1/traces` over HTTP.
    pub fn base(&self) -> String {
        let path = self.0.path().trim_end_matches('/');
        let before = path.strip_suffix("/v1/traces").or_else(|| path.strip_suffix("/v1/logs")).unwrap_or(path);
        let authority = self.0.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let scheme = if self.is_tls() { "https" } else { "http" };
        format!("{scheme}://{authority}{before}")
    }

    /// Whether what is sent there would come back to ourselves, again and again.
    pub fn is_one_of(&self, ours: &[SocketAddr]) -> bool {
        let host = self.0.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let ip: Option<IpAddr> = if host == "localhost" { Some([127, 0, 0, 1].into()) } else { host.parse().ok() };
        let port = self.0.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 });
        ours.iter().any(|ours| {
            let same = |ip: IpAddr| {
                ip == ours.ip() || (ip.is_loopback() && (ours.ip().is_loopback() || ours.ip().is_unspecified()))
            };
            ours.port() == port && ip.is_some_and(same)
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read_by_its_scheme_port_and_path() {
        for (text, is_http, base) in [
            ("http://collector:4317", false, "http://collector:4317"),
            ("https://collector:4317", false, "https://collector:4317"),
            ("http://collector:9999/", false, "http://collector:9999"),
            ("http://127.0.0.1:4318", true, "http://127.0.0.1:4318"),
            ("http://collector:9999/otlp", true, "http://collector:9999/otlp"),
            ("https://collector:4318/v1/traces", true, "https://collector:4318"),
            ("https://collector/otlp/v1/logs", true, "https://collector/otlp"),
        ] {
            let address = Address::read(text).unwrap();
            assert_eq!((address.is_http(), address.base().as_str()), (is_http, base), "{text}");
        }
        for text in ["collector:4317", "ftp://collector", "http://user@collector", "", "http://", "http://x:99999"] {
            assert!(Address::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn our_own_addresses_are_recognised() {
        let ours = ["127.0.0.1:4317".parse().unwrap(), "0.0.0.0:4318".parse().unwrap()];
        for (text, same) in [
            ("http://127.0.0.1:4317", true),
            ("http://localhost:4317", true),
            ("http://localhost:4318", true),
            ("http://[::1]:4318", true),
            ("http://127.0.0.1:14317", false),
            ("http://10.0.0.7:4317", false),
            ("http://collector:4317", false),
        ] {
            assert_eq!(Address::read(text).unwrap().is_one_of(&ours), same, "{text}");
        }
    }
}
