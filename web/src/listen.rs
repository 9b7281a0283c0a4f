//! The accept loop: connections with a limit on how many and how slowly they may ask.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How many connections are open at once; further ones wait in the kernel's queue. A browser opens six, a team has tens.
const CONNECTIONS_MAX: usize = 512;

/// How long a request's head may take to arrive: longer only where somebody keeps connections open on purpose.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long open requests may take once we stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// Serves until told to stop, then lets open requests end.
pub async fn serve(listener: TcpListener, app: Router, shutdown: CancellationToken) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(HEAD_TIMEOUT)).max_concurrent_streams(64);
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = async {
                let place = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
                (place, listener.accept().await)
            } => accepted,
        };
        let (place, stream) = match accepted {
            (place, Ok((stream, _))) => (place, stream),
            (_, Err(error)) => {
                // Too many open files, most likely: it passes when others close.
                warn!(error = &error as &dyn std::error::Error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(app.clone());
        let connection =
            graceful.watch(builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(STOP_TIMEOUT, graceful.shutdown()).await;
}
