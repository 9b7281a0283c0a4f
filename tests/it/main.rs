//! The built program against real parts: Apache Kafka, foreign clients with OpenTelemetry's own instrumentation,
//! telemetrygen, NATS, a schema registry. Everything is asked from outside, over the wire, as a user or another program would.
//!
//! Run by `tests/run it`, which installs the parts first (`tests/parts/install`); a test whose part is missing fails and says so.
#![expect(clippy::unwrap_used, reason = "in a test that can't go on, the panic is the report")]

mod rig; // starts the program and the parts, speaks HTTP, OTLP and Kafka to them

mod alerts; // a consumer that stops, and what is said of it
mod configuration; // bad files, bad flags, taken ports: what a person reads before anything runs
mod crash; // kill -9 under load: nothing acknowledged is lost or doubled
mod dead_letters; // what died on a real Kafka, for people, scripts and the command line
mod deliveries; // which consumer group has an event
mod demo; // `sillage demo` by itself
mod findings; // what is wrong with events, on their flows, in the search, and for whoever is told
mod foreign; // producers and consumers in other languages, instrumented by OpenTelemetry, not by us
mod frameworks; // retries and dead letters as frameworks write them
mod generator; // telemetrygen, OpenTelemetry's own load generator
mod jetstream; // NATS beside Kafka
mod kafka_access; // who we are to a broker, and what is said where it keeps us out
mod kafka_cluster; // three brokers, one of which is killed
mod kafka_scale; // many partitions, and many records while groups are watched
mod kafka_source; // what is read from a real Kafka, and what is left alone there
mod kafka_transactions; // what is not committed yet, and what was taken back
mod lag; // how far consumer groups are behind
mod metrics; // `/metrics` as Prometheus reads it, the dashboard and the rules
mod operator; // what is redacted, forgotten, checked, rebuilt, copied
mod otlp_receiver; // OTLP in every transport and encoding, good and bad
mod overload; // more comes in than can be kept
mod own_telemetry; // Sillage's own traces and logs
mod recorded; // what OpenTelemetry's instrumentations sent, sent once more
mod redrive; // dead letters sent back: byte for byte, by whom they may be, and once whatever kills us
mod registry; // bodies that a schema registry's serializers wrote
mod trouble; // brokers that are down, disks that refuse, folders that are damaged
mod webhooks; // who is told of alerts, whatever they do
