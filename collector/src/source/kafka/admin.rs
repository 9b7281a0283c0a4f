//! What only librdkafka's admin calls tell, which `rdkafka` 0.39 doesn't wrap: the id of each topic; consumer groups, their members,
//! and what they committed.
//!
//! A topic that is deleted, made again and filled past our place within a moment shows no other sign: librdkafka
//! reads on in the new one without a word (seen on Kafka 4.3.0 with librdkafka 2.12.1), and its first records would be missed.
//!
//! This file and those in `admin/` are the only ones with `unsafe` in them; each use says why it is sound. Pointers named `*_of` a result belong to it and live as long.
#![expect(
    unsafe_code,
    reason = "rdkafka 0.39 has no safe DescribeTopics and no group calls; every use below says why it is sound"
)]

mod access; // which topics we may not read
mod configs; // how topics are configured
mod handle; // queue, options and answers, each freed once
mod offsets; // where partitions end for those who read everything
mod words; // what the broker calls states and protocols

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::{Duration, Instant};

use librdkafka::rd_kafka_admin_op_t as Operation;
use rdkafka::bindings as librdkafka;
use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode;

use crate::source::kafka::client::Hearing;
use handle::{Options, Queue};
use words::{protocol, state};

pub use access::unreadable;
pub use configs::{Settings, topic_settings};
pub use offsets::high_watermarks;

/// A topic's id, which another topic of the same name doesn't share. Brokers tell it since Kafka 2.8.
pub type TopicId = (i64, i64);

/// A partition of a topic.
pub type TopicPartition = (String, i32);

/// What the broker lists of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    pub group: String,
    pub state: Option<&'static str>,
    pub protocol: Option<&'static str>,
    /// Its members never joined: they assign partitions to themselves, and only commit.
    pub is_simple: bool,
}

/// The groups that were listed, and whether every broker answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AllListed {
    pub groups: Vec<Listed>,
    pub is_complete: bool,
}

/// What the broker tells of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Described {
    pub group: String,
    pub state: Option<&'static str>,
    pub protocol: Option<&'static str>,
    pub assignor: String,
    pub members: Vec<DescribedMember>,
}

/// A member, and what it owns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DescribedMember {
    pub id: String,
    pub client_id: String,
    pub host: String,
    pub owns: Vec<TopicPartition>,
}

/// What a group committed: by partition, those without a commit left out.
pub type Committed = HashMap<TopicPartition, i64>;

/// How many requests for committed offsets are under way at once: a broker answers them one after the other, and never sees a flood.
const UNDER_WAY_MAX: usize = 16;

/// The ids of topics, as far as the broker tells them within `timeout`. Blocks; not for the runtime's threads.
pub fn topic_ids(client: &Client<Hearing>, names: &[&str], timeout: Duration) -> HashMap<String, TopicId> {
    let names = c_strings(names);
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    if pointers.is_empty() {
        return HashMap::new();
    }
    let queue = Queue::new(client);
    let options = Options::new(client, Operation::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout);
    // SAFETY: `client` is borrowed for the whole call, so its handle stays valid. librdkafka copies the names while `names` still
    // owns them, and options and collection into its request. The collection is made and destroyed here, once.
    unsafe {
        let collection = librdkafka::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        librdkafka::rd_kafka_DescribeTopics(client.native_ptr(), collection, options.pointer, queue.pointer);
        librdkafka::rd_kafka_TopicCollection_destroy(collection);
    }
    let Some(event) = queue.next(timeout) else { return HashMap::new() };
    // SAFETY: the event is valid while `event` lives.
    unsafe { ids_of(event.pointer) }
}

/// The groups that the brokers list; share and streams groups are unknown to librdkafka 2.12 and left out by it. Blocks.
pub fn list_groups(client: &Client<Hearing>, timeout: Duration) -> Result<AllListed, RDKafkaErrorCode> {
    let queue = Queue::new(client);
    let options = Options::new(client, Operation::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS, timeout);
    // SAFETY: all three live through the call, and librdkafka copies the options into its request.
    unsafe { librdkafka::rd_kafka_ListConsumerGroups(client.native_ptr(), options.pointer, queue.pointer) };
    let event = queue.next(timeout).ok_or(RDKafkaErrorCode::OperationTimedOut)?;
    event.succeeded()?;
    let mut all = AllListed::default();
    // SAFETY: the result is null unless the event is of this kind; the array has `count` elements, none of them null; the ids are
    // C strings; all of it lives as long as `event`, and is copied. Of the errors only the number is asked.
    unsafe {
        let result = librdkafka::rd_kafka_event_ListConsumerGroups_result(event.pointer);
        if result.is_null() {
            return Err(RDKafkaErrorCode::Fail);
        }
        let mut count = 0;
        let listed_of = librdkafka::rd_kafka_ListConsumerGroups_result_valid(result, &mut count);
        for index in 0..count {
            let listing_of = *listed_of.add(index);
            all.groups.push(Listed {
                group: text_of(librdkafka::rd_kafka_ConsumerGroupListing_group_id(listing_of)),
                state: state(librdkafka::rd_kafka_ConsumerGroupListing_state(listing_of)),
                protocol: protocol(librdkafka::rd_kafka_ConsumerGroupListing_type(listing_of)),
                is_simple: librdkafka::rd_kafka_ConsumerGroupListing_is_simple_consumer_group(listing_of) != 0,
            });
        }
        librdkafka::rd_kafka_ListConsumerGroups_result_errors(result, &mut count);
        all.is_complete = count == 0;
    }
    Ok(all)
}

