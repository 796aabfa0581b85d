//! From the tables of the configuration to [`Settings`].

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::event::country;
use ipnet::IpNet;
use secrecy::SecretString;
use toml::Table;

use super::Secret;
use super::section::{Report, Section};
use crate::event::envelope::Mode;
use crate::event::privacy::{HashKey, NamePolicy, NumberPolicy, Privacy, TextPolicy};
use crate::providers::{self, Provider, ProviderInfo, SourceOptions};
use crate::publish::lane::Policy;
use crate::verify::{Doors, UrlTokens};

/// A whole configuration that holds.
#[derive(Debug)]
pub struct Settings {
    /// The public receiver.
    pub server: ServerSettings,
    /// Where health and metrics are served.
    pub admin_listen: SocketAddr,
    /// The broker.
    pub kafka: KafkaSettings,
    /// The disk spool.
    pub spool: SpoolSettings,
    /// Number of events remembered for telling duplicates; 0 switches that off.
    pub dedup_window: usize,
    /// The integrations.
    pub sources: Vec<Source>,
}

/// The public receiver.
#[derive(Debug)]
pub struct ServerSettings {
    /// Address and port.
    pub listen: SocketAddr,
    /// The URL under which providers reach us.
    pub public_url: Option<String>,
    /// Certificate and key, where we end TLS ourselves.
    pub tls: Option<TlsFiles>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Time in which a head must have arrived, and a body have brought something worth while.
    pub read_timeout: Duration,
    /// Bodies that may be in memory at the same time, in bytes.
    pub max_in_flight_bytes: usize,
    /// Most connections, if the limit of open files allows them.
    pub max_connections: usize,
    /// Worker threads; 0 means one a processor.
    pub workers: usize,
    /// Time in which requests in flight may finish at a stop.
    pub shutdown_timeout: Duration,
}

/// Files in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// The broker.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// `host:port` of one or more brokers, separated by commas.
    pub bootstrap_servers: String,
    /// What every topic's name begins with.
    pub topic_prefix: String,
    /// Whether missing topics are created at start.
    pub create_topics: bool,
    /// Whether the exact authentic requests are published too.
    pub raw_topic: bool,
    /// Layout of the records.
    pub envelope: Mode,
    /// Properties for librdkafka.
    pub properties: Vec<(String, Secret)>,
}

/// The disk spool.
#[derive(Debug, Clone)]
pub struct SpoolSettings {
    /// Its directory, which is this process's alone.
    pub dir: PathBuf,
    /// What it may hold, in bytes.
    pub max_bytes: u64,
}

/// One integration.
#[derive(Debug)]
pub struct Source {
    /// Name in the URL and in every event.
    pub name: String,
    /// The provider.
    pub info: &'static ProviderInfo,
    /// The provider's side of this source.
    pub provider: Box<dyn Provider>,
    /// What it accepts besides signatures.
    pub doors: Doors,
    /// The account's id, for `trunkline send`.
    pub account_id: Option<String>,
    /// The first signature secret, for `trunkline send`.
    pub signature_secret: Option<SecretString>,
    /// Number of signature secrets and URL tokens, for the metric that tells which one matched.
    pub secrets: usize,
    /// The first URL token, for `trunkline send`.
    pub url_token: Option<SecretString>,
    /// What the events may carry.
    pub privacy: Privacy,
    /// Greatest body, before and after decompression.
    pub max_body_bytes: usize,
    /// Time in which Kafka must have acknowledged.
    pub ack_timeout: Duration,
    /// What happens after that time.
    pub on_kafka_down: Policy,
}

impl Settings {
    /// The URL under which the webhooks are reached, as far as the configuration tells: an address that
    /// listens everywhere is named as this machine.
    pub fn base_url(&self) -> String {
        if let Some(url) = &self.server.public_url {
            return url.clone();
        }
        let mut address = self.server.listen;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        let scheme = if self.server.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{address}")
    }
}

