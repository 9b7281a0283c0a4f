//! The loop: a listening socket becomes connections, and those become requests.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use hyper::body::{Body, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};
use tracing::{debug, warn};

use crate::body::{CountedBody, TimedBody, UnderWay};
use crate::connection::{Activity, Crowd, Watched};
use crate::limits::Limits;

/// Who sent a request; stands among the request's extensions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer(pub SocketAddr);

/// After an accept that failed because something ran out (such as open files): trying again at once would only burn time.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How often we look again for a connection to evict while every one is at work.
const EVICTION_RETRY: Duration = Duration::from_millis(50);

/// How long an evicted or overdue connection gets to say goodbye (HTTP/2's GOAWAY, an answer just begun).
const GOODBYE: Duration = Duration::from_secs(1);

/// HTTP/2 peers that are gone without a word are found by a ping this often, answered within the same time.
const PING: Duration = Duration::from_secs(20);

/// What HTTP/1 may make us hold for one connection: hyper's own default, written down so that it stays.
const HTTP1_BUFFER_BYTES: usize = 400 * 1024;

/// Serves requests from `listener`, over HTTP/1.1 and HTTP/2 (with prior knowledge, as gRPC has it), until `shutdown`.
/// Returns when all requests under way are answered, or [`Limits::drain_timeout`] is over.
pub async fn serve<S, B>(listener: TcpListener, limits: Limits, service: S, shutdown: CancellationToken)
where
    S: Service<Request<TimedBody>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let builder = Arc::new(builder(&limits));
    let limits = Arc::new(limits);
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let crowd = Arc::new(Crowd::default());
    let connections = TaskTracker::new();
    let mut warned = false;
    for number in 0.. {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !std::mem::replace(&mut warned, true) {
                    warn!(%error, "can't accept a connection: raise the limit of open files (`ulimit -n`) if it says too many; trying again");
                }
                sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let place = loop {
            if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                break Some(place);
            }
            crowd.make_room();
            tokio::select! {
                () = shutdown.cancelled() => break None,
                place = Arc::clone(&places).acquire_owned() => break place.ok(),
                () = sleep(EVICTION_RETRY) => {}
            }
        };
        let Some(place) = place else { break };
        let activity = Arc::new(Activity::new(Instant::now()));
        crowd.enter(number, Arc::clone(&activity));
        let connection = Connection {
            builder: Arc::clone(&builder),
            limits: Arc::clone(&limits),
            activity,
            service: service.clone(),
            peer: Peer(peer),
            shutdown: shutdown.clone(),
        };
        let crowd = Arc::clone(&crowd);
        connections.spawn(async move {
            connection.run(stream).await;
            crowd.leave(number);
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // Covers the wait between two requests as well, so that it must not be shorter; heads are timed by `Activity`.
        .header_read_timeout(limits.idle_timeout.max(limits.header_timeout))
        .max_buf_size(HTTP1_BUFFER_BYTES)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(limits.header_bytes_max)
        .initial_stream_window_size(limits.window_bytes)
        .initial_connection_window_size(limits.window_bytes)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    builder
}

/// A service's answer, which tells when it is written.
type Answered<B> = Result<Response<CountedBody<B>>, Infallible>;

/// One connection, with all it needs to answer.
struct Connection<S> {
    builder: Arc<Builder<TokioExecutor>>,
    limits: Arc<Limits>,
    activity: Arc<Activity>,
    service: S,
    peer: Peer,
    shutdown: CancellationToken,
}

impl<S, B> Connection<S>
where
    S: Service<Request<TimedBody>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    async fn run(self, stream: TcpStream) {
        // Answers are small and whole: waiting to fill a packet would only delay acknowledgements.
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(Watched { stream, activity: Arc::clone(&self.activity) });
        let answer = hyper::service::service_fn(|request| self.answer(request));
        let mut connection = pin!(self.builder.serve_connection(io, answer));
        let mut gone_at: Option<Instant> = None;
        loop {
            let next_look = match gone_at {
                Some(gone_at) => gone_at,
                None => self.next_look(),
            };
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        debug!(peer = %self.peer.0, error, "a connection broke off");
                    }
                    return;
                }
                () = self.shutdown.cancelled(), if gone_at.is_none() => {
                    connection.as_mut().graceful_shutdown();
                    gone_at = Some(Instant::now() + self.limits.drain_timeout);
                }
                () = self.activity.evicted.cancelled(), if gone_at.is_none() => {
                    connection.as_mut().graceful_shutdown();
                    gone_at = Some(Instant::now() + GOODBYE);
                }
                () = sleep_until(next_look) => {
                    if gone_at.is_some() {
                        return;
                    }
                    if self.activity.ends_at(&self.limits).is_some_and(|end| end <= Instant::now()) {
                        connection.as_mut().graceful_shutdown();
                        gone_at = Some(Instant::now() + GOODBYE);
                    }
                }
            }
        }
    }

    /// When to see whether this connection has to go; at least once a header timeout, because a head may begin any time.
    fn next_look(&self) -> Instant {
        let soon = Instant::now() + self.limits.header_timeout;
        self.activity.ends_at(&self.limits).map_or(soon, |end| end.min(soon))
    }

    fn answer(&self, request: Request<Incoming>) -> Pin<Box<dyn Future<Output = Answered<B>> + Send>> {
        let under_way = UnderWay::begin(&self.activity, request.version() == Version::HTTP_2);
        let deadline = Instant::now() + self.limits.body_timeout;
        let mut request = request.map(|incoming| TimedBody::new(incoming, deadline));
        request.extensions_mut().insert(self.peer);
        let answered = self.service.clone().oneshot(request);
        Box::pin(async move { Ok(answered.await?.map(|body| CountedBody::new(body, under_way))) })
    }
}
