//! Accept loops with header timeouts and connection caps.
//!
//! An exposed port gets half-open, idle and endless connections from the first day on. A server without limits lets a few hundred of
//! them shut everybody else out (`axum::serve` 0.8 keeps a connection with half a request head open for good: it gives hyper no timer).
//! This crate is the one place where a listening socket becomes requests: the OTLP receiver and the console both serve through it.
//!
//! ```no_run
//! # async fn example(router: tower::util::BoxCloneSyncService<http::Request<serve::TimedBody>, http::Response<String>, std::convert::Infallible>) {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:7455").await.expect("the port is free");
//! let stop = tokio_util::sync::CancellationToken::new();
//! serve::serve(listener, serve::Limits::default(), router, stop).await; // an axum `Router` fits, too
//! # }
//! ```
//!
//! It knows nothing of what is served.

// What is served.
pub mod accept; // the loop: a listening socket becomes connections, and those become requests
pub mod body; // request bodies with a deadline, response bodies that tell when they end

// How it is bounded.
pub mod connection; // what a connection is up to, and when it has to go
pub mod limits; // every limit, with the reason for its value

pub use accept::{Peer, serve};
pub use body::{BodyError, TimedBody};
pub use limits::Limits;