impl Settings {
    /// The URL of the operators' server, for commands that ask it. An address that listens everywhere is
    /// asked on loopback.
    pub fn admin_url(&self) -> String {
        let mut address = self.admin_listen;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        format!("http://{address}")
    }
}

const DAY_MS: i64 = 86_400_000;
const MAX_BODY: i64 = 1 << 30;
const DEFAULT_MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// Properties of librdkafka that decide over loss, order and memory, and why they are ours.
const OWNED_PROPERTIES: &[(&[&str], &str)] = &[
    (&["bootstrap.servers", "metadata.broker.list"], "it is kafka.bootstrap_servers"),
    (&["acks", "request.required.acks"], "200 is answered only for acks=all"),
    (&["enable.idempotence", "enable.gapless.guarantee"], "the producer is always idempotent, which keeps the order"),
    (&["partitioner"], "keys are placed as Java clients place them, by murmur2_random"),
    (
        &["message.timeout.ms", "delivery.timeout.ms"],
        "an event is never given up; kafka.ack_timeout_ms bounds the answer",
    ),
    (&["message.send.max.retries", "retries"], "an event is never given up"),
    (
        &["max.in.flight", "max.in.flight.requests.per.connection"],
        "more than 5 requests in flight would break the order",
    ),
    (
        &["queue.buffering.max.messages", "queue.buffering.max.kbytes"],
        "the memory of the producer is bounded by Trunkline",
    ),
    (&["queue.buffering.max.ms"], "write linger.ms instead"),
    (&["message.max.bytes"], "dead letters need 16 MiB"),
    (&["transactional.id"], "Trunkline publishes without transactions"),
    (&["delivery.report.only.error"], "every acknowledgement is needed"),
    (
        &["allow.auto.create.topics"],
        "a topic that a broker makes by itself has the broker's defaults; kafka.create_topics makes them as they should be",
    ),
];

/// Resolves everything; `None` only if something that cannot be defaulted is missing.
pub(super) fn resolve(table: Table, report: &Report<'_>) -> Option<Settings> {
    let mut root = Section::root(table, report);
    let (server, max_body_bytes) = server(root.section("server"));
    let admin_listen = admin(root.section("admin"));
    let (kafka, ack_timeout_ms) = kafka(root.section("kafka"));
    let spool = spool(root.section("spool"));
    let dedup_window = dedup(root.section("dedup"));
    let privacy = privacy(root.section("privacy"), "[privacy]", &Privacy::default());
    let defaults = SourceDefaults { max_body_bytes, ack_timeout_ms, privacy };
    let sources = sources(&mut root, &defaults);
    root.finish();
    Some(Settings { server, admin_listen, kafka: kafka?, spool, dedup_window, sources })
}

fn server(mut section: Section<'_>) -> (ServerSettings, Option<usize>) {
    section.heading("[server]");
    let settings = ServerSettings {
        listen: section.parsed_or(
            "listen",
            SocketAddr::from(([0, 0, 0, 0], 8080)),
            "an address and port such as 0.0.0.0:8080",
        ),
        public_url: public_url(&mut section),
        trusted_proxies: networks(&mut section, "trusted_proxies"),
        read_timeout: Duration::from_millis(section.number_or("read_timeout_ms", 10_000, 100..=600_000)),
        max_in_flight_bytes: section.number_or("max_in_flight_bytes", 256 << 20, 1..=1 << 40),
        max_connections: section.number_or("max_connections", 4096, 16..=1_000_000),
        workers: section.number_or("workers", 0, 0..=512),
        shutdown_timeout: Duration::from_millis(section.number_or("shutdown_timeout_ms", 15_000, 0..=600_000)),
        tls: None,
    };
    let max_body_bytes = section.number("max_body_bytes", 1..=MAX_BODY);
    let tls = section.section_if_present("tls").and_then(tls);
    section.finish();
    (ServerSettings { tls, ..settings }, max_body_bytes)
}

