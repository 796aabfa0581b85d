//! An event on its way: its record, whoever waits for it, and the memory it takes.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::dedup::{FactKey, Window};
use super::lane::Way;
use super::memory::Share;
use super::waking::ticket::Ticket;
use crate::event::envelope::Record;
use crate::event::kind::Kind;
use crate::event::time::Time;
use crate::request::Method;
use crate::settings::Policy;
use crate::spool::Row;
use crate::telemetry::metrics::{Metrics, Route, SourceMetrics};

/// Where a batch of records comes from, as far as their later fate may need it.
#[derive(Debug)]
pub struct Origin {
    /// Name of the source.
    pub source_name: Arc<str>,
    /// Name of the provider.
    pub provider: Cow<'static, str>,
    /// Method of the request.
    pub method: Method,
    /// Who sent it.
    pub remote_addr: Option<IpAddr>,
    /// When it was read.
    pub received_at: Time,
    /// What happens when Kafka does not acknowledge in time.
    pub policy: Policy,
    /// That time.
    pub ack_timeout: Duration,
    /// The source's metrics, if it is at work.
    pub metrics: Option<Arc<SourceMetrics>>,
}

impl Origin {
    /// What is left to know of an event that was read from the spool.
    fn of_row(source_name: &str, provider: Cow<'static, str>, received_at: Time) -> Self {
        Self {
            source_name: source_name.into(),
            provider,
            method: Method::Post,
            remote_addr: None,
            received_at,
            policy: Policy::Spool,
            ack_timeout: Duration::ZERO,
            metrics: None,
        }
    }
}

/// What is to be told when the event's fate is known.
#[derive(Debug)]
struct Waiter {
    /// `None` once the request was told to try again; the duplicate window still waits.
    ticket: Option<Arc<Ticket>>,
    kind: Option<Kind>,
    key: Option<FactKey>,
}

/// Those who wait for an event, until they are told. Kafka's client knows them too, so that an
/// acknowledgement reaches them even while somebody else is busy with the event's lane.
#[derive(Debug)]
pub(super) struct Audience {
    waiter: Mutex<Option<Waiter>>,
    metrics: Option<Arc<SourceMetrics>>,
}

impl Audience {
    fn lock(&self) -> MutexGuard<'_, Option<Waiter>> {
        self.waiter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The event is durable: the window first, so that whoever is woken finds it up to date. `None` as the route
    /// says that it was not published as the event that it is.
    pub(super) fn durable(&self, route: Option<Route>, window: &Window) {
        let Some(waiter) = self.lock().take() else { return };
        if let (Some(kind), Some(route), Some(source)) = (waiter.kind, route, &self.metrics) {
            source.events(kind, route).inc();
        }
        waiter.settle(true, window);
    }

    fn failed(&self, window: &Window) {
        let waiter = self.lock().take();
        waiter.into_iter().for_each(|waiter| waiter.settle(false, window));
    }

    fn stalled(&self, window: &Window) {
        let mut waiter = self.lock();
        let Some(waiter) = waiter.as_mut() else { return };
        if let Some(key) = waiter.key {
            window.stall(key);
        }
        if let Some(ticket) = waiter.ticket.take() {
            ticket.settle(false);
        }
    }
}

impl Waiter {
    fn settle(self, durable: bool, window: &Window) {
        if let Some(key) = self.key {
            window.settle(key, durable);
        }
        if let Some(ticket) = self.ticket {
            ticket.settle(durable);
        }
    }
}

/// Hears once whether a dead letter is durable.
pub(super) struct Report(Box<dyn FnOnce(bool) + Send + Sync>);

impl Report {
    pub(super) fn new(hear: impl FnOnce(bool) + Send + Sync + 'static) -> Self {
        Self(Box::new(hear))
    }
}

impl std::fmt::Debug for Report {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Report")
    }
}

