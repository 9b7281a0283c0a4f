//! What the broker calls the states and protocols of groups, as far as librdkafka 2.12 knows them.

use rdkafka::bindings as librdkafka;

/// What a broker calls a group's state.
pub fn state(state: librdkafka::rd_kafka_consumer_group_state_t) -> Option<&'static str> {
    use librdkafka::rd_kafka_consumer_group_state_t as State;
    match state {
        State::RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE => Some("PreparingRebalance"),
        State::RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE => Some("CompletingRebalance"),
        State::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE => Some("Stable"),
        State::RD_KAFKA_CONSUMER_GROUP_STATE_DEAD => Some("Dead"),
        State::RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY => Some("Empty"),
        // Also what librdkafka 2.12 makes of KIP-848's Assigning and Reconciling.
        _ => None,
    }
}

/// What a broker calls a group's protocol.
pub fn protocol(kind: librdkafka::rd_kafka_consumer_group_type_t) -> Option<&'static str> {
    use librdkafka::rd_kafka_consumer_group_type_t as Type;
    match kind {
        Type::RD_KAFKA_CONSUMER_GROUP_TYPE_CONSUMER => Some("consumer"),
        Type::RD_KAFKA_CONSUMER_GROUP_TYPE_CLASSIC => Some("classic"),
        _ => None,
    }
}
