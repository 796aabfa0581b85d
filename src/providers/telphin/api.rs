//! Telphin's API: the call history, which has the last word on every call.
//!
//! A webhook is sent once, and nobody signs it. The call history tells each call with all its legs, under the id that
//! the webhooks give. What the resources are, and where the limits below come from, is told in
//! `docs/providers/telphin.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Section, SourceOptions};
use crate::event::country;
use crate::event::kind::Kind;
use crate::event::time::Time;
use crate::json::{Members, Text};
use crate::provider::api::{Access, Answer, Api, Pace, Question, Request, Row, StreamInfo, Talk, Verdict};
use crate::provider::recordings::Recordings;
use crate::provider::subscriptions::Subscriptions;
use crate::provider::{Fault, Sink};

mod body;
mod call;
mod ending;
mod history;
mod judge;
mod keys;
mod months;
mod recordings;
mod requests;
mod said;
mod subscriptions;
mod times;
mod zone;

use requests::{CALL_HISTORY, RECORD};

const HOUR_S: u32 = 3600;
const DAY_S: u32 = 24 * HOUR_S;

/// What Telphin can be asked for. How long it keeps calls is documented nowhere: it is taken to be a month.
pub(super) const STREAMS: &[StreamInfo] = &[
    stream(CALL_HISTORY),
    // The same calls, and those that only the list of recordings tells.
    StreamInfo { includes: Some(CALL_HISTORY), ..stream(RECORD) },
];

const fn stream(name: &'static str) -> StreamInfo {
    StreamInfo {
        name,
        product: name,
        kinds: &[Kind::CallRecord],
        counted: false,
        primary: false,
        includes: None,
        widest_s: DAY_S,
        margin_s: 1,
        least_delay_s: 60,
        delay_s: 900,
        again_s: &[DAY_S],
        reach_s: 31 * DAY_S,
        reach_is_sure: false,
    }
}

/// Telphin refuses a question about statistics while another one is under way.
const PACES: &[Pace] = &[
    Pace { class: requests::STATISTICS, requests: 4, per: Duration::from_secs(1), at_once: 1 },
    Pace { class: requests::RECORDINGS, requests: 4, per: Duration::from_secs(1), at_once: 1 },
    Pace { class: requests::SUBSCRIPTIONS, requests: 4, per: Duration::from_secs(1), at_once: 1 },
    Pace { class: requests::USER, requests: 4, per: Duration::from_secs(1), at_once: 1 },
];

/// Telphin's API as one source uses it.
#[derive(Debug)]
struct TelphinApi {
    access: Access,
    bases: [(&'static str, url::Url); 1],
    quota_reserve_percent: u32,
    region: Option<country::Id>,
    account: Arc<Account>,
    recordings: recordings::TelphinRecordings,
    subscriptions: subscriptions::TelphinSubscriptions,
}

/// Whose calls are asked for, and how.
#[derive(Debug)]
struct Account {
    id: String,
    /// The zone in which the API reads times.
    utc_offset_min: i64,
    /// Whether the credentials were seen to be this account's. It does not change, so it is asked once.
    is_confirmed: AtomicBool,
}

impl Account {
    fn is_confirmed(&self) -> bool {
        self.is_confirmed.load(Ordering::Relaxed)
    }

    /// Whether the answer about the user names this account; if not, what is to be done.
    fn is_that_of(&self, user: &str) -> Result<(), String> {
        let client = body::client_id(user);
        if client.as_ref() == Some(&self.id) {
            self.is_confirmed.store(true, Ordering::Relaxed);
            return Ok(());
        }
        let whose = client.map_or_else(|| "no client's".to_owned(), |client| format!("those of client {client}"));
        let id = &self.id;
        Err(format!("the credentials are {whose}, and account_id is {id}; one of the two has to be changed"))
    }
}

/// Reads the keys of the API; nothing without credentials.
pub(super) fn configure(source: &SourceOptions, section: &mut Section<'_>) -> Option<Box<dyn Api>> {
    let keys = keys::read(section, source.account_id.as_deref());
    let account = Arc::new(Account {
        id: keys.account_id?,
        utc_offset_min: keys.utc_offset_min,
        is_confirmed: AtomicBool::new(false),
    });
    Some(Box::new(TelphinApi {
        access: keys.access?,
        bases: [(requests::API, keys.api_url?)],
        quota_reserve_percent: keys.quota_reserve_percent,
        region: source.region,
        recordings: recordings::TelphinRecordings { account: Arc::clone(&account) },
        subscriptions: subscriptions::TelphinSubscriptions { account: Arc::clone(&account) },
        account,
    }))
}

impl Api for TelphinApi {
    fn access(&self) -> &Access {
        &self.access
    }

    fn bases(&self) -> &[(&'static str, url::Url)] {
        &self.bases
    }

    fn paces(&self) -> &'static [Pace] {
        PACES
    }

    fn scheme(&self) -> &'static str {
        "telphin-oauth"
    }

    fn ask(&self, question: &Question) -> Box<dyn Talk> {
        Box::new(history::History::about(question, &self.account))
    }

    fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        judge::judge(request, answer)
    }

    fn quota_reserve_percent(&self) -> u32 {
        self.quota_reserve_percent
    }

    fn heard_in(&self) -> &'static [Kind] {
        &[Kind::CallEvent]
    }

    fn recordings(&self) -> Option<&dyn Recordings> {
        Some(&self.recordings)
    }

    fn subscriptions(&self) -> Option<&dyn Subscriptions> {
        Some(&self.subscriptions)
    }

    fn map<'r>(&self, row: &Row<'r>, out: &mut dyn Sink<'r>) {
        match call::map(row, self.region, out) {
            Ok(event) => out.event(event),
            Err(fault) => out.fault(Fault { record: Some(Text::Borrowed(row.text)), ..fault }),
        }
    }

    fn placed_at(&self, row: &Row<'_>) -> Option<Time> {
        times::time_of(&Members::parse(row.text).ok()?, "init_time_gmt")
    }
}

#[cfg(test)]
mod tests;