/// An event on its way. It is handed on boxed, since it passes through many hands.
#[derive(Debug)]
pub(super) struct Parcel {
    record: Option<(Record, Option<Share>)>,
    audience: Option<Arc<Audience>>,
    /// Of a dead letter: to the lane of the event that it stands for.
    report: Option<Report>,
    is_event: bool,
    pub(super) policy: Policy,
    pub(super) origin: Arc<Origin>,
}

impl Parcel {
    /// An event that a request waits for.
    pub(super) fn new(record: Record, memory: Share, ticket: Arc<Ticket>, origin: Arc<Origin>) -> Box<Self> {
        let waiter = Waiter { ticket: Some(ticket), kind: record.kind, key: record.identity };
        let audience = Audience { waiter: Mutex::new(Some(waiter)), metrics: origin.metrics.clone() };
        let is_event = record.kind.is_some();
        Box::new(Self {
            record: Some((record, Some(memory))),
            audience: Some(Arc::new(audience)),
            report: None,
            is_event,
            policy: origin.policy,
            origin,
        })
    }

    /// An event that was read from the spool.
    pub(super) fn of_row(row: Row) -> Box<Self> {
        let origin = Origin::of_row(&row.source_name, row.provider, row.received_at);
        let is_event = row.record.kind.is_some();
        let record = Some((row.record, None));
        Box::new(Self {
            record,
            audience: None,
            report: None,
            is_event,
            policy: Policy::Spool,
            origin: Arc::new(origin),
        })
    }

    /// A dead letter that stands for an event, whose lane is told what has become of it.
    pub(super) fn letter(record: Record, policy: Policy, origin: Arc<Origin>, report: Report) -> Box<Self> {
        let record = Some((record, None));
        Box::new(Self { record, audience: None, report: Some(report), is_event: false, policy, origin })
    }

    /// Whether it is an event, and no dead letter, raw request or mark.
    pub(super) fn is_event(&self) -> bool {
        self.is_event
    }

    pub(super) fn record(&self) -> Option<&Record> {
        self.record.as_ref().map(|(record, _)| record)
    }

    /// What it would count in the spool.
    pub(super) fn spool_bytes(&self) -> u64 {
        let origin = &self.origin;
        self.record().map_or(0, |record| Row::bytes_of(record, &origin.source_name, &origin.provider))
    }

    /// Gives the record away, to the spool.
    pub(super) fn take_row(&mut self, key_hash: u32) -> Option<(Row, Option<Share>)> {
        let (record, memory) = self.record.take()?;
        let source_name = self.origin.source_name.to_string();
        let provider = self.origin.provider.clone();
        let row = Row { record, key_hash, source_name, provider, received_at: self.origin.received_at };
        Some((row, memory))
    }

    /// Takes the record back, from a spool that could not keep it.
    pub(super) fn give_back(&mut self, row: Row, memory: Option<Share>) {
        self.record = Some((row.record, memory));
    }

    /// The event is durable.
    pub(super) fn durable(&mut self, way: Way, window: &Window, metrics: &Metrics) {
        match way {
            Way::Late => drop(metrics.late_acknowledgements.inc()),
            Way::Drained => drop(metrics.drained.inc()),
            Way::Live | Way::Spooled | Way::Buried => {}
        }
        if let Some(Report(hear)) = self.report.take() {
            hear(true);
        }
        if let Some(audience) = &self.audience {
            let route = match way {
                Way::Spooled => Some(Route::Spool),
                Way::Live | Way::Late | Way::Drained => Some(Route::Kafka),
                Way::Buried => None,
            };
            audience.durable(route, window);
        }
    }

    /// The event is gone.
    pub(super) fn failed(mut self, window: &Window) {
        if let Some(Report(hear)) = self.report.take() {
            hear(false);
        }
        if let Some(audience) = &self.audience {
            audience.failed(window);
        }
    }

    /// Nobody is to wait for it any longer, though it may become durable yet.
    pub(super) fn stalled(&mut self, window: &Window) {
        if let Some(audience) = &self.audience {
            audience.stalled(window);
        }
    }

    /// Those who wait for it.
    pub(super) fn audience(&self) -> Option<Arc<Audience>> {
        self.audience.clone()
    }
}
