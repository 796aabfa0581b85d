//! What is measured, from the environment.

use std::fmt::Debug;
use std::str::FromStr;
use std::time::Duration;

use crate::webhooks::{self, Webhook};

/// `BENCH_*` variables, described in the Makefile.
#[derive(Debug)]
pub(crate) struct Settings {
    /// How long each run is measured.
    pub(crate) duration: Duration,
    /// Runs of each of the two programs, in turn.
    pub(crate) rounds: usize,
    /// Runs of each before those, which are not counted.
    pub(crate) warm_up_rounds: usize,
    pub(crate) webhooks: Vec<&'static Webhook>,
    pub(crate) connections: Vec<usize>,
    /// `embedded` and `kafka`.
    pub(crate) brokers: Vec<String>,
    /// Values of `linger.ms` for both programs; `None` is the program's own default.
    pub(crate) lingers_ms: Vec<Option<f64>>,
    /// Events of the memory test.
    pub(crate) events: usize,
}

impl Settings {
    pub(crate) fn from_environment() -> Self {
        let all = || webhooks::ALL.iter().map(|webhook| webhook.name.to_owned()).collect();
        let names: Vec<String> = list("BENCH_WEBHOOKS").unwrap_or_else(all);
        Self {
            duration: Duration::from_secs_f64(one("BENCH_SECONDS", 1.0)),
            rounds: one("BENCH_ROUNDS", 5),
            warm_up_rounds: one("BENCH_WARM_UP_ROUNDS", 3),
            webhooks: names.iter().map(|name| webhooks::find(name)).collect(),
            connections: list("BENCH_CONNECTIONS").unwrap_or_else(|| vec![1, 64, 256]),
            brokers: list("BENCH_BROKERS").unwrap_or_else(|| vec!["embedded".to_owned(), "kafka".to_owned()]),
            lingers_ms: list("BENCH_LINGER_MS")
                .map_or_else(|| vec![None], |values| values.into_iter().map(Some).collect()),
            events: one("BENCH_EVENTS", 1_000_000),
        }
    }
}

fn one<T: FromStr<Err: Debug> + Clone>(name: &str, default: T) -> T {
    list(name).map_or(default, |values: Vec<T>| values[0].clone())
}

/// Values separated by commas. A variable that is empty counts as not set.
fn list<T: FromStr<Err: Debug>>(name: &str) -> Option<Vec<T>> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.split(',').map(|value| value.trim().parse().unwrap()).collect())
}
