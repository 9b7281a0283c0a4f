//! What a connection is up to, and when it has to go.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::limits::Limits;

/// What one connection is up to.
#[derive(Debug)]
pub(crate) struct Activity {
    state: Mutex<State>,
    /// Cancelled when the connection has to make room for another one.
    pub(crate) evicted: CancellationToken,
}

#[derive(Clone, Copy, Debug)]
struct State {
    opened_at: Instant,
    /// Requests whose answers are not written yet.
    under_way: u32,
    /// Whether any request has come at all.
    served: bool,
    /// HTTP/2 peers send pings while they wait, so that bytes don't mean a request there.
    multiplexed: bool,
    idle_since: Instant,
    /// When the first byte came after the last request was answered: the head of the next one.
    head_since: Option<Instant>,
}

impl Activity {
    pub(crate) fn new(now: Instant) -> Activity {
        let state = State {
            opened_at: now,
            under_way: 0,
            served: false,
            multiplexed: false,
            idle_since: now,
            head_since: None,
        };
        Activity { state: Mutex::new(state), evicted: CancellationToken::new() }
    }

    pub(crate) fn request_began(&self, multiplexed: bool) {
        let mut state = self.state.lock();
        state.under_way += 1;
        state.served = true;
        state.multiplexed = multiplexed;
        state.head_since = None;
    }

    pub(crate) fn request_ended(&self, now: Instant) {
        let mut state = self.state.lock();
        state.under_way = state.under_way.saturating_sub(1);
        state.idle_since = now;
        state.head_since = None;
    }

    fn bytes_came(&self, now: Instant) {
        let mut state = self.state.lock();
        if state.under_way == 0 {
            state.head_since.get_or_insert(now);
        }
    }

    /// When this connection has to go if nothing changes; `None` while it works on something.
    pub(crate) fn ends_at(&self, limits: &Limits) -> Option<Instant> {
        let state = *self.state.lock();
        if state.under_way > 0 {
            return None;
        }
        if !state.served {
            return Some(state.opened_at + limits.header_timeout);
        }
        let idle_end = state.idle_since + limits.idle_timeout;
        match state.head_since {
            Some(head_since) if !state.multiplexed => Some(idle_end.min(head_since + limits.header_timeout)),
            _ => Some(idle_end),
        }
    }

    /// The lower, the sooner it makes room for others: those that never asked for anything first, then the longest idle.
    fn worth(&self) -> Option<(bool, Instant)> {
        let state = *self.state.lock();
        (state.under_way == 0 && !self.evicted.is_cancelled()).then_some((state.served, state.idle_since))
    }
}

/// All open connections of one socket.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    open: Mutex<HashMap<u64, Arc<Activity>>>,
}

impl Crowd {
    pub(crate) fn enter(&self, number: u64, activity: Arc<Activity>) {
        self.open.lock().insert(number, activity);
    }

    pub(crate) fn leave(&self, number: u64) {
        self.open.lock().remove(&number);
    }

    /// Asks the least worthy idle connection to go; false where all are at work or on their way out.
    pub(crate) fn make_room(&self) -> bool {
        let open = self.open.lock();
        let least =
            open.values().filter_map(|activity| Some((activity.worth()?, activity))).min_by_key(|(worth, _)| *worth);
        if let Some((_, activity)) = least {
            activity.evicted.cancel();
        }
        least.is_some()
    }
}

/// A socket that tells its [`Activity`] when bytes come in.
pub(crate) struct Watched {
    pub(crate) stream: TcpStream,
    pub(crate) activity: Arc<Activity>,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.bytes_came(Instant::now());
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits() -> Limits {
        Limits { header_timeout: Duration::from_secs(10), idle_timeout: Duration::from_secs(120), ..Limits::default() }
    }

    #[test]
    fn a_connection_that_never_asks_ends_at_the_header_timeout_whatever_it_trickles() {
        let start = Instant::now();
        let activity = Activity::new(start);
        activity.bytes_came(start + Duration::from_secs(9));
        assert_eq!(activity.ends_at(&limits()), Some(start + Duration::from_secs(10)));
    }

    #[test]
    fn a_connection_at_work_never_ends_and_an_idle_one_ends_at_the_idle_timeout() {
        let start = Instant::now();
        let activity = Activity::new(start);
        activity.request_began(false);
        assert_eq!(activity.ends_at(&limits()), None);
        activity.request_ended(start + Duration::from_secs(50));
        assert_eq!(activity.ends_at(&limits()), Some(start + Duration::from_secs(170)));
    }

    #[test]
    fn a_later_head_that_trickles_ends_at_the_header_timeout_but_pings_of_http2_do_not_count() {
        let start = Instant::now();
        for (multiplexed, seconds) in [(false, 60 + 10), (true, 50 + 120)] {
            let activity = Activity::new(start);
            activity.request_began(multiplexed);
            activity.request_ended(start + Duration::from_secs(50));
            activity.bytes_came(start + Duration::from_secs(60));
            activity.bytes_came(start + Duration::from_secs(65));
            assert_eq!(activity.ends_at(&limits()), Some(start + Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn room_is_made_by_those_that_never_asked_then_by_the_longest_idle_and_never_by_those_at_work() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let crowd = Crowd::default();
        let [busy, idle_long, idle_short, silent] = [0, 1, 2, 3].map(|number| {
            let activity = Arc::new(Activity::new(at(number)));
            crowd.enter(number, Arc::clone(&activity));
            activity
        });
        busy.request_began(false);
        idle_long.request_began(false);
        idle_long.request_ended(at(10));
        idle_short.request_began(true);
        idle_short.request_ended(at(20));
        for gone in [&silent, &idle_long, &idle_short] {
            assert!(!gone.evicted.is_cancelled());
            assert!(crowd.make_room());
            assert!(gone.evicted.is_cancelled());
        }
        assert!(!crowd.make_room());
        assert!(!busy.evicted.is_cancelled());
    }
}
