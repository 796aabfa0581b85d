//! What a configuration means, once it holds.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use crate::event::envelope::Mode;
use crate::event::privacy::Privacy;
use crate::outbound::ClientSettings;
use crate::provider::api::Api;
use crate::provider::{Provider, ProviderInfo};
use crate::section::secret::Secret;
use crate::verify::Doors;

pub mod reconcile;
pub mod recordings;
pub mod subscriptions;

use reconcile::{PublishMissing, ReconcileOptions, ReconcileSettings};
use recordings::RecordingsOptions;
use subscriptions::SubscriptionsOptions;

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
    /// What comparisons with the providers' own lists have in common.
    pub reconcile: ReconcileSettings,
    /// How providers' APIs are reached.
    pub outbound: ClientSettings,
    /// Number of events remembered for telling duplicates; 0 switches that off.
    pub dedup_window: usize,
    /// The integrations.
    pub sources: Vec<Arc<Source>>,
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
    /// The provider's API, where the source has credentials for it.
    pub api: Option<Arc<dyn Api>>,
    /// What it accepts besides signatures.
    pub doors: Doors,
    /// The account's id, for `trunkline send`.
    pub account_id: Option<String>,
    /// The first signature secret, for `trunkline send`.
    pub signature_secret: Option<SecretString>,
    /// How the account signs, where the provider leaves a choice, for `trunkline send`.
    pub signature_method: Option<&'static str>,
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
    /// How the source is compared with the provider's own list; none where it is not.
    pub reconcile: Option<ReconcileOptions>,
    /// Where its recordings are copied to; none where they are not.
    pub recordings: Option<RecordingsOptions>,
    /// How its webhooks at the provider are kept complete; none where they are not.
    pub subscriptions: Option<SubscriptionsOptions>,
}

impl Source {
    /// What is done with rows that no webhook told. An API that tells of users whom the webhooks leave out would have
    /// calls billed that were not sold, so only those of known users are published unless it is said otherwise.
    pub fn publish_missing(&self) -> PublishMissing {
        let tells_of_more = self.api.as_ref().is_some_and(|api| api.tells_of_more_users());
        let default = if tells_of_more { PublishMissing::KnownUsers } else { PublishMissing::All };
        self.reconcile.as_ref().and_then(|options| options.publish_missing).unwrap_or(default)
    }
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
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let scheme = if self.server.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{address}")
    }

    /// The URL of the operators' server, for commands that ask it.
    pub fn admin_url(&self) -> String {
        admin_url(self.admin_listen)
    }
}

/// What happens to an event that Kafka does not acknowledge in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It goes to the spool.
    Spool,
    /// Its request fails. The provider repeats it.
    Strict,
}

/// The URL of the operators' server. An address that listens everywhere is asked on loopback.
pub fn admin_url(mut listen: SocketAddr) -> String {
    if listen.ip().is_unspecified() {
        listen.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{listen}")
}
