//! How topics are configured: over the connections that are there, with the rights and tokens that they have.
#![expect(
    unsafe_code,
    reason = "rdkafka 0.39 asks for configurations only through a client of its own, which gets no OAUTHBEARER tokens; every use below \
              says why it is sound"
)]

use std::collections::{BTreeMap, HashMap};
use std::ptr;
use std::time::Duration;

use librdkafka::rd_kafka_ResourceType_t as ResourceType;
use librdkafka::rd_kafka_admin_op_t as Operation;
use rdkafka::bindings as librdkafka;
use rdkafka::client::Client;

use super::handle::{Options, Queue};
use super::{c_strings, text_of};
use crate::source::kafka::client::Hearing;

/// What a topic is configured with, by the names of its settings.
pub type Settings = HashMap<String, String>;

/// How these topics are configured, in one request; those of which the broker doesn't tell are left out. Blocks.
pub fn topic_settings(client: &Client<Hearing>, topics: &[&str], timeout: Duration) -> BTreeMap<String, Settings> {
    let mut told = BTreeMap::new();
    let names = c_strings(topics);
    if names.is_empty() {
        return told;
    }
    let queue = Queue::new(client);
    let options = Options::new(client, Operation::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout);
    // SAFETY: the client's handle is valid while it is borrowed; librdkafka copies the names into the resources, and resources and options
    // into its request; each resource is made and destroyed here, once.
    unsafe {
        let new = |name| librdkafka::rd_kafka_ConfigResource_new(ResourceType::RD_KAFKA_RESOURCE_TOPIC, name);
        let mut resources: Vec<_> = names.iter().map(|name| new(name.as_ptr())).collect();
        let (first, count) = (resources.as_mut_ptr(), resources.len());
        librdkafka::rd_kafka_DescribeConfigs(client.native_ptr(), first, count, options.pointer, queue.pointer);
        librdkafka::rd_kafka_ConfigResource_destroy_array(first, count);
    }
    let Some(event) = queue.next(timeout) else { return told };
    // SAFETY: the result is null unless the event is of this kind; both arrays have as many elements as they say, none of them null; names
    // are C strings, and values are, or null; all of it lives as long as `event`, and is copied.
    unsafe {
        let result = librdkafka::rd_kafka_event_DescribeConfigs_result(event.pointer);
        if result.is_null() {
            return told;
        }
        let mut n_resources = 0;
        let resources_of =
            librdkafka::rd_kafka_DescribeConfigs_result_resources(result, ptr::from_mut(&mut n_resources));
        for index in 0..n_resources {
            let resource_of = *resources_of.add(index);
            let error = librdkafka::rd_kafka_ConfigResource_error(resource_of);
            if error != librdkafka::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                continue;
            }
            let mut n_entries = 0;
            let entries_of = librdkafka::rd_kafka_ConfigResource_configs(resource_of, ptr::from_mut(&mut n_entries));
            let mut settings = Settings::new();
            for entry in 0..n_entries {
                let entry_of = *entries_of.add(entry);
                let value_of = librdkafka::rd_kafka_ConfigEntry_value(entry_of);
                if !value_of.is_null() {
                    settings.insert(text_of(librdkafka::rd_kafka_ConfigEntry_name(entry_of)), text_of(value_of));
                }
            }
            told.insert(text_of(librdkafka::rd_kafka_ConfigResource_name(resource_of)), settings);
        }
    }
    told
}
