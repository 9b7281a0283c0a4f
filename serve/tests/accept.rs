//! What a listening socket bears: half-open, idle, trickling and too many connections.

#![expect(clippy::unwrap_used, reason = "in a test that can't go on, the panic is the report")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serve::{Limits, TimedBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";

/// Limits short enough to wait for.
fn limits() -> Limits {
    Limits {
        connections_max: 8,
        header_timeout: Duration::from_millis(300),
        body_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(900),
        drain_timeout: Duration::from_millis(500),
        ..Limits::default()
    }
}

/// Answers with the body's length, or 408; `/slow` takes 200 ms.
async fn answer(request: Request<TimedBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/slow" {
        sleep(Duration::from_millis(200)).await;
    }
    let mut response = Response::new(Full::default());
    match request.into_body().collect().await {
        Ok(body) => *response.body_mut() = Full::from(body.to_bytes().len().to_string()),
        Err(_) => *response.status_mut() = StatusCode::REQUEST_TIMEOUT,
    }
    Ok(response)
}

async fn start(limits: Limits) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let served = tokio::spawn(serve::serve(listener, limits, tower::service_fn(answer), stop.clone()));
    (address, stop, served)
}

/// Reads until the connection ends, and says what came.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut bytes)).await.expect("the connection ends in time");
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(ASK).await.unwrap();
    let mut bytes = [0; 1024];
    let count = timeout(Duration::from_secs(2), stream.read(&mut bytes)).await.expect("answered in time").unwrap();
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

#[tokio::test]
async fn half_open_connections_are_closed_and_nobody_waits_for_them() {
    let (address, ..) = start(Limits { connections_max: 400, ..limits() }).await;
    let mut half_open = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = ["", "GET / HTTP/1.1\r\nho", "PRI * HTTP/2.0\r\n"][number % 3];
        stream.write_all(head.as_bytes()).await.unwrap();
        half_open.push(stream);
    }
    let asked_at = Instant::now();
    assert!(ask(&mut TcpStream::connect(address).await.unwrap()).await.starts_with("HTTP/1.1 200"));
    assert!(asked_at.elapsed() < Duration::from_millis(500), "{:?}", asked_at.elapsed());
    for mut stream in half_open {
        rest(&mut stream).await;
    }
}

#[tokio::test]
async fn a_head_that_trickles_is_closed_on_a_connection_that_was_good_before() {
    let (address, ..) = start(limits()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
    let began = Instant::now();
    let closed = loop {
        // Either side of the close may show first: a write that fails, or the end of the stream.
        if stream.write_all(b"G").await.is_err() {
            break began.elapsed();
        }
        if let Ok(Ok(0) | Err(_)) = timeout(Duration::from_millis(50), stream.read(&mut [0; 256])).await {
            break began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(4), "still open");
    };
    assert!(closed > Duration::from_millis(250), "{closed:?}");
}

#[tokio::test]
async fn a_connection_may_rest_between_requests_longer_than_a_head_may_take() {
    let (address, ..) = start(limits()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..2 {
        assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
        sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(rest(&mut stream).await, "", "closed once the idle timeout is over");
}

#[tokio::test]
async fn at_the_cap_the_longest_idle_connection_makes_room() {
    let (address, ..) = start(Limits { idle_timeout: Duration::from_secs(60), ..limits() }).await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
        idle.push(stream);
    }
    let mut newcomer = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut newcomer).await.starts_with("HTTP/1.1 200"));
    assert_eq!(rest(&mut idle[0]).await, "", "the first one went");
    assert!(ask(&mut idle[7]).await.starts_with("HTTP/1.1 200"), "the last one stayed");
}

#[tokio::test]
async fn a_body_that_trickles_ends_in_an_error() {
    let (address, ..) = start(limits()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\nabc").await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_then_ends() {
    let (address, stop, served) = start(limits()).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut idle).await.starts_with("HTTP/1.1 200"));
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(50)).await;
    stop.cancel();
    assert!(rest(&mut busy).await.starts_with("HTTP/1.1 200"));
    timeout(Duration::from_secs(2), served).await.expect("ends in time").unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