fn public_url(section: &mut Section<'_>) -> Option<String> {
    let url = section.text("public_url")?;
    if !url.starts_with("https://") && !url.starts_with("http://") {
        section.problem("public_url", "expected a URL such as \"https://hooks.example.com\"".to_owned());
    }
    Some(url.trim_end_matches('/').to_owned())
}

fn tls(mut section: Section<'_>) -> Option<TlsFiles> {
    section.heading("[server.tls]");
    let mut file = |key| {
        let path = section.text(key).map(PathBuf::from);
        if path.is_none() {
            section.problem(key, "is missing; TLS needs `cert` and `key`, both files in PEM".to_owned());
        }
        path
    };
    let (cert, key) = (file("cert"), file("key"));
    section.finish();
    Some(TlsFiles { cert: cert?, key: key? })
}

/// Networks in CIDR notation; a bare address is a network of one.
fn networks(section: &mut Section<'_>, key: &'static str) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for text in section.list(key) {
        match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
            Ok(network) => networks.push(network),
            Err(_) => section.problem(key, format!("{text:?} is not a network such as \"203.0.113.0/24\"")),
        }
    }
    networks
}

fn admin(mut section: Section<'_>) -> SocketAddr {
    section.heading("[admin]");
    let listen = section.parsed_or(
        "listen",
        SocketAddr::from(([127, 0, 0, 1], 9100)),
        "an address and port such as 127.0.0.1:9100",
    );
    section.finish();
    listen
}

fn kafka(mut section: Section<'_>) -> (Option<KafkaSettings>, i64) {
    section.heading("[kafka]");
    let bootstrap_servers = section.text_or("bootstrap_servers", "localhost:9092");
    let topic_prefix = topic_prefix(&mut section);
    let create_topics = section.flag_or("create_topics", true);
    let raw_topic = section.flag_or("raw_topic", false);
    let ack_timeout_ms = section.number_or("ack_timeout_ms", 500, 1..=DAY_MS);
    let envelope = section.choice_or_first("envelope", &[("binary", Mode::Binary), ("structured", Mode::Structured)]);
    let properties = section.section_if_present("properties").map(properties).unwrap_or_default();
    section.finish();
    let settings = KafkaSettings { bootstrap_servers, topic_prefix, create_topics, raw_topic, envelope, properties };
    (Some(settings), ack_timeout_ms)
}

fn topic_prefix(section: &mut Section<'_>) -> String {
    let prefix = section.text_or("topic_prefix", "telecom.");
    let legal = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if prefix.len() > 200 || !prefix.chars().all(legal) {
        section.problem("topic_prefix", "Kafka allows letters, digits, `.`, `_` and `-` in a topic's name".to_owned());
    }
    prefix
}

fn properties(mut section: Section<'_>) -> Vec<(String, Secret)> {
    section.heading("[kafka.properties]");
    let properties = section.remaining_as_secrets();
    for (name, _) in &properties {
        let owned = OWNED_PROPERTIES.iter().find(|(names, _)| names.contains(&name.as_str()));
        if let Some((_, reason)) = owned {
            section.problem(name, format!("is set by Trunkline: {reason}; remove it"));
        }
    }
    section.finish();
    properties
}

fn spool(mut section: Section<'_>) -> SpoolSettings {
    section.heading("[spool]");
    let dir = PathBuf::from(section.text_or("dir", "./data/spool"));
    let max_bytes = section.number_or("max_bytes", 1_073_741_824_u64, 1..=i64::MAX);
    section.finish();
    SpoolSettings { dir, max_bytes }
}

fn dedup(mut section: Section<'_>) -> usize {
    section.heading("[dedup]");
    let window = section.number_or("window", 100_000, 0..=100_000_000);
    section.finish();
    window
}

