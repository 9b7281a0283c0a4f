//! What only librdkafka's admin calls tell, which `rdkafka` 0.39 doesn't wrap: the id of each topic.
//!
//! A topic that is deleted, made again and filled past our place within a moment shows no other sign: librdkafka
//! reads on in the new one without a word (seen on Kafka 4.3.0 with librdkafka 2.12.1), and its first records would be missed.
//!
//! This is the one file with `unsafe` in it; each use says why it is sound. Pointers named `*_of` a result belong to it and live as long.
#![expect(unsafe_code, reason = "rdkafka 0.39 has no safe DescribeTopics; every use below says why it is sound")]

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as librdkafka;
use rdkafka::client::Client;

use crate::source::kafka::client::Hearing;

/// A topic's id, which another topic of the same name doesn't share. Brokers tell it since Kafka 2.8.
pub type TopicId = (i64, i64);

/// The ids of topics, as far as the broker tells them within `timeout`. Blocks; not for the runtime's threads.
pub fn topic_ids(client: &Client<Hearing>, names: &[&str], timeout: Duration) -> HashMap<String, TopicId> {
    let names: Vec<CString> = names.iter().filter_map(|name| CString::new(*name).ok()).collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    if pointers.is_empty() {
        return HashMap::new();
    }
    // SAFETY: `client` is borrowed for the whole call, so its handle stays valid. librdkafka copies the names while
    // `names` still owns them. The collection, options and queue are made here, checked for null where they may be null,
    // used by this thread only and destroyed once each; librdkafka copies options and collection into its request, and
    // drops an answer that comes after its queue was destroyed. The event, where there is one, is destroyed after
    // everything in it was copied out.
    unsafe {
        let rk = client.native_ptr();
        let collection = librdkafka::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let options = librdkafka::rd_kafka_AdminOptions_new(
            rk,
            librdkafka::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        );
        if !options.is_null() {
            let (text, room) = (ptr::null_mut(), 0); // a timeout that is refused leaves the default: no need to know why
            librdkafka::rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, room);
        }
        let queue = librdkafka::rd_kafka_queue_new(rk);
        librdkafka::rd_kafka_DescribeTopics(rk, collection, options, queue);
        let event = librdkafka::rd_kafka_queue_poll(queue, timeout_ms);
        let ids = if event.is_null() { HashMap::new() } else { ids_of(event) };
        if !event.is_null() {
            librdkafka::rd_kafka_event_destroy(event);
        }
        librdkafka::rd_kafka_queue_destroy(queue);
        if !options.is_null() {
            librdkafka::rd_kafka_AdminOptions_destroy(options);
        }
        librdkafka::rd_kafka_TopicCollection_destroy(collection);
        ids
    }
}

/// Copies the ids out of an event.
///
/// # Safety
/// `event` must be a valid event that nobody destroys during the call.
unsafe fn ids_of(event: *mut librdkafka::rd_kafka_event_t) -> HashMap<String, TopicId> {
    let mut ids = HashMap::new();
    // SAFETY: the result is null unless the event is of this kind and carries no error; the array has `count` elements,
    // none of them null; names are C strings; all of it lives as long as the event, which the caller keeps.
    unsafe {
        let result = librdkafka::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return ids;
        }
        let mut count = 0;
        let topics_of = librdkafka::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        for index in 0..count {
            let topic_of = *topics_of.add(index);
            let error_of = librdkafka::rd_kafka_TopicDescription_error(topic_of);
            let failed = librdkafka::rd_kafka_error_code(error_of)
                != librdkafka::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR; // which takes null for "no error"
            let id_of = librdkafka::rd_kafka_TopicDescription_topic_id(topic_of);
            if failed || id_of.is_null() {
                continue;
            }
            let id = (
                librdkafka::rd_kafka_Uuid_most_significant_bits(id_of),
                librdkafka::rd_kafka_Uuid_least_significant_bits(id_of),
            );
            let name = CStr::from_ptr(librdkafka::rd_kafka_TopicDescription_name(topic_of));
            if id != (0, 0)
                && let Ok(name) = name.to_str()
            {
                ids.insert(name.to_owned(), id);
            }
        }
    }
    ids
}