/// What the brokers tell of these groups, one request a group; those that they refuse to tell of are left out. Blocks.
pub fn describe_groups(client: &Client<Hearing>, groups: &[&str], timeout: Duration) -> Vec<Described> {
    let names = c_strings(groups);
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    if pointers.is_empty() {
        return Vec::new();
    }
    let queue = Queue::new(client);
    let options = Options::new(client, Operation::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, timeout);
    // SAFETY: everything lives through the call; librdkafka copies the names and the options into its request.
    unsafe {
        librdkafka::rd_kafka_DescribeConsumerGroups(
            client.native_ptr(),
            pointers.as_mut_ptr(),
            pointers.len(),
            options.pointer,
            queue.pointer,
        );
    }
    let Some(event) = queue.next(timeout) else { return Vec::new() };
    let mut described = Vec::new();
    // SAFETY: the result is null unless the event is of this kind; the array has `count` elements, none of them null; all of it
    // lives as long as `event`, and is copied.
    unsafe {
        let result = librdkafka::rd_kafka_event_DescribeConsumerGroups_result(event.pointer);
        if result.is_null() {
            return described;
        }
        let mut count = 0;
        let groups_of = librdkafka::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count);
        for index in 0..count {
            let group_of = *groups_of.add(index);
            if librdkafka::rd_kafka_error_code(librdkafka::rd_kafka_ConsumerGroupDescription_error(group_of))
                != librdkafka::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
            {
                continue;
            }
            let members = librdkafka::rd_kafka_ConsumerGroupDescription_member_count(group_of);
            described.push(Described {
                group: text_of(librdkafka::rd_kafka_ConsumerGroupDescription_group_id(group_of)),
                state: state(librdkafka::rd_kafka_ConsumerGroupDescription_state(group_of)),
                protocol: protocol(librdkafka::rd_kafka_ConsumerGroupDescription_type(group_of)),
                assignor: text_of(librdkafka::rd_kafka_ConsumerGroupDescription_partition_assignor(group_of)),
                members: (0..members)
                    .map(|member| member_of(librdkafka::rd_kafka_ConsumerGroupDescription_member(group_of, member)))
                    .collect(),
            });
        }
    }
    described
}

/// What these groups committed, by their place in `groups`: in all partitions, or in those of `partitions` where given. One request
/// a group, at most [`UNDER_WAY_MAX`] at once; those that weren't answered within `timeout` in all say so. Blocks.
pub fn committed(
    client: &Client<Hearing>,
    groups: &[&str],
    partitions: Option<&[TopicPartition]>,
    timeout: Duration,
) -> Vec<Result<Committed, RDKafkaErrorCode>> {
    let mut answers = vec![Err(RDKafkaErrorCode::OperationTimedOut); groups.len()];
    let queue = Queue::new(client);
    let deadline = Instant::now() + timeout;
    let (mut asked, mut under_way) = (0, 0);
    loop {
        while asked < groups.len() && under_way < UNDER_WAY_MAX {
            let left = deadline.saturating_duration_since(Instant::now());
            if ask_committed(client, &queue, groups[asked], asked, partitions, left) {
                under_way += 1;
            }
            asked += 1;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if under_way == 0 || left.is_zero() {
            return answers;
        }
        let Some(event) = queue.next(left) else { return answers };
        under_way -= 1;
        if let Some(answer) = answers.get_mut(event.number()) {
            // SAFETY: the event is valid while `event` lives.
            *answer = event.succeeded().and_then(|()| unsafe { committed_of(event.pointer) });
        }
    }
}

/// Asks for what one group committed; the answer comes to the queue with this number. False where the name can't be asked for.
fn ask_committed(
    client: &Client<Hearing>,
    queue: &Queue,
    group: &str,
    number: usize,
    partitions: Option<&[TopicPartition]>,
    timeout: Duration,
) -> bool {
    let Ok(group) = CString::new(group) else { return false };
    let options = Options::new(client, Operation::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, timeout);
    if options.pointer.is_null() || group.is_empty() {
        return false;
    }
    // SAFETY: the number is carried as an address that nobody follows. List and request are made here and destroyed once;
    // librdkafka copies names into the list, the list into the request, and request and options into what it sends.
    unsafe {
        librdkafka::rd_kafka_AdminOptions_set_opaque(options.pointer, ptr::without_provenance_mut(number));
        let list = match partitions {
            None => ptr::null_mut(), // all
            Some(_) => librdkafka::rd_kafka_topic_partition_list_new(0),
        };
        for (topic, partition) in partitions.unwrap_or_default() {
            if let Ok(topic) = CString::new(topic.as_str()) {
                librdkafka::rd_kafka_topic_partition_list_add(list, topic.as_ptr(), *partition);
            }
        }
        let mut request = librdkafka::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), list);
        librdkafka::rd_kafka_ListConsumerGroupOffsets(
            client.native_ptr(),
            &mut request,
            1,
            options.pointer,
            queue.pointer,
        );
        librdkafka::rd_kafka_ListConsumerGroupOffsets_destroy(request);
        if !list.is_null() {
            librdkafka::rd_kafka_topic_partition_list_destroy(list);
        }
    }
    true
}

