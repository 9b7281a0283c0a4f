//! Where partitions end for those who read everything: their high watermarks.
#![expect(
    unsafe_code,
    reason = "rdkafka 0.39 wraps no ListOffsets that takes an isolation level; every use below says why it is sound"
)]

use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::time::Duration;

use librdkafka::rd_kafka_OffsetSpec_t as OffsetSpec;
use librdkafka::rd_kafka_admin_op_t as Operation;
use rdkafka::bindings as librdkafka;
use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode;

use super::handle::{Options, Queue};
use super::{TopicPartition, text_of};
use crate::source::kafka::client::Hearing;

/// The high watermarks of partitions, one request a leader; those that weren't told are left out. Blocks.
pub fn high_watermarks(
    client: &Client<Hearing>,
    partitions: &BTreeMap<String, Vec<i32>>,
    timeout: Duration,
) -> Result<HashMap<TopicPartition, i64>, RDKafkaErrorCode> {
    let queue = Queue::new(client);
    // ListOffsets reads uncommitted unless told otherwise (librdkafka : src/rdkafka_admin.c, rd_kafka_AdminOptions_set_isolation_level).
    let options = Options::new(client, Operation::RD_KAFKA_ADMIN_OP_LISTOFFSETS, timeout);
    // SAFETY: the list is made and destroyed here, once; an element that was added is valid until the next is added, and only its
    // offset is written, which for this request says which offset is asked for. librdkafka copies list and options into its request.
    unsafe {
        let list = librdkafka::rd_kafka_topic_partition_list_new(0);
        for (topic, numbers) in partitions {
            let Ok(topic) = CString::new(topic.as_str()) else { continue };
            for number in numbers {
                let element = librdkafka::rd_kafka_topic_partition_list_add(list, topic.as_ptr(), *number);
                (*element).offset = OffsetSpec::RD_KAFKA_OFFSET_SPEC_LATEST as i64;
            }
        }
        librdkafka::rd_kafka_ListOffsets(client.native_ptr(), list, options.pointer, queue.pointer);
        librdkafka::rd_kafka_topic_partition_list_destroy(list);
    }
    let event = queue.next(timeout).ok_or(RDKafkaErrorCode::OperationTimedOut)?;
    event.succeeded()?;
    let mut found = HashMap::new();
    // SAFETY: the result is null unless the event is of this kind; the array has `count` elements, none of them null, each with a
    // partition whose topic is a C string; all of it lives as long as `event`, and is copied.
    unsafe {
        let result = librdkafka::rd_kafka_event_ListOffsets_result(event.pointer);
        if result.is_null() {
            return Err(RDKafkaErrorCode::Fail);
        }
        let mut count = 0;
        let infos_of = librdkafka::rd_kafka_ListOffsets_result_infos(result, &mut count);
        for index in 0..count {
            let element = &*librdkafka::rd_kafka_ListOffsetsResultInfo_topic_partition(*infos_of.add(index));
            if element.err == librdkafka::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                found.insert((text_of(element.topic), element.partition), element.offset);
            }
        }
    }
    Ok(found)
}
