//! Sources that are compared by schedule, by whichever of several processes Kafka has given them to.
//!
//! The processes are members of a consumer group on the state topic. Whoever is given the partition of a source goes on
//! from the cursors that lie in it, and compares what is due: at once, then at the source's own times. A process
//! that has lost a source drops what it was doing. What it had written is true, and what it had not is done again.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thiserror::Error;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use ulid::Ulid;

mod agent;
mod chores;
mod settled;
mod stream;
mod telling;

use self::agent::{Agent, Order};
use super::cursor::Cursor;
use super::ownership::{CURSORS, Change, Ownership, place_of};
use super::schedule::Timing;
use super::standing::{self, Board, StreamStanding};
use super::tools::{SourceTools, Tools, ToolsError};
use crate::event::time::Time;
use crate::outbound::Sleep;
use crate::provider::api::StreamInfo;
use crate::publish::Publisher;
use crate::publish::client::StartError;
use crate::publish::membership::{Joining, Membership, News};
use crate::publish::state::StateView;
use crate::settings::{Settings, Source};
use crate::telemetry::metrics::Metrics;

/// What failed for a moment is tried again after so long.
const RETRY_S: i64 = 60;

/// Tells the time. Tests have one that they turn.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// The clock of the machine.
pub fn real_clock() -> Clock {
    Arc::new(Time::now)
}

/// Why nothing is compared by schedule.
#[derive(Debug, Error)]
pub enum ReconcilersError {
    /// A source asks for what its provider does not have.
    #[error("{0:?} is nothing that the provider is asked for")]
    NoStream(String),
    /// A stream can not be read at the ages that are configured.
    #[error("{source_name}: {stream}: {faults}")]
    Ages {
        /// The source.
        source_name: String,
        /// The stream.
        stream: &'static str,
        /// What is wrong.
        faults: String,
    },
    /// It can not be compared.
    #[error(transparent)]
    Tools(#[from] ToolsError),
    /// No client of Kafka.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Why a source was not told to sweep.
#[derive(Debug, PartialEq, Eq)]
pub enum NotSwept {
    /// There is no such source, or it is not compared by schedule.
    Unknown,
    /// Another process compares it: the one of this id, if it has ever written anything.
    Elsewhere(Option<String>),
}

/// One source's place in the service.
struct Desk {
    source_name: Arc<str>,
    tools: SourceTools,
    streams: Vec<(&'static StreamInfo, Timing)>,
    every_s: u32,
    board: Board,
    instance: Arc<str>,
    clock: Clock,
    view: Arc<StateView>,
    public_url: Option<String>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Desk").field(&self.source_name).finish()
    }
}

/// A provider whose clock is further behind ours than this tells of no time that is not over by its own.
const SKEW_S: i64 = 300;

impl Desk {
    /// The time; by the provider's clock, if that is far behind ours.
    fn now(&self) -> Time {
        let (ours, theirs) = ((self.clock)(), Time::now().plus_s(self.tools.line().clock_skew_s()));
        if theirs < ours.plus_s(-SKEW_S) { theirs } else { ours }
    }

    fn show(&self, stream: &str, change: impl FnOnce(&mut StreamStanding)) {
        self.board.update(&self.source_name, stream, change);
    }
}

/// The agents of the sources that this process owns.
type Agents = Arc<Mutex<HashMap<Arc<str>, Working>>>;

/// An agent at work, until this is dropped.
struct Working {
    orders: UnboundedSender<Order>,
    task: JoinHandle<()>,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Compares the sources of this process.
pub struct Reconcilers {
    desks: Arc<Vec<Arc<Desk>>>,
    shared: Arc<Tools>,
    agents: Agents,
    listener: JoinHandle<()>,
    membership: Arc<Membership>,
    board: Board,
    view: Arc<StateView>,
    instance: Arc<str>,
    clock: Clock,
}

impl fmt::Debug for Reconcilers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reconcilers").field("instance", &self.instance).finish_non_exhaustive()
    }
}

/// The sources for which something is to be done by schedule.
pub fn scheduled(settings: &Settings) -> impl Iterator<Item = &Arc<Source>> {
    let is_on = |source: &&Arc<Source>| {
        let keeps = source.subscriptions.is_some_and(|options| options.keep);
        is_compared(source) || source.recordings.is_some() || keeps
    };
    let is_asked = |source: &&Arc<Source>| source.api.is_some();
    settings.sources.iter().filter(|_| settings.reconcile.enabled).filter(is_on).filter(is_asked)
}

impl Reconcilers {
    /// Starts; nothing, where no source is to be compared. Kafka need not be reachable.
    ///
    /// # Errors
    /// [`ReconcilersError`].
    pub fn start(
        settings: &Settings,
        publisher: &Arc<Publisher>,
        metrics: &Arc<Metrics>,
        clock: Clock,
        sleep: Sleep,
    ) -> Result<Option<Self>, ReconcilersError> {
        if scheduled(settings).next().is_none() {
            return Ok(None);
        }
        let shared = Arc::new(Tools::new(settings, publisher, metrics, sleep)?);
        let vitals = publisher.vitals();
        let view = Arc::new(StateView::start(&settings.kafka, CURSORS, vitals)?);
        let (board, instance) = (Board::default(), Arc::<str>::from(Ulid::generate().to_string()));
        let mut desks = Vec::new();
        for source in scheduled(settings) {
            let Some(api) = &source.api else { continue };
            desks.push(Arc::new(Desk {
                source_name: source.name.as_str().into(),
                streams: timings(source)?,
                every_s: source.reconcile.as_ref().and_then(|options| options.every_s).unwrap_or(api.sweeps_every_s()),
                tools: SourceTools::new(&shared, source, api)?,
                board: board.clone(),
                instance: Arc::clone(&instance),
                clock: Arc::clone(&clock),
                view: Arc::clone(&view),
                public_url: settings.server.public_url.clone(),
            }));
            metrics.reconcile.owned(&source.name, false);
        }
        let joining = Joining { group: settings.reconcile.group.clone(), key_prefixes: vec![CURSORS.to_owned()] };
        let (membership, news) = Membership::join(&settings.kafka, joining, vitals)?;
        let (desks, agents) = (Arc::new(desks), Agents::default());
        let listening = listen(news, Arc::clone(&desks), Arc::clone(&agents));
        let listener = tokio::spawn(vitals.watch("reconcilers", listening));
        let membership = Arc::new(membership);
        Ok(Some(Self { desks, shared, agents, listener, membership, board, view, instance, clock }))
    }

