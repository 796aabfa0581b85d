//! Whether everything that has to run for ever is at work.
//!
//! A thread that dies alone would leave a service that answers 503 for ever, or that answers and no longer cleans
//! up, and looks alive. So each of them is started here: its end is a failure of the whole, which `/healthz` and
//! `/readyz` tell and after which the process saves what it has and ends.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::Notify;

use super::client::StartError;

/// What has ended though it should not have.
#[derive(Debug, Default)]
pub struct Vitals {
    ended: Mutex<BTreeSet<&'static str>>,
    news: Notify,
    stopping: AtomicBool,
}

/// Whether something ends by itself when it has done its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    Never,
    WhenDone,
}

impl Vitals {
    /// Starts a thread whose end is noticed.
    pub(super) fn spawn(
        self: &Arc<Self>,
        name: &'static str,
        ends: Ends,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<JoinHandle<()>, StartError> {
        let watched = Watched { vitals: Arc::clone(self), name, ends };
        let work = move || {
            let _watched = watched;
            work();
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(StartError::Thread)
    }

    /// A future that is to run until the service stops, and whose end before is noticed.
    pub fn watch<F: Future>(self: &Arc<Self>, name: &'static str, work: F) -> impl Future<Output = F::Output> + use<F> {
        let watched = Watched { vitals: Arc::clone(self), name, ends: Ends::Never };
        async move {
            let _watched = watched;
            work.await
        }
    }

    /// From now on whatever ends is meant to.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// What has ended.
    pub fn ended(&self) -> Vec<&'static str> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// Waits until something has ended that should not have, and tells what.
    pub async fn failed(&self) -> &'static str {
        loop {
            let news = self.news.notified();
            if let Some(name) = self.ended().first() {
                return name;
            }
            news.await;
        }
    }

    fn note(&self, name: &'static str) {
        tracing::error!(thread = name, "a part of the service has ended; the service can not go on");
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        self.news.notify_one();
    }
}

/// Notices the end of what holds it.
struct Watched {
    vitals: Arc<Vitals>,
    name: &'static str,
    ends: Ends,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let may_end = self.ends == Ends::WhenDone || self.vitals.stopping.load(Ordering::Acquire);
        if std::thread::panicking() || !may_end {
            self.vitals.note(self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(vitals: &Arc<Vitals>, ends: Ends, work: impl FnOnce() + Send + 'static) {
        // A panic of the thread is what some of the tests are about.
        drop(vitals.spawn("part", ends, work).unwrap().join());
    }

    #[tokio::test]
    async fn the_end_of_what_should_run_for_ever_is_noticed() {
        let vitals = Arc::new(Vitals::default());
        end(&vitals, Ends::WhenDone, || {});
        assert!(vitals.ended().is_empty());
        end(&vitals, Ends::Never, || {});
        assert_eq!((vitals.ended(), vitals.failed().await), (vec!["part"], "part"));
    }

    #[test]
    fn a_panic_is_noticed_whenever_it_comes() {
        for ends in [Ends::Never, Ends::WhenDone] {
            let vitals = Arc::new(Vitals::default());
            vitals.stopping();
            end(&vitals, ends, || panic!("on purpose"));
            assert_eq!(vitals.ended(), ["part"]);
        }
    }

    #[test]
    fn what_ends_while_the_service_stops_is_meant_to() {
        let vitals = Arc::new(Vitals::default());
        let watched = vitals.watch("part", std::future::pending::<()>());
        vitals.stopping();
        drop(watched);
        assert!(vitals.ended().is_empty());
        drop(Arc::new(Vitals::default()).watch("part", async {}));
        let vitals = Arc::new(Vitals::default());
        drop(vitals.watch("part", std::future::pending::<()>()));
        assert_eq!(vitals.ended(), ["part"]);
    }
}