fn privacy(mut section: Section<'_>, heading: &str, inherited: &Privacy) -> Privacy {
    section.heading(heading);
    let texts = [("drop", TextPolicy::Drop), ("keep", TextPolicy::Keep), ("hash", TextPolicy::Hash)];
    let numbers = [
        ("keep", NumberPolicy::Keep),
        ("mask", NumberPolicy::Mask),
        ("hash", NumberPolicy::Hash),
        ("drop", NumberPolicy::Drop),
    ];
    let names = [("keep", NamePolicy::Keep), ("drop", NamePolicy::Drop)];
    let key = section.secret("hash_key");
    let privacy = Privacy {
        message_text: inheriting(&mut section, "message_text", &texts, inherited.message_text),
        numbers: inheriting(&mut section, "numbers", &numbers, inherited.numbers),
        names: inheriting(&mut section, "names", &names, inherited.names),
        hash_key: key.as_ref().and_then(|key| HashKey::new(&key.value)).or_else(|| inherited.hash_key.clone()),
        region: inherited.region,
    };
    let hashes = privacy.message_text == TextPolicy::Hash || privacy.numbers == NumberPolicy::Hash;
    if hashes && privacy.hash_key.is_none() {
        section.problem(
            "hash_key",
            "is missing, and \"hash\" needs it; write for instance \"env:TRUNKLINE_HASH_KEY\"".to_owned(),
        );
    }
    if key.is_some_and(|key| key.len() < 16) {
        section.problem("hash_key", "is shorter than 16 bytes; a short key can be found by trying".to_owned());
    }
    section.finish();
    privacy
}

