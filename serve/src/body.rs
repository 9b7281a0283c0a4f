//! Request bodies with a deadline, and response bodies that tell when they end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::connection::Activity;

/// A request's body, which has to be there by a deadline.
#[derive(Debug)]
pub struct TimedBody {
    incoming: Incoming,
    deadline: Instant,
    /// Made when the body first has to be waited for: most are there at once and need no timer.
    sleep: Option<Pin<Box<Sleep>>>,
}

/// Why a request's body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It was not there by its deadline.
    #[error("the request's body took too long to arrive")]
    TooSlow,
    /// The connection broke, or its bytes make no sense.
    #[error("the request's body broke off")]
    Broken(#[source] hyper::Error),
}

impl TimedBody {
    pub(crate) fn new(incoming: Incoming, deadline: Instant) -> TimedBody {
        TimedBody { incoming, deadline, sleep: None }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)));
        }
        let deadline = self.deadline;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        sleep.as_mut().poll(cx).map(|()| Some(Err(BodyError::TooSlow)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// A response's body. While it lives, its connection counts as busy.
pub(crate) struct CountedBody<B> {
    body: B,
    _under_way: UnderWay,
}

impl<B> CountedBody<B> {
    pub(crate) fn new(body: B, under_way: UnderWay) -> CountedBody<B> {
        CountedBody { body, _under_way: under_way }
    }
}

impl<B: Body + Unpin> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// One request under way: from its head until its answer is written or given up.
pub(crate) struct UnderWay(Arc<Activity>);

impl UnderWay {
    pub(crate) fn begin(activity: &Arc<Activity>, multiplexed: bool) -> UnderWay {
        activity.request_began(multiplexed);
        UnderWay(Arc::clone(activity))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.request_ended(Instant::now());
    }
}
