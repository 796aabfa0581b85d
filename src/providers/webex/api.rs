//! Webex's API: what the webhook did not bring.
//!
//! A partner asks how many records each organisation has in an hour, and fetches those of the organisations that
//! fall short (`cdr`). Whoever gets no partner's webhook asks the Detailed Call History for all records, by the time
//! of the report (`cdr_feed`) or by the time at which Webex got them (`cdr_stream`). What the endpoints are, and where
//! the limits below come from, is told in `docs/providers/webex.md`.

use std::sync::Arc;
use std::time::Duration;

use super::fields::{Field, Fields};
use super::record::{self, Surroundings};
use super::{Section, SourceOptions, ids};
use crate::event::country;
use crate::event::kind::Kind;
use crate::event::time::Time;
use crate::json::Text;
use crate::provider::api::{Access, Answer, Api, Pace, Question, Request, Row, StreamInfo, Talk, Verdict};
use crate::provider::subscriptions::Subscriptions;
use crate::provider::{Fault, Sink};

mod body;
mod check;
mod counts;
mod headers;
mod held;
mod hosts;
mod judge;
mod keys;
mod link;
mod requests;
mod route;
mod rows;
mod subscriptions;
mod words;

use held::HeldEvent;
use hosts::Hosts;
use requests::{CDR, CDR_FEED, CDR_STREAM};

const HOUR_S: u32 = 3600;
const DAY_S: u32 = 24 * HOUR_S;

/// What Webex can be asked for. A record may be asked for once it is 300 s old (60 s in `cdr_stream`); the rest of the
/// least ages is for clocks that differ.
pub(super) const STREAMS: &[StreamInfo] = &[
    StreamInfo {
        name: CDR,
        product: CDR,
        kinds: &[Kind::CallRecord],
        counted: true,
        primary: false,
        includes: None,
        widest_s: HOUR_S,
        margin_s: 0,
        least_delay_s: 330,
        delay_s: 1800,
        again_s: &[43_200, 144_000],
        reach_s: 48 * HOUR_S,
        reach_is_sure: false,
    },
    StreamInfo {
        name: CDR_FEED,
        product: CDR_FEED,
        kinds: &[Kind::CallRecord],
        counted: false,
        primary: true,
        includes: None,
        widest_s: 12 * HOUR_S,
        margin_s: 1,
        least_delay_s: 330,
        delay_s: 900,
        again_s: &[86_400],
        reach_s: 30 * DAY_S,
        reach_is_sure: false,
    },
    StreamInfo {
        name: CDR_STREAM,
        product: CDR_STREAM,
        kinds: &[Kind::CallRecord],
        counted: false,
        primary: true,
        includes: None,
        widest_s: 2 * HOUR_S,
        // A record is in the window in which it was inserted and in no other, which none of its fields tells.
        margin_s: 0,
        least_delay_s: 120,
        delay_s: 180,
        again_s: &[],
        reach_s: 12 * HOUR_S,
        reach_is_sure: true,
    },
];

/// Webex refuses a second question for counts while one is under way. The Detailed Call History allows one first
/// request and ten further pages in a minute.
const PACES: &[Pace] = &[
    Pace { class: requests::COUNTS, requests: 1, per: Duration::from_secs(1), at_once: 1 },
    Pace { class: requests::FIRST, requests: 1, per: Duration::from_secs(60), at_once: 1 },
    Pace { class: requests::PAGES, requests: 10, per: Duration::from_secs(60), at_once: 1 },
];

/// Webex's API as one source uses it.
#[derive(Debug)]
struct WebexApi {
    access: Access,
    hosts: Arc<Hosts>,
    is_billing: bool,
    organisation: Option<String>,
    region: Option<country::Id>,
}

/// Reads the keys of the API; nothing without credentials.
pub(super) fn configure(source: &SourceOptions, section: &mut Section<'_>) -> Option<Box<dyn Api>> {
    let keys = keys::read(section);
    Some(Box::new(WebexApi {
        access: keys.access?,
        hosts: Arc::new(keys.hosts?),
        is_billing: keys.is_billing,
        organisation: keys.organisation,
        region: source.region,
    }))
}

impl Api for WebexApi {
    fn access(&self) -> &Access {
        &self.access
    }

    fn bases(&self) -> &[(&'static str, url::Url)] {
        self.hosts.bases()
    }

    fn paces(&self) -> &'static [Pace] {
        PACES
    }

    fn scheme(&self) -> &'static str {
        "webex-oauth"
    }

    fn ask(&self, question: &Question) -> Box<dyn Talk> {
        let organisation = self.organisation.as_deref();
        match question {
            Question::Counts(asked) => Box::new(counts::Counts::about(asked, &self.hosts)),
            Question::Rows(asked) => Box::new(rows::Rows::about(asked, organisation, &self.hosts)),
            Question::Check(asked) => Box::new(check::Check::about(asked, organisation, &self.hosts)),
        }
    }

    fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        judge::judge(&self.hosts, request, answer)
    }

    fn subscriptions(&self) -> Option<&dyn Subscriptions> {
        Some(&subscriptions::WebexSubscriptions)
    }

    fn map<'r>(&self, row: &Row<'r>, out: &mut dyn Sink<'r>) {
        let surroundings = Surroundings {
            product: event_product(row.stream),
            parent_account_id: row.account_id.map(|id| ids::organisation(Text::Borrowed(id))),
            region: self.region,
        };
        match record::map(row.text, surroundings, out) {
            Ok(event) => out.event(event),
            Err(fault) => out.fault(Fault { record: Some(Text::Borrowed(row.text)), ..fault }),
        }
    }

    fn placed_at(&self, row: &Row<'_>) -> Option<Time> {
        let is_placed_by_itself = row.stream != CDR_STREAM;
        is_placed_by_itself.then(|| Fields::parse(row.text).ok()?.time(Field::ReportTime))?
    }

    fn tells_of_more_users(&self) -> bool {
        self.is_billing
    }

    fn names_users(&self) -> bool {
        true
    }

    fn user_of(&self, row: &Row<'_>) -> Option<String> {
        Some(Fields::parse(row.text).ok()?.id(Field::UserUuid)?.into_owned())
    }

    fn user_told(&self, value: &[u8]) -> Option<String> {
        HeldEvent::read(value)?.user_of_webhook()
    }

    fn held_at(&self, value: &[u8]) -> Option<Time> {
        Time::parse_iso(&HeldEvent::read(value)?.record_version?)
    }
}

/// How events tell by which way a record came.
fn event_product(stream: &'static str) -> &'static str {
    if stream == CDR { "cdr_records" } else { stream }
}

#[cfg(test)]
mod tests;
