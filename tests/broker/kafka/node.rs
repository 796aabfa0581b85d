//! One Kafka node: its ports, its files and its process.

use std::{
    fmt::Write as _,
    fs,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io,
    net::TcpListener,
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{ClusterOptions, locate::Runtime, probe, process::Process};

/// Any 16 bytes in base64 will do; the clusters of the tests never meet.
const CLUSTER_ID: &str = "dHJ1bmtsaW5lLXRlc3RzLg";

const LOG4J_CONFIGURATION: &str = include_str!("../log4j2.properties");
const LOG_TAIL_LINES: usize = 40;

/// Below the ports that Linux gives to outgoing connections. A client that keeps trying to reach a
/// stopped broker could else be given the broker's own port, connect to itself, and keep the broker
/// from starting again.
const PORTS: Range<u64> = 20_000..32_000;

/// How clients are let in; each kind in use is a listener with a port of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    Plaintext,
    SaslPlaintext,
}

impl Security {
    /// Kafka's word for it, which serves as the listener's name too.
    fn protocol(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
        }
    }
}

/// The ports of one node.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    clients: Vec<(Security, u16)>,
    controller: u16,
}

impl Endpoints {
    pub(super) fn free(with_sasl: bool) -> Self {
        let mut clients = vec![(Security::Plaintext, free_port())];
        if with_sasl {
            clients.push((Security::SaslPlaintext, free_port()));
        }
        Self { clients, controller: free_port() }
    }

    fn port(&self, security: Security) -> Option<u16> {
        let client = self.clients.iter().find(|(kind, _)| *kind == security);
        client.map(|(_, port)| *port)
    }

    fn listeners(&self) -> Vec<String> {
        let listener = |(kind, port): &(Security, u16)| format!("{}://127.0.0.1:{port}", kind.protocol());
        self.clients.iter().map(listener).collect()
    }

    fn protocol_map(&self) -> Vec<String> {
        let entry = |(kind, _): &(Security, u16)| format!("{0}:{0}", kind.protocol());
        self.clients.iter().map(entry).collect()
    }
}

/// Looks for a port that nobody listens on, and gives none twice within this process until all were
/// given.
pub(crate) fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU64> = OnceLock::new();
    // The start is random so that test processes side by side do not try the same ports.
    let next = NEXT.get_or_init(|| AtomicU64::new(RandomState::new().build_hasher().finish()));
    let count = PORTS.end - PORTS.start;
    (0..count)
        .map(|_| PORTS.start + next.fetch_add(1, Ordering::Relaxed) % count)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a port is free on loopback")
}

/// A node and, while it runs, its process.
#[derive(Debug)]
pub(super) struct Node {
    id: i32,
    endpoints: Endpoints,
    dir: PathBuf,
    process: Option<Process>,
    paused: bool,
}

impl Node {
    /// Writes the files of a node that is still to be formatted.
    pub(super) fn create(id: usize, all: &[Endpoints], options: &ClusterOptions, dir: &Path) -> Self {
        let endpoints = all[id].clone();
        let dir = dir.join(format!("broker-{id}"));
        fs::create_dir(&dir).expect("the folder of a broker can be made");
        let id = i32::try_from(id).expect("a few brokers");
        let node = Self { id, endpoints, dir, process: None, paused: false };
        node.write("log4j2.properties", LOG4J_CONFIGURATION);
        node.write("server.properties", &node.properties(all, options));
        node
    }

    pub(super) fn id(&self) -> i32 {
        self.id
    }

    /// Gives a property another value from the next start on.
    pub(super) fn set_property(&self, name: &str, value: &str) {
        let text = fs::read_to_string(self.dir.join("server.properties")).expect("the file is there");
        self.write("server.properties", &format!("{text}{name}={value}\n"));
    }

    /// Lets the harness's own value of a property hold from the next start on.
    pub(super) fn drop_property(&self, name: &str) {
        let text = fs::read_to_string(self.dir.join("server.properties")).expect("the file is there");
        let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
        let given = text.lines().rfind(is_it).expect("the property was given").to_owned();
        self.write("server.properties", &text.replace(&format!("{given}\n"), ""));
    }

    /// Whether the log of a partition is there; that of a deleted one has another name at once.
    pub(super) fn has_log_of(&self, topic: &str, partition: i32) -> bool {
        self.dir.join("data").join(format!("{topic}-{partition}")).exists()
    }

    pub(super) fn address(&self, security: Security) -> Option<String> {
        self.endpoints.port(security).map(|port| format!("127.0.0.1:{port}"))
    }

    pub(super) fn port(&self, security: Security) -> Option<u16> {
        self.endpoints.port(security)
    }

    /// Whether it runs and is not paused, and so should answer.
    pub(super) fn is_active(&self) -> bool {
        self.process.is_some() && !self.paused
    }

