//! The providers at work: a steady rate of webhooks, each repeated until it is taken.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::MissedTickBehavior;

use crate::gate::{Gate, HELD_SIMULATION};
use crate::ledger::{Answer, Attempt, Ledger};
use crate::scene::Scene;
use crate::traffic::{self, Conversation, Draft, Tamper};

/// Longer than any provider waits, and than any answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Webhooks that wait for their next attempt, at most; then new ones wait, which bounds the drill's
/// memory through an outage without a spool.
const ROOM: usize = 8000;

/// Conversations that go on at a time, as long as they are answered.
const CONVERSATIONS: usize = 400;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// A late copy comes within this time, by when the conversation has gone on or ended.
const LATE_COPY_MS: u64 = 20_000;

const TAMPERED_ONE_IN: u32 = 20;
const LATE_COPY_ONE_IN: u32 = 20;
const COPY_AT_ONCE_ONE_IN: u32 = 33;

/// All providers.
#[derive(Debug)]
pub(crate) struct Sender {
    client: reqwest::Client,
    base_url: String,
    scene: Arc<Scene>,
    ledger: Arc<Ledger>,
    room: Arc<Semaphore>,
    seed: u64,
    random: Mutex<StdRng>,
    /// Conversations whose next webhook may be sent.
    ready: Mutex<VecDeque<Conversation>>,
    gate: Arc<Gate>,
    open: AtomicUsize,
    index: AtomicU64,
    stopping: AtomicBool,
}

impl Sender {
    pub(crate) fn new(
        base_url: String,
        scene: Arc<Scene>,
        ledger: Arc<Ledger>,
        gate: Arc<Gate>,
        seed: u64,
    ) -> Arc<Self> {
        // Idle connections end here before the server ends them, which a request could meet half-way.
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).pool_idle_timeout(Duration::from_secs(2));
        Arc::new(Self {
            client: client.build().unwrap(),
            base_url,
            scene,
            ledger,
            room: Arc::new(Semaphore::new(ROOM)),
            seed,
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            ready: Mutex::default(),
            gate,
            open: AtomicUsize::new(0),
            index: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        })
    }

    /// Sends new webhooks at a rate until told to stop.
    pub(crate) async fn run(self: Arc<Self>, rate_per_second: u32) {
        let mut pace = tokio::time::interval(Duration::from_secs(1) / rate_per_second);
        // After a pause there is no flood to make up for it: providers do not know of the others' pauses.
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.stopping.load(Ordering::Acquire) {
            pace.tick().await;
            let room = Arc::clone(&self.room).acquire_owned().await.unwrap();
            let sender = Arc::clone(&self);
            if self.one_in(TAMPERED_ONE_IN) {
                tokio::spawn(sender.forge(room));
            } else {
                tokio::spawn(sender.go_on(self.next_conversation(), room));
            }
        }
    }

    /// Begins nothing new, and waits until everything that was begun is taken. Tells whether that came
    /// to pass in time.
    pub(crate) async fn finish(&self, patience: Duration) -> bool {
        self.stopping.store(true, Ordering::Release);
        let all = u32::try_from(ROOM).unwrap();
        tokio::time::timeout(patience, self.room.acquire_many(all)).await.is_ok()
    }

    /// One that waits for its next webhook, as soon as enough of them go on.
    fn next_conversation(&self) -> Conversation {
        let waiting = match self.open.load(Ordering::Acquire) < CONVERSATIONS {
            true => None,
            false => locked(&self.ready).pop_front(),
        };
        waiting.unwrap_or_else(|| {
            self.open.fetch_add(1, Ordering::AcqRel);
            let index = self.index.fetch_add(1, Ordering::Relaxed);
            self.gate.pass(|is_open| {
                let conversation = traffic::conversation(&mut self.random_of(index), index, is_open);
                let is_held = conversation.iter().any(|draft| draft.simulation == HELD_SIMULATION);
                (conversation, is_held)
            })
        })
    }

    /// Delivers the next webhook of a conversation and hands the conversation back.
    async fn go_on(self: Arc<Self>, mut conversation: Conversation, room: OwnedSemaphorePermit) {
        let Some(draft) = conversation.pop_front() else { return };
        let webhook = self.ledger.open(&draft, false);
        self.deliver(webhook, &draft).await;
        // Such a conversation has one webhook.
        if draft.simulation == HELD_SIMULATION {
            self.gate.leave();
        }
        match conversation.is_empty() {
            true => drop(self.open.fetch_sub(1, Ordering::AcqRel)),
            false => locked(&self.ready).push_back(conversation),
        }
        if self.one_in(LATE_COPY_ONE_IN) {
            let pause = locked(&self.random).random_range(0..LATE_COPY_MS);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            self.attempt(webhook, &draft, None).await;
        }
        drop(room);
    }

    /// Sends a webhook, at times twice at one moment, and repeats it until it is taken or refused for
    /// good.
    async fn deliver(&self, webhook: usize, draft: &Draft) {
        if self.one_in(COPY_AT_ONCE_ONE_IN) {
            let copy = self.attempt(webhook, draft, None);
            let (first, second) = tokio::join!(self.attempt(webhook, draft, None), copy);
            if first.is_taken() || second.is_taken() {
                return;
            }
        }
        let mut pause = FIRST_PAUSE;
        loop {
            match self.attempt(webhook, draft, None).await {
                Answer::Status(503) | Answer::TimedOut | Answer::Broken(_) => {}
                Answer::Status(_) => return,
            }
            let part = locked(&self.random).random_range(0.5..1.5);
            tokio::time::sleep(pause.mul_f64(part)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Sends something that must be refused. A forger does not insist.
    async fn forge(self: Arc<Self>, room: OwnedSemaphorePermit) {
        let index = self.index.fetch_add(1, Ordering::Relaxed);
        let (draft, tamper) = traffic::forgery(&mut self.random_of(index), index);
        let webhook = self.ledger.open(&draft, true);
        self.attempt(webhook, &draft, Some(tamper)).await;
        drop(room);
    }

    async fn attempt(&self, webhook: usize, draft: &Draft, tamper: Option<Tamper>) -> Answer {
        let request = self.request(draft, tamper);
        let (sent_us, sent_life) = (self.scene.now_us(), self.scene.life());
        let answer = answer(request).await;
        let (ended_us, ended_life) = (self.scene.now_us(), self.scene.life());
        let attempt = Attempt { sent_us, ended_us, sent_life, ended_life, answer: answer.clone() };
        self.ledger.record(webhook, attempt);
        answer
    }

    fn request(&self, draft: &Draft, tamper: Option<Tamper>) -> reqwest::RequestBuilder {
        let signed = traffic::sign(draft, tamper);
        let token = signed.url_token.map(|token| format!("/{token}")).unwrap_or_default();
        let url = format!("{}/webhooks/{}{token}", self.base_url, draft.source.name);
        let request = self.client.post(url).body(signed.body);
        signed.headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
    }

    /// What is sent under a number depends on the seed alone, whatever was sent before.
    fn random_of(&self, index: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed.rotate_left(32) ^ index)
    }

    fn one_in(&self, count: u32) -> bool {
        locked(&self.random).random_ratio(1, count)
    }
}

/// The body is read to its end, so that the connection can be used again.
async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let status = async {
        let response = request.send().await?;
        let status = response.status().as_u16();
        response.bytes().await.map(|_| status)
    };
    match status.await {
        Ok(status) => Answer::Status(status),
        Err(error) if error.is_timeout() => Answer::TimedOut,
        Err(error) => Answer::Broken(format!("{:#}", anyhow::Error::from(error.without_url()))),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
