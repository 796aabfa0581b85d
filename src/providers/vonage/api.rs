//! Vonage's Reports API: what the webhooks did not bring, and what was charged for that no webhook tells.
//!
//! Rows are listed page by page, a day at a time, or come as the file of a report. What the endpoints are, and where the limits below come from, is told
//! in `docs/providers/vonage.md`.

use std::time::Duration;

use url::Url;

use super::{Section, SourceOptions};
use crate::event::country;
use crate::event::time::Time;
use crate::provider::api::reports::Reports;
use crate::provider::api::{Access, Answer, Api, Asked, Pace, Question, Request, Row, StreamInfo, Talk, Verdict};
use crate::provider::{Fault, Sink};
use crate::verify::Verified;

mod by_hand;
mod check;
mod judge;
mod keys;
mod map;
mod page;
mod problem;
mod records;
mod report;
mod reports;
mod requests;
mod streams;

use keys::{Keys, Mode};
use requests::Scope;
pub(super) use streams::STREAMS;

/// Vonage refuses more than ten requests for pages in a second, and more than five about reports.
const PACES: &[Pace] = &[
    Pace { class: requests::RECORDS, requests: 8, per: Duration::from_secs(1), at_once: 2 },
    Pace { class: requests::REPORTS, requests: 4, per: Duration::from_secs(1), at_once: 2 },
];

/// Vonage's API as one source uses it.
#[derive(Debug)]
struct VonageApi {
    access: Access,
    bases: [(&'static str, Url); 1],
    scope: Scope,
    mode: Mode,
    region: Option<country::Id>,
}

/// Reads the keys of the API; nothing without credentials.
pub(super) fn configure(source: &SourceOptions, section: &mut Section<'_>) -> Option<Box<dyn Api>> {
    let Keys { access, account_id, url, mode, with_subaccounts } = keys::read(source, section);
    Some(Box::new(VonageApi {
        access: access?,
        bases: [(requests::API, url?)],
        scope: Scope { account_id: account_id?, with_texts: false, with_subaccounts },
        mode,
        region: source.region,
    }))
}

/// Maps a row that was kept as a dead letter, whose request tells which stream it was asked for.
pub(super) fn normalize_row<'r>(row: &'r Verified<'r>, region: Option<country::Id>, out: &mut dyn Sink<'r>) {
    let request = row.request();
    let told = request.query_fields().find(|(name, _)| *name == "stream").map(|(_, value)| value);
    let stream = told.and_then(|told| STREAMS.iter().find(|stream| stream.name == told));
    let text = std::str::from_utf8(request.body);
    let (Some(stream), Ok(text)) = (stream, text) else {
        out.fault(Fault::of_request("unknown_stream", "the letter does not tell what its row was asked for"));
        return;
    };
    let account_id = row.proof().account_id.as_deref();
    map::map(map::Origin { product: stream.product, stream: stream.name, text, account_id, region }, out);
}

/// As much as is asked for by pages where files may be asked for too.
const MOST_BY_PAGES_S: i64 = 86_400;

impl VonageApi {
    /// A report takes minutes, and a page a second; a thousand pages take longer than a report.
    fn is_by_pages(&self, asked: &Asked) -> bool {
        let stretch_s = asked.to.unix_seconds() - asked.from.unix_seconds();
        self.mode == Mode::Records || (self.mode == Mode::Auto && stretch_s <= MOST_BY_PAGES_S)
    }

    fn origin<'r>(&self, row: &Row<'r>) -> map::Origin<'r> {
        map::Origin {
            product: streams::product_of(row.stream).unwrap_or(row.stream),
            stream: row.stream,
            text: row.text,
            account_id: row.account_id,
            region: self.region,
        }
    }
}

impl Api for VonageApi {
    fn access(&self) -> &Access {
        &self.access
    }

    fn bases(&self) -> &[(&'static str, Url)] {
        &self.bases
    }

    fn paces(&self) -> &'static [Pace] {
        PACES
    }

    fn scheme(&self) -> &'static str {
        "vonage-basic"
    }

    fn widest_s(&self, stream: &StreamInfo) -> u32 {
        if self.mode == Mode::Records { stream.widest_s.min(86_400) } else { stream.widest_s }
    }

    fn via(&self, path: &str) -> &'static str {
        if requests::is_media(path) { "report" } else { "poll" }
    }

    fn reports(&self) -> Option<&dyn Reports> {
        Some(self)
    }

    fn want_texts(&mut self) {
        self.scope.with_texts = true;
    }

    fn ask(&self, question: &Question) -> Box<dyn Talk> {
        match question {
            Question::Check(asked) => Box::new(check::Check::about(asked, &self.scope)),
            Question::Counts(asked) | Question::Rows(asked) if self.is_by_pages(asked) => {
                Box::new(records::Records::about(asked, self.scope.clone()))
            }
            Question::Counts(asked) | Question::Rows(asked) => {
                Box::new(reports::Reports::about(asked, self.scope.clone()))
            }
        }
    }

    fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        judge::judge(request, answer)
    }

    fn map<'r>(&self, row: &Row<'r>, out: &mut dyn Sink<'r>) {
        map::map(self.origin(row), out);
    }

    fn placed_at(&self, row: &Row<'_>) -> Option<Time> {
        map::placed_at(self.origin(row))
    }
}

#[cfg(test)]
mod tests;