    /// Whether its process ended and nobody told it to.
    pub(super) fn has_died(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::has_exited)
    }

    pub(super) fn answers(&self) -> bool {
        self.endpoints.clients.iter().all(|(_, port)| probe::check_answers(*port).is_ok())
    }

    pub(super) fn members_it_sees(&self) -> io::Result<Vec<i32>> {
        let port = self.endpoints.port(Security::Plaintext).ok_or(io::ErrorKind::NotFound)?;
        probe::live_brokers(port)
    }

    pub(super) fn start_format(&self, runtime: &Runtime) -> Child {
        self.java(runtime, &self.container_name("format"), "-Xmx128m")
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
            .arg(self.dir.join("server.properties"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the storage tool of Kafka can be started")
    }

    pub(super) fn spawn(&mut self, runtime: &'static Runtime, heap_megabytes: usize) {
        assert!(self.process.is_none(), "broker {} runs already", self.id);
        let container = self.container_name("broker");
        let mut command = self.java(runtime, &container, &format!("-Xmx{heap_megabytes}m"));
        command.arg("kafka.Kafka").arg(self.dir.join("server.properties"));
        self.process = Some(Process::spawn(command, runtime, container, &self.log_path()));
        self.paused = false;
    }

    pub(super) fn take_process(&mut self) -> Process {
        let process = self.process.take();
        process.unwrap_or_else(|| panic!("broker {} does not run", self.id))
    }

    pub(super) fn pause(&mut self) {
        self.running().signal("STOP");
        self.paused = true;
    }

    pub(super) fn resume(&mut self) {
        self.running().signal("CONT");
        self.paused = false;
    }

    /// The end of the log, under a heading, for the message of a panic.
    pub(super) fn log_tail(&self) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
        format!("\n--- end of the log of broker {}\n{}", self.id, tail.join("\n"))
    }

    fn running(&mut self) -> &mut Process {
        let process = self.process.as_mut();
        process.unwrap_or_else(|| panic!("broker {} does not run", self.id))
    }

    fn java(&self, runtime: &Runtime, container: &str, heap: &str) -> Command {
        let log4j2 = self.dir.join("log4j2.properties");
        let logging = format!("-Dlog4j2.configurationFile={}", log4j2.display());
        let mut command = runtime.java(&self.dir, container);
        command.args([heap, "-XX:+UseSerialGC", &logging]);
        command.args(["-cp", runtime.class_path()]);
        command
    }

    /// Names a container so that neither another cluster nor an earlier life of this broker has the
    /// same name.
    fn container_name(&self, role: &str) -> String {
        static LAUNCHES: AtomicU64 = AtomicU64::new(0);
        let launch = LAUNCHES.fetch_add(1, Ordering::Relaxed);
        format!("trunkline-{role}-{}-{}-{launch}", self.id, std::process::id())
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("broker.log")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.join(name), text).expect("the files of a broker can be written");
    }

    fn properties(&self, all: &[Endpoints], options: &ClusterOptions) -> String {
        let mut properties = self.identity(all);
        properties.extend(behaviour(all.len()));
        properties.extend(options.sasl_plain.iter().flat_map(|(user, password)| sasl_plain(user, password)));
        properties.extend(options.properties.iter().cloned());
        let mut text = String::new();
        for (name, value) in properties {
            // Of a name that comes twice the last value holds, and a backslash needs another one.
            let value = value.replace('\\', r"\\");
            writeln!(text, "{name}={value}").expect("a String takes all text");
        }
        text
    }

    fn identity(&self, all: &[Endpoints]) -> Vec<(String, String)> {
        let voters: Vec<String> =
            (0..).zip(all).map(|(id, node): (usize, _)| format!("{id}@127.0.0.1:{}", node.controller)).collect();
        let clients = self.endpoints.listeners().join(",");
        let controller = format!("CONTROLLER://127.0.0.1:{}", self.endpoints.controller);
        let listeners = format!("{clients},{controller}");
        let protocols = self.endpoints.protocol_map().join(",") + ",CONTROLLER:PLAINTEXT";
        let data = self.dir.join("data").display().to_string();
        own([
            ("process.roles", "broker,controller"),
            ("node.id", &self.id.to_string()),
            ("controller.quorum.voters", &voters.join(",")),
            ("controller.listener.names", "CONTROLLER"),
            ("inter.broker.listener.name", Security::Plaintext.protocol()),
            ("listeners", &listeners),
            ("advertised.listeners", &clients),
            ("listener.security.protocol.map", &protocols),
            ("log.dirs", &data),
        ])
    }
}

/// Small, quick to fail over, and as strict about durability as a cluster of this size can be.
fn behaviour(brokers: usize) -> Vec<(String, String)> {
    let copies = brokers.min(3).to_string();
    let in_sync = if brokers < 3 { "1" } else { "2" };
    own([
        ("default.replication.factor", &copies),
        ("min.insync.replicas", in_sync),
        ("offsets.topic.replication.factor", &copies),
        ("offsets.topic.num.partitions", "1"),
        ("transaction.state.log.replication.factor", &copies),
        ("transaction.state.log.min.isr", in_sync),
        ("transaction.state.log.num.partitions", "1"),
        ("unclean.leader.election.enable", "false"),
        ("controlled.shutdown.enable", "true"),
        ("auto.create.topics.enable", "false"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("broker.heartbeat.interval.ms", "500"),
        ("broker.session.timeout.ms", "3000"),
        ("replica.lag.time.max.ms", "3000"),
        // Else a paused controller keeps the other brokers waiting for half a minute, in which its
        // successor hears nothing from them and takes the whole cluster for dead.
        ("replica.socket.timeout.ms", "3000"),
        ("controller.socket.timeout.ms", "3000"),
    ])
}

fn sasl_plain(user: &str, password: &str) -> Vec<(String, String)> {
    let quoted = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"");
    let module = "org.apache.kafka.common.security.plain.PlainLoginModule";
    let login = format!(r#"{module} required user_{user}="{}";"#, quoted(password));
    let setting = "listener.name.sasl_plaintext.plain.sasl.jaas.config";
    own([("sasl.enabled.mechanisms", "PLAIN"), (setting, &login)])
}

fn own<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Waits for a format that was started, which writes a few files and takes about a second.
pub(super) fn finish_format(format: Child) -> Result<(), String> {
    let output = format.wait_with_output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("its storage tool failed: {}", String::from_utf8_lossy(&said)))
}