    /// Has a source sweep now, every open window included.
    ///
    /// # Errors
    /// [`NotSwept`].
    pub fn sweep_now(&self, source_name: &str) -> Result<(), NotSwept> {
        if self.desk(source_name).is_none() {
            return Err(NotSwept::Unknown);
        }
        let agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        match agents.get(source_name).map(|working| working.orders.send(Order::Sweep)) {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(NotSwept::Elsewhere(self.owner_elsewhere(source_name))),
        }
    }

    fn desk(&self, source_name: &str) -> Option<&Arc<Desk>> {
        self.desks.iter().find(|desk| &*desk.source_name == source_name)
    }

    /// Who wrote a source's cursors last.
    fn owner_elsewhere(&self, source_name: &str) -> Option<String> {
        let latest = self.cursors_elsewhere(source_name).into_iter().max_by_key(|cursor| cursor.written_at);
        latest.map(|cursor| cursor.instance)
    }

    fn cursors_elsewhere(&self, source_name: &str) -> Vec<Cursor> {
        let values = self.view.values(&format!("{CURSORS}{source_name}/"));
        let read = values.iter().filter_map(|(key, value)| {
            let (_, stream) = place_of(key)?;
            Cursor::read(value, source_name, stream).ok()
        });
        read.collect()
    }

    /// What `/readyz` tells of each stream.
    pub fn readiness(&self) -> Value {
        let now = (self.clock)();
        let of_desk = |desk: &Arc<Desk>| {
            let owned = self.board.of(&desk.source_name);
            let of_stream = |(stream, _): &(&'static StreamInfo, Timing)| {
                let standing = owned.as_ref().and_then(|streams| streams.get(stream.name));
                json!({
                    "source": &*desk.source_name,
                    "stream": stream.name,
                    "owned": standing.is_some(),
                    "state": standing.map(|standing| standing.state),
                    "lag_seconds": standing.and_then(|standing| standing.lag_s(now)),
                    "open_windows": standing.map(StreamStanding::open_windows),
                    "problem": standing.and_then(|standing| standing.problem.clone()),
                })
            };
            desk.streams.iter().map(of_stream).collect::<Vec<_>>()
        };
        self.desks.iter().flat_map(of_desk).collect()
    }

    /// All sources, for operators.
    pub fn json(&self) -> Value {
        let sources: Vec<Value> = self.desks.iter().map(|desk| self.source_json(desk)).collect();
        json!({"instance": &*self.instance, "sources": sources})
    }

    fn source_json(&self, desk: &Desk) -> Value {
        let now = (self.clock)();
        let here = self.board.json(&desk.source_name, now);
        let is_here = here.is_some();
        let elsewhere = || {
            let cursors = self.cursors_elsewhere(&desk.source_name);
            let told = cursors.iter().map(|cursor| {
                let mut told = standing::progress_json(cursor, now);
                told["stream"] = json!(cursor.stream);
                told
            });
            told.collect()
        };
        let instance = match is_here {
            true => Some(self.instance.to_string()),
            false => self.owner_elsewhere(&desk.source_name),
        };
        json!({
            "source": &*desk.source_name,
            "provider": desk.tools.source.info.name,
            "owner": {"here": is_here, "instance": instance},
            "streams": here.unwrap_or_else(elsewhere),
            "quota": desk.tools.line().quota_remaining().map(|remaining| json!({"remaining": remaining})),
            "token_expires_at": desk.tools.line().token_expires_at(),
        })
    }

