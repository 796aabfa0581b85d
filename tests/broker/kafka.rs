//! Real Apache Kafka for the tests: clusters of `KRaft` nodes on loopback, each node broker and
//! controller at once.
//!
//! A cluster lives as long as its [`KafkaCluster`]. Its processes end with the value, and also when
//! the test process ends in a way that drops nothing (a `static`, an abort, a time-out of the test
//! runner); the folder of such a cluster is left in the temporary folder of the machine.
//!
//! Brokers are counted from 0, and that index is Kafka's `node.id` too: the leader that a client
//! reports is the index to stop.
#![expect(
    clippy::expect_used,
    reason = "a broken environment leaves a test nothing to do but stop and say what is wrong"
)]

mod access;
mod locate;
mod node;
mod probe;
mod process;

use std::{
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub(crate) use access::{On, To};
use locate::Runtime;
pub(crate) use node::free_port;
use node::{Endpoints, Node, Security};

const START_DEADLINE: Duration = Duration::from_secs(300);
const STOP_DEADLINE: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Another process may take a port between our look at it and the broker's bind.
const START_ATTEMPTS: usize = 3;

/// What a cluster should look like.
#[derive(Debug, Clone)]
pub(crate) struct ClusterOptions {
    pub(crate) brokers: usize,
    /// Server properties of every broker; they win over those of the harness.
    pub(crate) properties: Vec<(String, String)>,
    /// User and password of a second listener, `SASL_PLAINTEXT` with the mechanism PLAIN.
    pub(crate) sasl_plain: Option<(String, String)>,
    /// The heap of each broker. The default serves tests; a broker under load may want more.
    pub(crate) heap_megabytes: usize,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self { brokers: 1, properties: Vec::new(), sasl_plain: None, heap_megabytes: 384 }
    }
}

/// A running cluster.
#[derive(Debug)]
pub(crate) struct KafkaCluster {
    // Before the folder, since fields are dropped in this order and the processes write there.
    nodes: Vec<Node>,
    runtime: &'static Runtime,
    heap_megabytes: usize,
    _dir: TempDir,
}

impl KafkaCluster {
    /// Starts a cluster and returns when every broker answers and knows all the others.
    ///
    /// # Panics
    ///
    /// When Apache Kafka cannot be had, or when it does not start; then with the end of the
    /// brokers' logs.
    pub(crate) fn start(options: ClusterOptions) -> Self {
        assert!(options.brokers > 0, "a cluster has at least one broker");
        for _ in 1..START_ATTEMPTS {
            match Self::try_start(&options) {
                Ok(cluster) => return cluster,
                Err(failure) if failure.is_port_clash() => {}
                Err(failure) => panic!("{failure}"),
            }
        }
        Self::try_start(&options).unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// The addresses of all brokers, running or not, on the listener without security.
    pub(crate) fn bootstrap_servers(&self) -> String {
        self.addresses(Security::Plaintext).expect("every broker has this listener")
    }

    /// The addresses of all brokers, running or not, on the listener with SASL.
    pub(crate) fn sasl_bootstrap_servers(&self) -> String {
        self.addresses(Security::SaslPlaintext).expect("the cluster was started without `sasl_plain`")
    }

    /// Stops a broker in order (SIGTERM), so that it hands over its partitions first, and waits for
    /// its end.
    ///
    /// A broker that no majority of controllers hears cannot sign off: it would wait for minutes,
    /// and is killed.
    pub(crate) fn stop_broker(&mut self, broker: usize) {
        if !self.has_quorum() {
            return self.kill_broker(broker);
        }
        // A paused broker would not obey; one that is not does not mind.
        self.node(broker).resume();
        let mut process = self.node(broker).take_process();
        process.signal("TERM");
        let stopped = process.exits_before(Instant::now() + STOP_DEADLINE);
        drop(process);
        assert!(stopped, "broker {broker} did not stop within {STOP_DEADLINE:?}{}", self.log_tails());
    }

    /// Ends a broker at once (SIGKILL). The others notice after `broker.session.timeout.ms`.
    pub(crate) fn kill_broker(&mut self, broker: usize) {
        drop(self.node(broker).take_process());
    }

    /// Gives a property of a broker another value, which it has from its next start on.
    pub(crate) fn set_property(&mut self, broker: usize, name: &str, value: &str) {
        self.node(broker).set_property(name, value);
    }

    /// Takes such a value back.
    pub(crate) fn drop_property(&mut self, broker: usize, name: &str) {
        self.node(broker).drop_property(name);
    }

    /// Lets a user of the listener with SASL do something, where an authorizer asks for it.
    pub(crate) fn allow(&self, user: &str, to: To, on: On<'_>) {
        let port = self.nodes.iter().find_map(|node| node.port(Security::Plaintext));
        let allowed = access::allow(port.expect("every broker has this listener"), user, to, on);
        allowed.expect("the broker takes the rule");
    }

    /// Freezes a broker (SIGSTOP): its connections stay open and nothing answers on them.
    pub(crate) fn pause_broker(&mut self, broker: usize) {
        self.node(broker).pause();
    }

    /// Lets a paused broker go on (SIGCONT), and does not wait for what it has to catch up with.
    pub(crate) fn resume_broker(&mut self, broker: usize) {
        self.node(broker).resume();
    }

    /// Starts a stopped or killed broker again, with its ports and data, and waits until it
    /// answers.
    ///
    /// Where still no majority of the controllers runs, no broker can answer and there is no wait:
    /// the start that completes the majority waits for all of them.
    pub(crate) fn start_broker(&mut self, broker: usize) {
        let (runtime, heap_megabytes) = (self.runtime, self.heap_megabytes);
        self.node(broker).spawn(runtime, heap_megabytes);
        if self.has_quorum()
            && let Err(reason) = self.wait_until_ready()
        {
            panic!("broker {broker} did not start again: {reason}{}", self.log_tails());
        }
    }

    /// Whether some broker has the log of one of a topic's partitions, and may still take records into it.
    pub(crate) fn has_log_of(&self, topic: &str, partition: i32) -> bool {
        self.nodes.iter().any(|node| node.has_log_of(topic, partition))
    }

    fn try_start(options: &ClusterOptions) -> Result<Self, StartFailure> {
        let mut cluster = Self::lay_out(options);
        cluster
            .format_and_spawn()
            .and_then(|()| cluster.wait_until_ready())
            .map_err(|reason| StartFailure { reason, logs: cluster.log_tails() })?;
        Ok(cluster)
    }

    fn lay_out(options: &ClusterOptions) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("trunkline-kafka-")
            .tempdir()
            .expect("a folder for the brokers can be made");
        let with_sasl = options.sasl_plain.is_some();
        let endpoints: Vec<Endpoints> = (0..options.brokers).map(|_| Endpoints::free(with_sasl)).collect();
        let nodes = (0..options.brokers).map(|id| Node::create(id, &endpoints, options, dir.path())).collect();
        Self { nodes, runtime: locate::runtime(), heap_megabytes: options.heap_megabytes, _dir: dir }
    }

