//! What shows the store: pages, JSON API, live, access.
//!
//! ```text
//! request -> guard (headers, Host, login, Origin, form token) -> routes -> page (Params -> template struct -> html)
//! ```
//!
//! Pages are whole without JavaScript; the one script only upgrades them. Knows the store, not the collector.

// The frame.
mod asset; // the one CSS file, the one JS file, the icon
mod config; // `[web]` and `[[access]]`
mod door; // who may come in
mod guard; // what every request passes first
mod href; // typed links
mod routes; // all addresses on one screen
mod state; // what every handler can reach
mod traffic; // what the console was asked, and how long it took

// What is shown.
mod api; // the JSON API and the probes
mod difference; // what somebody changed in a text
mod drawing; // drawings as geometry
mod page; // the pages
mod redriving; // starts, pauses and cancels redrives
mod wording; // numbers, times and names as people read them

#[cfg(test)]
mod given; // the whole console over a store, for tests

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use store::dead_letters::Dismissals;
use store::redrive::Redrives;
use store::{Board, Journal, Store};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub use crate::config::{Access, Config, PublicUrl, Role, SECRET_BYTES_MIN, Secret, SecretError};
pub use crate::href::{Href, Links};
pub use crate::state::AppState;

use crate::door::Door;

/// The longest answer that [`ask`] gives, in bytes: a page of the API, or one record with its body as hexadecimal digits.
const ASKED_BYTES_MAX: usize = 64 << 20;

/// A console that serves.
#[derive(Debug)]
pub struct Web {
    /// The address it listens on, with the port that was really taken.
    pub address: SocketAddr,
    /// The address for people, such as `http://127.0.0.1:7455/`.
    pub url: String,
    /// Ends once the console was told to stop and its last request is answered.
    pub task: JoinHandle<()>,
}

/// Why the console can't start.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// Others could reach it without a login.
    #[error(
        "[web] listen = \"{0}\" can be reached by others, and nobody has to log in: add [[access]] with a secret, \
         or set [web] allow_unauthenticated = true if something in front of it asks who they are"
    )]
    Open(SocketAddr),
    /// A secret of `[[access]]` can't be used.
    #[error("[[access]] \"{name}\" has no usable secret")]
    Secret {
        /// Whose it is.
        name: String,
        /// What is wrong with it.
        #[source]
        source: SecretError,
    },
    /// What people decided can't be read.
    #[error("can't read what was decided of dead letters")]
    Decided(#[source] store::StoreError),
    /// The address can't be listened on.
    #[error("can't listen on {address}: set [web] listen, or --listen, to another one (port 0 takes any free one)")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

impl Config {
    /// Whether it may listen at all: before any port opens.
    pub fn check(&self, access: &[Access]) -> Result<(), WebError> {
        let is_open = !self.listen.ip().is_loopback() && access.is_empty() && !self.allow_unauthenticated;
        if is_open {
            return Err(WebError::Open(self.listen));
        }
        door(self, access).map(|_| ())
    }

    /// The address for people, where it listens on this one.
    pub fn url(&self, address: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => format!("{}{}/", url.origin(), url.path),
            None if address.ip().is_unspecified() => format!("http://localhost:{}/", address.port()),
            None => format!("http://{address}/"),
        }
    }
}

fn door(config: &Config, access: &[Access]) -> Result<Door, WebError> {
    Door::new(access, config.public_url.clone(), config.listen.ip().is_loopback())
        .map_err(|(name, source)| WebError::Secret { name, source })
}

/// Starts the console. It stops when `shutdown` is cancelled: open requests are answered, then the task ends.
pub async fn start(
    config: Config,
    access: Vec<Access>,
    store: Arc<dyn Store>,
    journal: Journal,
    board: Arc<Board>,
    shutdown: CancellationToken,
) -> Result<Web, WebError> {
    config.check(&access)?;
    let state = state(&config, &access, store, journal, board, shutdown.clone())?;
    let listener =
        TcpListener::bind(config.listen).await.map_err(|source| WebError::Listen { address: config.listen, source })?;
    let address = listener.local_addr().map_err(|source| WebError::Listen { address: config.listen, source })?;
    let url = config.url(address);
    let task = tokio::spawn(serve::serve(listener, serve::Limits::default(), routes::app(state), shutdown));
    Ok(Web { address, url, task })
}

/// What the console answers to one `GET`, without a socket: for the command line, where no process serves. Status and body.
pub async fn ask(store: Arc<dyn Store>, journal: Journal, path: &str) -> Result<(u16, String), WebError> {
    let state = state(&Config::default(), &[], store, journal, Arc::default(), CancellationToken::new())?;
    let request = Request::get(path).header(header::HOST, "localhost").body(Body::empty());
    let Ok(request) = request else { return Ok((400, String::new())) };
    let Ok(response) = routes::app(state).oneshot(request).await;
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), ASKED_BYTES_MAX).await.unwrap_or_default();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn state(
    config: &Config,
    access: &[Access],
    store: Arc<dyn Store>,
    journal: Journal,
    board: Arc<Board>,
    stopping: CancellationToken,
) -> Result<AppState, WebError> {
    let dismissals = Dismissals::read(&journal).map_err(WebError::Decided)?;
    let redrives = Redrives::read(&journal).map_err(WebError::Decided)?;
    let prefix = config.public_url.as_ref().map_or("", |url| url.path.as_str());
    Ok(AppState {
        store,
        journal,
        dismissals: Arc::new(dismissals),
        redrives,
        redrive: config.redrive.clone(),
        board,
        links: Links::below(prefix),
        door: Arc::new(door(config, access)?),
        metrics_partitions: config.metrics_partitions,
        started: Instant::now(),
        traffic: Arc::default(),
        stopping,
    })
}