    /// One source in all detail: the cells that are not complete, newest first, and the latest windows. None where there
    /// is no such source.
    pub fn details(&self, source_name: &str, limit: usize) -> Option<Value> {
        let desk = self.desk(source_name)?;
        let streams: Vec<Value> = match self.board.of(&desk.source_name) {
            Some(streams) => {
                let cursors = streams.values().filter_map(|standing| standing.cursor.as_ref());
                cursors.map(|cursor| standing::cursor_json(cursor, limit)).collect()
            }
            None => {
                let cursors = self.cursors_elsewhere(source_name);
                cursors.iter().map(|cursor| standing::cursor_json(cursor, limit)).collect()
            }
        };
        Some(json!({"source": source_name, "streams": streams}))
    }

    /// Brings up to date what metrics tell of this moment.
    pub fn refresh_metrics(&self) {
        let index_bytes = i64::try_from(self.shared.index_bytes()).unwrap_or(i64::MAX);
        self.shared.metrics().reconcile.index_bytes.set(index_bytes);
    }

    /// Ends: nothing more is asked or submitted, and the group is left, so that others go on at once. Tells whether it
    /// was left in time.
    pub async fn stop(&self, deadline: Instant) -> bool {
        self.listener.abort();
        self.agents.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let membership = Arc::clone(&self.membership);
        let left = tokio::task::spawn_blocking(move || membership.leave(deadline)).await;
        left.unwrap_or(false)
    }
}

fn is_compared(source: &Source) -> bool {
    source.reconcile.as_ref().is_some_and(|options| options.enabled)
}

fn timings(source: &Source) -> Result<Vec<(&'static StreamInfo, Timing)>, ReconcilersError> {
    let Some(options) = source.reconcile.as_ref().filter(|_| is_compared(source)) else { return Ok(Vec::new()) };
    let mut timings = Vec::new();
    let streams = source.info.streams_of(options.products.as_deref());
    for stream in streams.map_err(|product| ReconcilersError::NoStream(product.to_owned()))? {
        let timing = stream.timing(&options.ages, stream.lookback_s(options.lookback_s)).map_err(|faults| {
            let faults: Vec<String> =
                faults.iter().map(|fault| format!("{} {fault}", fault.key(&options.ages))).collect();
            ReconcilersError::Ages { source_name: source.name.clone(), stream: stream.name, faults: faults.join("; ") }
        })?;
        timings.push((stream, timing));
    }
    Ok(timings)
}

/// Has agents work for the sources that the group gives to this process.
async fn listen(mut news: UnboundedReceiver<News>, desks: Arc<Vec<Arc<Desk>>>, agents: Agents) {
    let mut ownership = Ownership::new(desks.iter().map(|desk| Arc::clone(&desk.source_name)).collect());
    while let Some(heard) = news.recv().await {
        for change in ownership.hear(heard) {
            carry_out(change, &desks, &agents);
        }
        if let Some(desk) = desks.first() {
            let unknown = i64::try_from(ownership.unknown()).unwrap_or(i64::MAX);
            desk.tools.shared().metrics().reconcile.unowned_sources.set(unknown);
        }
    }
    std::future::pending::<()>().await;
}

fn carry_out(change: Change, desks: &[Arc<Desk>], agents: &Agents) {
    let mut agents = agents.lock().unwrap_or_else(PoisonError::into_inner);
    match change {
        Change::Begin { source_name, cursors } => {
            let Some(desk) = desks.iter().find(|desk| desk.source_name == source_name) else { return };
            tracing::info!(source.name = %source_name, "this process compares the source now");
            desk.tools.shared().metrics().reconcile.owned(&source_name, true);
            let (orders, received) = unbounded_channel();
            let task = tokio::spawn(Agent::new(Arc::clone(desk), received).work(cursors));
            agents.insert(source_name, Working { orders, task });
        }
        Change::End { source_name } => {
            tracing::info!(source.name = %source_name, "another process compares the source now");
            agents.remove(&source_name);
            for desk in desks.iter().filter(|desk| desk.source_name == source_name) {
                desk.board.end(&source_name);
                desk.tools.shared().metrics().reconcile.owned(&source_name, false);
            }
        }
        Change::Written { source_name, stream, value } => {
            let order = Order::Written { stream, value };
            // An agent that has ended does not want to know.
            drop(agents.get(&source_name).map(|working| working.orders.send(order)));
        }
        Change::Unknown { source_name } => tracing::warn!(
            source.name = %source_name,
            "there are cursors of a source that is not configured here: members of a group need the same sources"
        ),
    }
}

/// How long a source's agent rests after it has failed by a fault of ours.
const REST: Duration = Duration::from_secs(60);
