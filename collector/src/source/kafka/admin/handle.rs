//! What librdkafka's admin calls are made with, each freed once: a queue for answers, options, and the answers themselves.
//!
//! Not for: what is asked and answered, which is in [`super`].
#![expect(
    unsafe_code,
    reason = "rdkafka 0.39 keeps its own queue and event to itself; every use below says why it is sound"
)]

use std::ptr;
use std::time::Duration;

use librdkafka::rd_kafka_admin_op_t as Operation;
use rdkafka::bindings as librdkafka;
use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode;

use crate::source::kafka::client::Hearing;

/// A queue of our own for answers, used by one thread.
pub struct Queue {
    pub pointer: *mut librdkafka::rd_kafka_queue_t,
}

impl Queue {
    pub fn new(client: &Client<Hearing>) -> Queue {
        // SAFETY: the client's handle is valid while it is borrowed; the queue keeps librdkafka's own count of what it needs.
        Queue { pointer: unsafe { librdkafka::rd_kafka_queue_new(client.native_ptr()) } }
    }

    /// The next answer; `None` where none came in time.
    pub fn next(&self, timeout: Duration) -> Option<Event> {
        // SAFETY: the queue is valid until it is dropped; the event that is handed over is ours to destroy.
        let pointer = unsafe { librdkafka::rd_kafka_queue_poll(self.pointer, millis(timeout)) };
        (!pointer.is_null()).then_some(Event { pointer })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by `new`, destroyed here only. librdkafka drops an answer that comes after its queue was destroyed.
        unsafe { librdkafka::rd_kafka_queue_destroy(self.pointer) }
    }
}

/// How one kind of request is made; null where librdkafka has no such kind, which it takes for its defaults.
pub struct Options {
    pub pointer: *mut librdkafka::rd_kafka_AdminOptions_t,
}

impl Options {
    pub fn new(client: &Client<Hearing>, operation: Operation, timeout: Duration) -> Options {
        // SAFETY: the client's handle is valid while it is borrowed; a timeout that is refused leaves the default, and why goes nowhere.
        unsafe {
            let pointer = librdkafka::rd_kafka_AdminOptions_new(client.native_ptr(), operation);
            if !pointer.is_null() {
                librdkafka::rd_kafka_AdminOptions_set_request_timeout(pointer, millis(timeout), ptr::null_mut(), 0);
            }
            Options { pointer }
        }
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        if !self.pointer.is_null() {
            // SAFETY: made by `new`, destroyed here only.
            unsafe { librdkafka::rd_kafka_AdminOptions_destroy(self.pointer) }
        }
    }
}

/// An answer; never null.
pub struct Event {
    pub pointer: *mut librdkafka::rd_kafka_event_t,
}

impl Event {
    /// Whether the request as a whole was answered.
    pub fn succeeded(&self) -> Result<(), RDKafkaErrorCode> {
        // SAFETY: the event is valid until it is dropped.
        match unsafe { librdkafka::rd_kafka_event_error(self.pointer) } {
            librdkafka::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            error => Err(error.into()),
        }
    }

    /// The number that the request was given.
    pub fn number(&self) -> usize {
        // SAFETY: the event is valid until it is dropped; what comes back is the number, and is not followed.
        unsafe { librdkafka::rd_kafka_event_opaque(self.pointer) }.addr()
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: handed over by `Queue::next`, destroyed here only; nothing in it is referred to any more.
        unsafe { librdkafka::rd_kafka_event_destroy(self.pointer) }
    }
}

fn millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX).max(1)
}
