//! Whether a source may ask what it is to ask.

use std::sync::Arc;

use super::Command;
use crate::event::time::Time;
use crate::outbound::{Ended, Fetched, Findings};
use crate::provider::api::{Asked, Ending, Found, Question, StreamInfo, Verdict};
use crate::reconcile::window::{HOUR_S, hour_of};

/// Takes nothing of what is found: that there is an answer is all that is asked for.
struct Nobody;

impl Found for Nobody {
    fn count(&mut self, _account: &str, _rows: u64) {}

    fn row(&mut self, _json: &str) {}
}

impl Findings for Nobody {
    fn fetched(&mut self, _fetched: &Arc<Fetched>) {}
}

impl Command {
    /// Asks the provider one harmless question for each stream, about an hour that is over, and tells for each what is
    /// wrong. Nothing is compared or published.
    pub async fn try_access(&self) -> Vec<(&'static StreamInfo, Result<(), String>)> {
        let mut told = Vec::new();
        for stream in &self.streams {
            let to = hour_of(Time::now().plus_s(-i64::from(stream.least_delay_s)));
            let from = to.plus_s(-HOUR_S);
            let question = Question::Check(Asked { stream: stream.name, from, to, account: None, region: None });
            told.push((*stream, problem_of(self.tools.line().ask(&question, &mut Nobody).await)));
        }
        told
    }
}

/// Whatever was answered in the API's own words shows that asking is allowed.
fn problem_of(ended: Ended) -> Result<(), String> {
    match ended {
        Ended::Said(Ending::Failed(Verdict::Misconfigured { word, mend })) => Err(format!("{word}: {mend}")),
        Ended::Said(Ending::Failed(verdict)) => Err(format!("{}: try again later", verdict.word())),
        Ended::Throttled(wait) => Err(format!("the provider wants to be asked again in {} s", wait.as_secs())),
        Ended::Said(Ending::Whole | Ending::Partial(_) | Ending::Narrower | Ending::Expired) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_can_not_be_asked_is_told_with_its_mend() {
        let failed = |verdict| problem_of(Ended::Said(Ending::Failed(verdict)));
        let mend = "ask for the right".to_owned();
        assert_eq!(
            failed(Verdict::Misconfigured { word: "forbidden", mend }),
            Err("forbidden: ask for the right".to_owned())
        );
        assert_eq!(failed(Verdict::Again { word: "unreachable" }), Err("unreachable: try again later".to_owned()));
        let throttled = problem_of(Ended::Throttled(Duration::from_secs(901)));
        assert_eq!(throttled, Err("the provider wants to be asked again in 901 s".to_owned()));
        for ending in [Ending::Whole, Ending::Partial("short_answer"), Ending::Narrower, Ending::Expired] {
            assert_eq!(problem_of(Ended::Said(ending)), Ok(()));
        }
    }
}