/// Names as C has them; those with a zero in them, which no broker allows, are left out.
fn c_strings(names: &[&str]) -> Vec<CString> {
    names.iter().filter_map(|name| CString::new(*name).ok()).collect()
}

/// Copies a text; empty for null.
///
/// # Safety
/// `text` must be null or a C string that lives through the call.
unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller promises a C string.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Copies a member out of a description.
///
/// # Safety
/// `member_of` must be a valid member that lives through the call.
unsafe fn member_of(member_of: *const librdkafka::rd_kafka_MemberDescription_t) -> DescribedMember {
    // SAFETY: all that is read belongs to the member; an assignment, where it has one, and its list may be null, and are checked.
    unsafe {
        let assignment_of = librdkafka::rd_kafka_MemberDescription_assignment(member_of);
        let owns = if assignment_of.is_null() {
            Vec::new()
        } else {
            let list_of = librdkafka::rd_kafka_MemberAssignment_partitions(assignment_of);
            elements_of(list_of).into_iter().map(|(partition, _)| partition).collect()
        };
        DescribedMember {
            id: text_of(librdkafka::rd_kafka_MemberDescription_consumer_id(member_of)),
            client_id: text_of(librdkafka::rd_kafka_MemberDescription_client_id(member_of)),
            host: text_of(librdkafka::rd_kafka_MemberDescription_host(member_of)),
            owns,
        }
    }
}

/// Copies the partitions and offsets out of a list; what carries an error is left out.
///
/// # Safety
/// `list_of` must be null or a valid list that lives through the call.
unsafe fn elements_of(list_of: *const librdkafka::rd_kafka_topic_partition_list_t) -> Vec<(TopicPartition, i64)> {
    let mut elements = Vec::new();
    if list_of.is_null() {
        return elements;
    }
    // SAFETY: a list has `cnt` elements behind `elems`, each with a topic that is a C string.
    unsafe {
        for index in 0..usize::try_from((*list_of).cnt).unwrap_or(0) {
            let element = &*(*list_of).elems.add(index);
            if element.err == librdkafka::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                elements.push(((text_of(element.topic), element.partition), element.offset));
            }
        }
    }
    elements
}

/// Copies what one group committed out of an event.
///
/// # Safety
/// `event` must be a valid event that nobody destroys during the call.
unsafe fn committed_of(event: *mut librdkafka::rd_kafka_event_t) -> Result<Committed, RDKafkaErrorCode> {
    // SAFETY: the result is null unless the event is of this kind; the array has `count` elements, none of them null; all of it
    // lives as long as the event, which the caller keeps. A null error stands for none.
    unsafe {
        let result = librdkafka::rd_kafka_event_ListConsumerGroupOffsets_result(event);
        if result.is_null() {
            return Err(RDKafkaErrorCode::Fail);
        }
        let mut count = 0;
        let groups_of = librdkafka::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &mut count);
        if count == 0 {
            return Err(RDKafkaErrorCode::Fail);
        }
        let group_of = *groups_of;
        let error = librdkafka::rd_kafka_error_code(librdkafka::rd_kafka_group_result_error(group_of));
        if error != librdkafka::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(error.into());
        }
        let elements = elements_of(librdkafka::rd_kafka_group_result_partitions(group_of));
        // A negative offset says that nothing is committed.
        Ok(elements.into_iter().filter(|(_, offset)| *offset >= 0).collect())
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
