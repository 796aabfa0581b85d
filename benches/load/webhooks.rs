//! What is sent: each provider's typical webhook, by the simulators that `trunkline send` uses.

use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use trunkline::event::time::Time;
use trunkline::provider::simulate::{Credentials, Encoding, Seed, SignedRequest, Signing};
use trunkline::providers;

/// The secret of every source, or the token that ends its URL. It is invented.
pub(crate) const SECRET: &str = "an-invented-benchmark-secret";

/// A request as the load generator sends it.
pub(crate) type Prepared = Request<Full<Bytes>>;

/// One sort of webhook.
#[derive(Debug)]
pub(crate) struct Webhook {
    /// Name in `BENCH_WEBHOOKS` and in the table.
    pub(crate) name: &'static str,
    pub(crate) provider: &'static str,
    simulation: &'static str,
    encoding: Encoding,
    /// Records in a body.
    pub(crate) records: usize,
}

/// Every sort, in the order of the table.
pub(crate) static ALL: [Webhook; 8] = [
    json("vonage-status", "vonage", "message-status", 1),
    Webhook { encoding: Encoding::Get, ..json("vonage-sms", "vonage", "sms-dlr", 1) },
    Webhook { encoding: Encoding::Form, ..json("vonage-sms-form", "vonage", "sms-dlr", 1) },
    json("vonage-voice", "vonage", "voice", 1),
    Webhook { encoding: Encoding::Form, ..json("telphin-event", "telphin", "answer", 1) },
    json("webex-1", "webex", "cdr", 1),
    json("webex-10", "webex", "cdr", 10),
    json("webex-250", "webex", "cdr", 250),
];

const fn json(name: &'static str, provider: &'static str, simulation: &'static str, records: usize) -> Webhook {
    Webhook { name, provider, simulation, encoding: Encoding::Json, records }
}

/// The account of every source. Vonage's signatures name it too.
const ACCOUNT: &str = "abcd1234";

pub(crate) fn find(name: &str) -> &'static Webhook {
    let found = ALL.iter().find(|webhook| webhook.name == name);
    found
        .unwrap_or_else(|| panic!("there is no webhook {name}; there are {:?}", ALL.each_ref().map(|known| known.name)))
}

impl Webhook {
    /// Signs one that was never sent before.
    pub(crate) fn sign(&self) -> SignedRequest {
        static INDEX: AtomicU64 = AtomicU64::new(0);
        let info = providers::find(self.provider).unwrap();
        let simulation = info.simulation(self.simulation).unwrap();
        let now = Time::now();
        let seed = Seed {
            id: uuid::Uuid::new_v4().to_string(),
            account_id: ACCOUNT.to_owned(),
            now,
            index: INDEX.fetch_add(1, Ordering::Relaxed),
            records: self.records,
            shape: String::new(),
        };
        let encoding = self.encoding;
        let signing = Signing { credentials: &Credentials::new(ACCOUNT, SECRET), url: "", now, encoding };
        simulation.request(&signing, &(simulation.bodies)(&seed).remove(0))
    }

    /// Whether it has parameters, in a form or in a query, instead of JSON.
    pub(crate) fn has_parameters(&self) -> bool {
        self.encoding != Encoding::Json
    }

    /// Whether the records of so many requests fit the producer's queue, which is 64 MiB; more are answered
    /// 503 at once, and that is not what is measured.
    pub(crate) fn fits(&self, connections: usize) -> bool {
        self.records * connections <= MAX_RECORDS
    }

    /// Path and query of the webhook's URL.
    fn target(&self, signed: &SignedRequest) -> String {
        let token = signed.url_token.as_ref().map(|token| format!("/{token}")).unwrap_or_default();
        let query = if signed.query.is_empty() { String::new() } else { format!("?{}", signed.query) };
        format!("/webhooks/{}{token}{query}", self.provider)
    }

    /// Makes so many requests, on all processors.
    pub(crate) fn prepare(&self, count: usize) -> Vec<Prepared> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        std::thread::scope(|scope| {
            let make = || (0..count.div_ceil(threads)).map(|_| self.request()).collect::<Vec<_>>();
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(make)).collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
        })
    }

    fn request(&self) -> Prepared {
        let signed = self.sign();
        let builder = Request::builder().method(signed.method.as_str()).uri(self.target(&signed));
        let request = builder.header("host", "127.0.0.1");
        let request = signed.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        request.body(Full::new(signed.body.into())).unwrap()
    }

    /// A configuration file with a source for this webhook. An answer never has to do with the spool
    /// unless Kafka hangs, so that the figures are those of Kafka.
    pub(crate) fn configuration(&self, place: &Place<'_>) -> String {
        let info = providers::find(self.provider).unwrap();
        let Place { webhooks, admin, bootstrap_servers, topic_prefix, spool, linger_ms } = place;
        let linger = linger_ms.map(|linger_ms| format!("\"linger.ms\" = \"{linger_ms}\"\n")).unwrap_or_default();
        format!(
            "[server]\nlisten = \"{webhooks}\"\n[admin]\nlisten = \"{admin}\"\n[spool]\ndir = {spool:?}\n\
             max_bytes = 34359738368\n[kafka]\nbootstrap_servers = \"{bootstrap_servers}\"\n\
             topic_prefix = \"{topic_prefix}\"\nack_timeout_ms = {ACK_TIMEOUT_MS}\n[kafka.properties]\n{linger}\
             [[sources]]\nname = \"{name}\"\nprovider = \"{name}\"\naccount_id = \"{ACCOUNT}\"\n\
             {secrets} = [\"env:BENCH_SECRET\"]\non_kafka_down = \"spool\"\n",
            name = self.provider,
            secrets = info.secret_key(),
        )
    }
}

/// A call record takes less than 4 KiB.
const MAX_RECORDS: usize = 16_384;

/// Longer than a busy machine makes any acknowledgement wait.
const ACK_TIMEOUT_MS: u32 = 5000;

/// What is around a service.
#[derive(Debug)]
pub(crate) struct Place<'p> {
    pub(crate) webhooks: &'p str,
    pub(crate) admin: &'p str,
    pub(crate) bootstrap_servers: &'p str,
    pub(crate) topic_prefix: &'p str,
    pub(crate) spool: &'p str,
    pub(crate) linger_ms: Option<f64>,
}
