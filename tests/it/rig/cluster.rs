//! A cluster of three brokers, each of which can be killed and started again.

use std::path::PathBuf;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::home::free_port;
use super::kafka::{self, Kafka};

/// A cluster of three brokers.
pub struct Cluster {
    /// To send to and ask: knows all three addresses.
    pub kafka: Kafka,
    nodes: Vec<(PathBuf, u16)>,
}

impl Cluster {
    pub fn start(name: &str) -> Cluster {
        let mut kafka = Kafka::planned(name);
        let ports: Vec<u16> = (0..6).map(|_| free_port()).collect();
        kafka::script("three", &kafka.folder, &ports);
        let brokers: Vec<u16> = ports.iter().copied().step_by(2).collect();
        kafka.address = brokers.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
        kafka.copies = 3;
        let nodes = brokers.into_iter().zip(1..).map(|(port, node)| (kafka.folder.join(format!("{node}")), port));
        Cluster { nodes: nodes.collect(), kafka }
    }

    /// Which broker leads a partition now, from 1; `None` while none does.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<usize> {
        let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &self.kafka.address).create().unwrap();
        let metadata = client.fetch_metadata(Some(topic), std::time::Duration::from_secs(5)).ok()?;
        let partitions = metadata.topics().first()?.partitions();
        let leader = partitions.iter().find(|found| found.id() == partition)?.leader();
        usize::try_from(leader).ok()
    }

    /// Kills a broker as a power cut would.
    pub fn kill(&self, node: usize) {
        kafka::script("kill", &self.nodes[node - 1].0, &[]);
    }

    /// Stops a broker in order: it hands its partitions to the others.
    pub fn stop(&self, node: usize) {
        kafka::script("stop", &self.nodes[node - 1].0, &[]);
    }

    /// Starts a broker that was there before.
    pub fn again(&self, node: usize) {
        let (folder, port) = &self.nodes[node - 1];
        kafka::script("again", folder, &[*port]);
    }

    pub fn down(&self) {
        for node in 1..=self.nodes.len() {
            self.stop(node);
        }
    }
}

/// A `[[source]]` that reads these topics from the first record on.
pub fn source(cluster: &Cluster, topics: &[&str]) -> String {
    let brokers: Vec<&str> = cluster.kafka.address.split(',').collect();
    format!(
        "[[source]]\nname = \"main\"\ntype = \"kafka\"\nbrokers = {brokers:?}\ntopics = {topics:?}\nfrom = \"earliest\"\n"
    )
}
