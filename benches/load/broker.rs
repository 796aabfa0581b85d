//! The broker under both programs, always a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};

use trunkline::publish::embedded::EmbeddedBroker;

use crate::kafka::{ClusterOptions, KafkaCluster};

/// As many as the program creates the topics of events with.
const PARTITIONS: i32 = 12;

/// A broker under load wants more than one of the tests.
const HEAP_MEGABYTES: usize = 1024;

/// Runs an embedded broker. It obeys the lines `down` and `up`, and ends with its input.
pub(crate) fn serve(topic_prefix: &str) {
    let broker = EmbeddedBroker::start(topic_prefix, PARTITIONS).unwrap();
    println!("{}", broker.bootstrap_servers());
    for line in std::io::stdin().lines() {
        match line.unwrap().as_str() {
            "down" => broker.go_down().unwrap(),
            "up" => broker.come_up().unwrap(),
            other => panic!("the broker does not know {other:?}"),
        }
        println!("done");
    }
}

/// An embedded broker in a process of its own.
#[derive(Debug)]
pub(crate) struct Embedded {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<std::process::ChildStdout>,
    pub(crate) bootstrap_servers: String,
}

impl Embedded {
    pub(crate) fn start(topic_prefix: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        command.args(["broker", topic_prefix]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let commands = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let bootstrap_servers = line(&mut answers);
        Self { child, commands, answers, bootstrap_servers }
    }

    /// Makes it unreachable.
    pub(crate) fn go_down(&mut self) {
        self.tell("down");
    }

    /// Makes it reachable again.
    pub(crate) fn come_up(&mut self) {
        self.tell("up");
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.commands.as_mut().unwrap(), "{command}").unwrap();
        assert_eq!(line(&mut self.answers), "done");
    }
}

fn line(answers: &mut BufReader<std::process::ChildStdout>) -> String {
    let mut line = String::new();
    answers.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.commands.take());
        self.child.wait().unwrap();
    }
}

/// Starts one broker of Apache Kafka.
pub(crate) fn start_kafka() -> KafkaCluster {
    KafkaCluster::start(ClusterOptions { heap_megabytes: HEAP_MEGABYTES, ..ClusterOptions::default() })
}
