//! Which topics we may not read. A refused fetch doesn't say which topic it was of.
#![expect(unsafe_code, reason = "rdkafka 0.39 has no safe DescribeTopics; every use below says why it is sound")]

use std::ffi::{CStr, c_char};
use std::time::Duration;

use librdkafka::rd_kafka_AclOperation_t as Right;
use librdkafka::rd_kafka_admin_op_t as Operation;
use rdkafka::bindings as librdkafka;
use rdkafka::client::Client;

use super::c_strings;
use super::handle::{Options, Queue};
use crate::source::kafka::client::Hearing;

/// Those of these topics that the broker says we have no right to READ, as far as it tells within `timeout`. Blocks.
pub fn unreadable(client: &Client<Hearing>, names: &[&str], timeout: Duration) -> Vec<String> {
    let names = c_strings(names);
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    if pointers.is_empty() {
        return Vec::new();
    }
    let queue = Queue::new(client);
    let options = Options::new(client, Operation::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout);
    if options.pointer.is_null() {
        return Vec::new();
    }
    // SAFETY: as in `topic_ids`; an error that setting the option returns is ours to destroy, and null where there is none, which
    // `rd_kafka_error_destroy` takes.
    unsafe {
        let refused = librdkafka::rd_kafka_AdminOptions_set_include_authorized_operations(options.pointer, 1);
        librdkafka::rd_kafka_error_destroy(refused);
        let collection = librdkafka::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        librdkafka::rd_kafka_DescribeTopics(client.native_ptr(), collection, options.pointer, queue.pointer);
        librdkafka::rd_kafka_TopicCollection_destroy(collection);
    }
    let Some(event) = queue.next(timeout) else { return Vec::new() };
    let mut unreadable = Vec::new();
    // SAFETY: the result is null unless the event is of this kind; both arrays have as many elements as they say, none of the topics
    // null; rights, of which librdkafka lists only those that it
    // knows, are null where the broker doesn't tell them; names are C strings; all of it lives as long as `event`.
    unsafe {
        let result = librdkafka::rd_kafka_event_DescribeTopics_result(event.pointer);
        if result.is_null() {
            return unreadable;
        }
        let mut count = 0;
        let topics_of = librdkafka::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        for index in 0..count {
            let topic_of = *topics_of.add(index);
            let mut n_rights = 0;
            let rights_of = librdkafka::rd_kafka_TopicDescription_authorized_operations(topic_of, &mut n_rights);
            if rights_of.is_null() {
                continue;
            }
            let may_read = (0..n_rights).any(|right| {
                matches!(*rights_of.add(right), Right::RD_KAFKA_ACL_OPERATION_READ | Right::RD_KAFKA_ACL_OPERATION_ALL)
            });
            if !may_read {
                let name = CStr::from_ptr(librdkafka::rd_kafka_TopicDescription_name(topic_of));
                unreadable.push(name.to_string_lossy().into_owned());
            }
        }
    }
    unreadable.sort();
    unreadable
}
