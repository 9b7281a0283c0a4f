//! What is said before anything has arrived: what was found, and what to do next.

use store::board::{SourceState, SourceStatus};

use crate::page::flow::headline::Pill;
use crate::state::AppState;

/// What is said before anything has arrived.
pub struct Start {
    /// How OTLP is received: in a word, and where.
    pub otlp: Option<(Pill, String)>,
    /// The endpoint to set, such as `http://localhost:4317`.
    pub endpoint: String,
    /// The endpoint for OTLP over HTTP.
    pub endpoint_http: String,
    /// Each broker that is watched or was looked for: name, state, what to do.
    pub brokers: Vec<(String, Pill, String)>,
}

impl Start {
    /// As the board has it.
    pub fn of(state: &AppState) -> Start {
        let sources = state.board.sources();
        let otlp = sources.iter().find(|source| source.kind == "otlp");
        let addresses = otlp.map_or_else(Vec::new, |otlp| addresses(&otlp.address));
        let endpoint = |index: usize, port: &str| {
            let address = addresses.get(index).cloned();
            format!("http://{}", address.unwrap_or_else(|| format!("localhost:{port}")))
        };
        Start {
            otlp: otlp.map(|otlp| (listening(otlp), otlp.address.clone())),
            endpoint: endpoint(0, "4317"),
            endpoint_http: endpoint(1, "4318"),
            brokers: sources
                .iter()
                .filter(|source| !["otlp", "registry"].contains(&source.kind.as_str()))
                .map(broker)
                .collect(),
        }
    }
}

fn listening(otlp: &SourceStatus) -> Pill {
    match otlp.state {
        SourceState::Up => Pill::new("ok", "listening"),
        SourceState::Starting => Pill::new("", "starting"),
        SourceState::Down | SourceState::Absent => Pill::new("bad", "not listening"),
    }
}

fn broker(source: &SourceStatus) -> (String, Pill, String) {
    let pill = match source.state {
        SourceState::Up => Pill::new("ok", &format!("watching {}", source.address)),
        SourceState::Starting => Pill::new("", &format!("connecting to {}", source.address)),
        SourceState::Down => Pill::new("bad", &format!("{} doesn't answer", source.address)),
        SourceState::Absent => Pill::new("warn", &format!("no broker on {}", source.address)),
    };
    let says = source.error.clone().unwrap_or_else(|| match source.state {
        SourceState::Up => "It holds nothing that this source is to read: new records will show.".to_owned(),
        SourceState::Starting | SourceState::Down | SourceState::Absent => String::new(),
    });
    (source.name.to_string(), pill, says)
}

/// The socket addresses in a text for people, as a program on this machine writes them: `127.0.0.1:4317` as `localhost:4317`.
fn addresses(text: &str) -> Vec<String> {
    let words = text.split([' ', ',']).filter_map(|word| word.parse::<std::net::SocketAddr>().ok());
    words
        .map(|address| match address.ip() {
            ip if ip.is_loopback() || ip.is_unspecified() => format!("localhost:{}", address.port()),
            _ => address.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_to_set_is_the_one_that_listens() {
        assert_eq!(addresses("gRPC on 127.0.0.1:4317, HTTP on 0.0.0.0:14318"), ["localhost:4317", "localhost:14318"]);
        assert_eq!(addresses("gRPC on 10.1.2.3:4317"), ["10.1.2.3:4317"]);
    }
}
