//! How often a class of requests may be made.
//!
//! A turn is waited for in the order of asking. Rates are of one process: what several of them ask of one account is
//! bounded by one of them owning a source at a time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::Sleep;
use crate::provider::api::Pace;

/// The turns of all classes.
pub(super) struct Paces {
    classes: HashMap<&'static str, Class>,
    sleep: Sleep,
}

struct Class {
    interval: Duration,
    at_once: Semaphore,
    next: Mutex<Instant>,
}

impl Paces {
    pub(super) fn new(paces: &[Pace], sleep: Sleep) -> Self {
        let class = |pace: &Pace| {
            let interval = pace.per / pace.requests.max(1);
            let class = Class { interval, at_once: Semaphore::new(pace.at_once), next: Mutex::new(Instant::now()) };
            (pace.class, class)
        };
        Self { classes: paces.iter().map(class).collect(), sleep }
    }

    /// Waits for a turn. It lasts until it is dropped.
    pub(super) async fn turn(&self, class: &str) -> Option<SemaphorePermit<'_>> {
        let class = self.classes.get(class)?;
        // The semaphore is never closed.
        let permit = class.at_once.acquire().await.ok();
        let wait = class.wait().await;
        if !wait.is_zero() {
            (self.sleep)(wait).await;
        }
        permit
    }
}

impl Class {
    /// Takes the next place, and tells how long it is until then.
    async fn wait(&self) -> Duration {
        let mut next = self.next.lock().await;
        let now = Instant::now();
        let turn = (*next).max(now);
        *next = turn + self.interval;
        turn - now
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn turns_are_as_far_apart_as_the_pace_says_and_other_classes_do_not_wait() {
        let (slept, told) = std::sync::mpsc::channel();
        let sleep: Sleep = Arc::new(move |duration| {
            slept.send(duration).unwrap();
            Box::pin(std::future::ready(()))
        });
        let pace = Pace { class: "counts", requests: 10, per: Duration::from_secs(60), at_once: 1 };
        let paces = Paces::new(&[pace], sleep);
        for _ in 0..4 {
            assert!(paces.turn("counts").await.is_some());
            assert!(paces.turn("rows").await.is_none());
        }
        let waits: Vec<u64> = told.try_iter().map(|wait| (wait + Duration::from_millis(500)).as_secs()).collect();
        assert_eq!(waits, [6, 12, 18], "the clock stands nearly still while nothing is waited for");
    }

    #[tokio::test]
    async fn only_so_many_have_a_turn_at_a_time() {
        let pace = Pace { class: "counts", requests: 1000, per: Duration::from_secs(1), at_once: 1 };
        let paces = Paces::new(&[pace], super::super::real_sleep());
        let first = paces.turn("counts").await;
        assert!(paces.turn("counts").now_or_never().is_none(), "the first is not over");
        drop(first);
        assert!(paces.turn("counts").await.is_some());
    }
}
