//! The embedded broker of `trunkline dev` and of the tests: librdkafka's mock cluster, which speaks
//! Kafka's protocol on a loopback port. It keeps a few megabytes a partition, and nothing after a stop.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use socket2::{Domain, Socket, Type};
use thiserror::Error;

use crate::event::kind;

const BROKER: i32 = 1;

type Cluster = MockCluster<'static, DefaultProducerContext>;
type Command = Box<dyn FnOnce(&Cluster) + Send>;

/// Why no embedded broker could be started.
#[derive(Debug, Error)]
pub enum EmbeddedError {
    /// The mock cluster.
    #[error("the embedded broker could not be started")]
    Start(#[source] KafkaError),
    /// Its port.
    #[error("the embedded broker's port can not be kept")]
    Port(#[source] io::Error),
    /// Its thread ended.
    #[error("the embedded broker's thread has ended")]
    Gone,
}

/// A broker inside this process. The cluster is not `Send`, so a thread of its own holds it.
#[derive(Debug)]
pub struct EmbeddedBroker {
    bootstrap_servers: String,
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
    /// While the broker is down.
    kept_port: Mutex<Option<Socket>>,
}

impl EmbeddedBroker {
    /// Starts one broker with every topic of ours, each with the same few partitions.
    ///
    /// # Errors
    /// When librdkafka can not start it.
    pub fn start(topic_prefix: &str, partitions: i32) -> Result<Self, EmbeddedError> {
        let topics: Vec<String> = kind::all_topics().map(|topic| format!("{topic_prefix}{}", topic.suffix)).collect();
        let (commands, received) = channel();
        let (started, start) = channel();
        let run = move || match cluster(&topics, partitions) {
            Ok(cluster) => {
                if started.send(Ok(cluster.bootstrap_servers())).is_ok() {
                    obey(&cluster, received);
                }
            }
            Err(error) => drop(started.send(Err(EmbeddedError::Start(error)))),
        };
        let thread = std::thread::Builder::new().name("embedded-broker".to_owned()).spawn(run);
        let thread = thread.map_err(|_| EmbeddedError::Gone)?;
        let bootstrap_servers = start.recv().map_err(|_| EmbeddedError::Gone)??;
        Ok(Self { bootstrap_servers, commands: Some(commands), thread: Some(thread), kept_port: Mutex::new(None) })
    }

    /// `host:port` for any Kafka client on this machine.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Makes the broker unreachable.
    ///
    /// # Errors
    /// When the cluster does not do it, or its port can not be kept.
    pub fn go_down(&self) -> Result<(), EmbeddedError> {
        self.ask(|cluster| cluster.broker_down(BROKER))?.map_err(EmbeddedError::Start)?;
        let kept = keep(&self.bootstrap_servers).map_err(EmbeddedError::Port)?;
        self.kept_port.lock().unwrap_or_else(PoisonError::into_inner).replace(kept);
        Ok(())
    }

    /// Makes the broker reachable again, with what it held.
    ///
    /// # Errors
    /// When the cluster does not do it.
    pub fn come_up(&self) -> Result<(), EmbeddedError> {
        self.kept_port.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.ask(|cluster| cluster.broker_up(BROKER))?.map_err(EmbeddedError::Start)
    }

    /// Makes every answer of the broker take so long.
    ///
    /// # Errors
    /// When the cluster does not do it.
    pub fn delay(&self, delay: Duration) -> Result<(), EmbeddedError> {
        self.ask(move |cluster| cluster.broker_round_trip_time(BROKER, delay))?.map_err(EmbeddedError::Start)
    }

    /// Answers the next produce requests with these errors.
    ///
    /// # Errors
    /// When the broker's thread has ended.
    pub fn fail_produce(&self, code: RDKafkaErrorCode, times: usize) -> Result<(), EmbeddedError> {
        let code = match code {
            RDKafkaErrorCode::MessageSizeTooLarge => RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
            RDKafkaErrorCode::NotLeaderForPartition => RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RDKafkaErrorCode::TopicAuthorizationFailed => RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            RDKafkaErrorCode::OutOfOrderSequenceNumber => {
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER
            }
            _ => RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD,
        };
        self.ask(move |cluster| cluster.request_errors(RDKafkaApiKey::Produce, &vec![code; times]))
    }

    /// Refuses the next clients that ask to be a producer.
    ///
    /// # Errors
    /// When the broker's thread has ended.
    pub fn refuse_producers(&self, times: usize) -> Result<(), EmbeddedError> {
        let code = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
        self.ask(move |cluster| cluster.request_errors(RDKafkaApiKey::InitProducerId, &vec![code; times]))
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Cluster) -> T + Send + 'static,
    ) -> Result<T, EmbeddedError> {
        let (answer, answered) = channel();
        let command: Command = Box::new(move |cluster| drop(answer.send(question(cluster))));
        let commands = self.commands.as_ref().ok_or(EmbeddedError::Gone)?;
        commands.send(command).map_err(|_| EmbeddedError::Gone)?;
        answered.recv().map_err(|_| EmbeddedError::Gone)
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.commands.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the embedded broker's thread had panicked");
        }
    }
}

/// Takes a port without listening at it: connections are refused, and nobody else gets it. Otherwise a
/// client that tries to connect may be given this very port, and the broker could not have it back.
fn keep(address: &str) -> io::Result<Socket> {
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn cluster(topics: &[String], partitions: i32) -> Result<Cluster, KafkaError> {
    let cluster = MockCluster::new(1)?;
    for topic in topics {
        cluster.create_topic(topic, partitions, 1)?;
    }
    Ok(cluster)
}

fn obey(cluster: &Cluster, commands: Receiver<Command>) {
    for command in commands {
        command(cluster);
    }
}

/// An embedded broker and what a client of it is made with, for the tests of those who read from Kafka.
#[cfg(test)]
pub(super) struct TestKafka {
    pub(super) broker: EmbeddedBroker,
    pub(super) settings: crate::settings::KafkaSettings,
    pub(super) vitals: std::sync::Arc<super::vitals::Vitals>,
}

#[cfg(test)]
impl TestKafka {
    /// A broker whose topics begin with `t.`.
    pub(super) fn start(partitions: i32) -> Self {
        let broker = EmbeddedBroker::start("t.", partitions).unwrap();
        let settings = crate::settings::KafkaSettings {
            bootstrap_servers: broker.bootstrap_servers().to_owned(),
            topic_prefix: "t.".to_owned(),
            create_topics: false,
            raw_topic: false,
            envelope: crate::event::envelope::Mode::Binary,
            properties: Vec::new(),
        };
        Self { broker, settings, vitals: std::sync::Arc::default() }
    }
}