/// A switch, or what it inherits. The inherited choice is put first, where the default is.
fn inheriting<T: Copy + PartialEq>(
    section: &mut Section<'_>,
    key: &'static str,
    choices: &[(&'static str, T)],
    inherited: T,
) -> T {
    let mut choices = choices.to_vec();
    choices.sort_by_key(|(_, value)| *value != inherited);
    section.choice_or_first(key, &choices)
}

struct SourceDefaults {
    max_body_bytes: Option<usize>,
    ack_timeout_ms: i64,
    privacy: Privacy,
}

fn sources(root: &mut Section<'_>, defaults: &SourceDefaults) -> Vec<Source> {
    let sections = root.sections("sources");
    if sections.is_empty() {
        let mend = "add a [[sources]] block (see `trunkline providers`) to ./trunkline.toml or the file that --config \
                    names; `trunkline dev` needs none";
        root.problem("sources", format!("there is none; {mend}"));
    }
    let mut names = HashSet::new();
    let mut sources = Vec::new();
    for section in sections {
        sources.extend(source(section, defaults, &mut names));
    }
    sources
}

fn source(mut section: Section<'_>, defaults: &SourceDefaults, names: &mut HashSet<String>) -> Option<Source> {
    section.heading("[[sources]]");
    let name = source_name(&mut section, names);
    let Some(info) = source_provider(&mut section) else {
        // The provider decides which other keys there are, so nothing more can be said of this block.
        return None;
    };
    let account_id = section.text("account_id");
    let secrets = section.secrets("signature_secrets");
    let tokens = section.secrets("url_tokens");
    let open = section.choice("verification", &[("none", ())]).is_some();
    check_doors(&section, info, &secrets, &tokens, open, account_id.as_deref());
    let values = |secrets: &[Secret]| secrets.iter().map(|secret| secret.value.clone()).collect::<Vec<_>>();
    let options = SourceOptions {
        name: name.clone().unwrap_or_default(),
        account_id: account_id.clone(),
        signature_secrets: values(&secrets),
        region: region(&mut section),
    };
    let doors = Doors {
        url_tokens: UrlTokens::new(&values(&tokens), secrets.len()),
        open,
        allowed_ips: networks(&mut section, "allowed_ips"),
        account_id: account_id.clone(),
    };
    let max_body_bytes = match info.max_body_bytes {
        // A provider that needs more than others keeps that, unless its own source says otherwise.
        larger if larger > DEFAULT_MAX_BODY_BYTES => larger,
        _ => defaults.max_body_bytes.unwrap_or(DEFAULT_MAX_BODY_BYTES),
    };
    let max_body_bytes = section.number_or("max_body_bytes", max_body_bytes, 1..=MAX_BODY);
    let ack_timeout_ms = section.number_or("ack_timeout_ms", defaults.ack_timeout_ms, 1..=DAY_MS);
    let on_kafka_down =
        section.choice_or_first("on_kafka_down", &[("spool", Policy::Spool), ("strict", Policy::Strict)]);
    let provider = (info.configure)(&options, &mut section);
    let own_privacy = section.section_if_present("privacy");
    section.finish();
    let privacy = own_privacy
        .map_or_else(|| defaults.privacy.clone(), |section| privacy(section, "[sources.privacy]", &defaults.privacy));
    Some(Source {
        name: name?,
        info,
        provider,
        doors,
        account_id,
        signature_secret: secrets.first().map(|secret| secret.value.clone()),
        secrets: secrets.len() + tokens.len(),
        url_token: tokens.first().map(|secret| secret.value.clone()),
        privacy: Privacy { region: options.region, ..privacy },
        max_body_bytes,
        ack_timeout: Duration::from_millis(u64::try_from(ack_timeout_ms).unwrap_or_default()),
        on_kafka_down,
    })
}

fn source_name(section: &mut Section<'_>, names: &mut HashSet<String>) -> Option<String> {
    let Some(name) = section.text("name") else {
        section.problem("name", "is missing; it is part of the webhook's URL".to_owned());
        return None;
    };
    let legal = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if name.len() > 64 || !name.chars().all(legal) || name.starts_with('.') {
        section.problem(
            "name",
            "may have letters, digits, `.`, `_` and `-`, 64 at most, and not begin with `.`".to_owned(),
        );
        return None;
    }
    if !names.insert(name.clone()) {
        section.problem("name", format!("{name:?} is the name of another source; each needs its own"));
        return None;
    }
    Some(name)
}

fn source_provider(section: &mut Section<'_>) -> Option<&'static ProviderInfo> {
    let known = || providers::PROVIDERS.iter().map(|info| info.name).collect::<Vec<_>>().join(", ");
    let Some(name) = section.text("provider") else {
        section.problem("provider", format!("is missing; the providers are: {}", known()));
        return None;
    };
    let info = providers::find(&name);
    if info.is_none() {
        section.problem("provider", format!("{name:?} is not known; the providers are: {}", known()));
    }
    info
}

/// A source that checks nothing has to say so.
fn check_doors(
    section: &Section<'_>,
    info: &ProviderInfo,
    secrets: &[Secret],
    tokens: &[Secret],
    open: bool,
    account_id: Option<&str>,
) {
    let closed = !secrets.is_empty() || !tokens.is_empty();
    let key = info.secret_key();
    if !closed && !open && !section.has_problem(key) {
        let mend = format!("give it {key}, or write verification = \"none\" to accept everything from everybody");
        section.problem(key, format!("the source verifies nothing; {mend}"));
    }
    if closed && open {
        section.problem(
            "verification",
            "\"none\" contradicts signature_secrets and url_tokens; remove one or the other".to_owned(),
        );
    }
    if open {
        section.warning("verification", "\"none\": everybody who knows the URL can publish events".to_owned());
    }
    if !info.signs && !secrets.is_empty() {
        section.problem("signature_secrets", format!("{} signs nothing; use url_tokens", info.title));
    }
    if info.signs && account_id.is_none() && (open || !tokens.is_empty()) {
        section.warning(
            "account_id",
            "is missing; unsigned requests name no account and are refused without it".to_owned(),
        );
    }
    for (key, secret) in secrets
        .iter()
        .map(|secret| ("signature_secrets", secret))
        .chain(tokens.iter().map(|token| ("url_tokens", token)))
    {
        if secret.len() < 16 {
            section.warning(key, format!("the secret from {} is shorter than 16 bytes", secret.origin));
        }
    }
}

fn region(section: &mut Section<'_>) -> Option<country::Id> {
    let known = section.parsed("default_region", "an ISO 3166-1 code of two letters such as \"GB\"");
    known.map(|country::Known(country)| country)
}