    fn format_and_spawn(&mut self) -> Result<(), String> {
        // Each format is a JVM of its own that mostly waits for itself to load, so they run side by
        // side.
        let formats: Vec<_> = self.nodes.iter().map(|node| node.start_format(self.runtime)).collect();
        // All of them are waited for, whatever the first says, since they write into our folder.
        let formatted: Vec<_> = formats.into_iter().map(node::finish_format).collect();
        formatted.into_iter().collect::<Result<(), String>>()?;
        for node in &mut self.nodes {
            node.spawn(self.runtime, self.heap_megabytes);
        }
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_DEADLINE;
        while !self.is_ready() {
            if let Some(broker) = self.nodes.iter_mut().position(Node::has_died) {
                return Err(format!("broker {broker} ended by itself"));
            }
            if Instant::now() > deadline {
                return Err(format!("no answer within {START_DEADLINE:?}"));
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Every broker that can answer does so on each listener, and names all of them as members of
    /// the cluster.
    fn is_ready(&self) -> bool {
        let active: Vec<&Node> = self.nodes.iter().filter(|node| node.is_active()).collect();
        active.iter().all(|node| {
            node.answers()
                && node.members_it_sees().is_ok_and(|members| active.iter().all(|other| members.contains(&other.id())))
        })
    }

    fn has_quorum(&self) -> bool {
        let active = self.nodes.iter().filter(|node| node.is_active()).count();
        active * 2 > self.nodes.len()
    }

    fn node(&mut self, broker: usize) -> &mut Node {
        let count = self.nodes.len();
        self.nodes
            .get_mut(broker)
            .unwrap_or_else(|| panic!("there is no broker {broker}: the cluster has {count}, counted from 0"))
    }

    fn addresses(&self, security: Security) -> Option<String> {
        let addresses: Option<Vec<String>> = self.nodes.iter().map(|node| node.address(security)).collect();
        addresses.map(|addresses| addresses.join(","))
    }

    fn log_tails(&self) -> String {
        self.nodes.iter().map(Node::log_tail).collect()
    }
}

/// Why a cluster did not start.
#[derive(Debug)]
struct StartFailure {
    reason: String,
    logs: String,
}

impl StartFailure {
    fn is_port_clash(&self) -> bool {
        self.logs.contains("Address already in use")
    }
}

impl std::fmt::Display for StartFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Apache Kafka did not start: {}{}", self.reason, self.logs)
    }
}
