//! What the tests stand on. One file each: the program, the parts, and the wires between.

pub mod cluster; // three brokers that can be killed
pub mod folder; // what stands in a data folder
pub mod home; // the built program as a process, and its folder
pub mod http; // the smallest HTTP client
pub mod kafka; // a real Apache Kafka
pub mod otlp; // OTLP requests and how they are sent
pub mod parts; // where the installed parts are
pub mod receiver; // a receiver of webhooks that does what a test wants
pub mod registry; // a real schema registry
pub mod secure; // a broker that wants to know who we are
pub mod waiting; // asking until there is an answer

pub use waiting::{unique, until};
