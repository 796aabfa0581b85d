//! Lists of records: `cdrsbyorg`, `cdr_feed` and `cdr_stream`, page by page.

use serde_json::{Value, json};

use super::bounds::{Bounds, Span};
use super::calls::{self, Call, LATEST_MS, LONGEST_MS};
use super::manners::{Cursor, Empty, Filter, Regions};
use super::{Answered, Refusal, Webex, links};
use crate::event::time::Time;
use crate::provider::double::{Door, Request, Response};

/// `max`, as it is clamped and where it is absent.
const MAX_RECORDS: (usize, usize) = (500, 5000);

/// Locations that a request may name.
const MOST_LOCATIONS: usize = 10;

/// The host that is told where a region is none of ours.
const FOREIGN_URL: &str = "https://analytics-calling-eu.example.net";

/// One of the two customer endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feed {
    /// `cdr_feed`: by the time of the record.
    Feed,
    /// `cdr_stream`: by when Webex learnt of it.
    Stream,
}

/// The time by which a list chooses and is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    Report,
    Start,
    Learnt,
}

impl Webex {
    /// `GET /v1/partners/cdrsbyorg`
    pub(super) fn records(&mut self, request: &Request, now: Time) -> Answered {
        let id = request.pair("orgId").ok_or_else(|| Refusal::new(400, "The parameter orgId is missing"))?;
        let bounds = Bounds::of_partner(self.manners.partner_reach_h);
        let span = bounds.read(request, now, self.manners.limits)?;
        let account = self.calls.account_of(&id).ok_or_else(|| Refusal::new(404, "The organization is not known."))?;
        self.right_door(request.door, account)?;
        self.list(request, account, span, self.axis(), now)
    }

    /// `GET /v1/cdr_feed` and `GET /v1/cdr_stream`
    pub(super) fn feed(&mut self, feed: Feed, request: &Request, now: Time) -> Answered {
        let bounds = if feed == Feed::Feed { Bounds::of_feed() } else { Bounds::of_stream() };
        let span = bounds.read(request, now, self.manners.limits)?;
        let asked = request.pair("orgId");
        let account = asked.map_or(Some(0), |id| self.calls.account_of(&id));
        let account = account.ok_or_else(|| Refusal::new(403, "The organization is not one of yours."))?;
        self.right_door(request.door, account)?;
        if self.manners.rates {
            self.rates.take(request, now)?;
        }
        let axis = if feed == Feed::Feed { self.axis() } else { Axis::Learnt };
        self.list(request, account, span, axis, now)
    }

    pub(super) fn axis(&self) -> Axis {
        match self.manners.filter {
            Filter::Report => Axis::Report,
            Filter::Start => Axis::Start,
        }
    }

    /// Whether the records of a customer are at a door.
    pub(super) fn is_at(&self, door: Door, account: u32) -> bool {
        let is_odd = account % 2 == 1;
        match self.manners.regions {
            Regions::One => true,
            Regions::Two => is_odd == (door == Door::Second),
            Regions::Foreign => !is_odd,
        }
    }

    fn right_door(&self, door: Door, account: u32) -> Result<(), Refusal> {
        if self.is_at(door, account) {
            return Ok(());
        }
        let url = match (self.manners.regions, door) {
            (Regions::Foreign, _) => FOREIGN_URL,
            (_, Door::First) => &self.bases.second,
            (_, Door::Second) => &self.bases.first,
        };
        Err(Refusal::elsewhere(url))
    }

    /// The calls of which Webex has learnt, with the time by which they were chosen, in its order.
    pub(super) fn chosen(&self, span: Span, axis: Axis, now: Time) -> Vec<(i64, Call)> {
        let (from_ms, to_ms) = match axis {
            Axis::Report => (span.from_ms, span.to_ms),
            Axis::Start => (span.from_ms, span.to_ms + LONGEST_MS),
            Axis::Learnt => (span.from_ms - LATEST_MS, span.to_ms),
        };
        let moment_ms = |call: &Call| match axis {
            Axis::Report => call.report_ms,
            Axis::Start => self.calls.start_ms(call),
            Axis::Learnt => call.learnt_ms,
        };
        let known = self.calls.reported(from_ms, to_ms + 1).filter(|call| call.learnt_ms <= now.unix_ms());
        let placed = known.map(|call| (moment_ms(&call), call));
        let mut chosen: Vec<_> =
            placed.filter(|(moment_ms, _)| (span.from_ms..=span.to_ms).contains(moment_ms)).collect();
        chosen.sort_by_key(|(moment_ms, call)| (*moment_ms, call.number));
        chosen
    }

    fn list(&self, request: &Request, account: u32, span: Span, axis: Axis, now: Time) -> Answered {
        let locations = locations(request)?;
        let of_account = self.chosen(span, axis, now).into_iter().filter(|(_, call)| call.account == account);
        let in_place = of_account.filter(|(_, call)| locations.is_empty() || self.is_in(call, &locations));
        let all: Vec<(i64, Call)> = in_place.flat_map(|call| std::iter::repeat_n(call, self.times(&call.1))).collect();
        if all.is_empty() && self.manners.empty == Empty::NotFound {
            return Err(Refusal::nothing_found());
        }
        self.page(request, &all, now)
    }

    fn is_in(&self, call: &Call, locations: &[String]) -> bool {
        let record = self.calls.record(call);
        record.get("Location").and_then(Value::as_str).is_some_and(|place| locations.iter().any(|name| name == place))
    }

    fn times(&self, call: &Call) -> usize {
        let is_doubled = self.calls.world().throw(call.number, "doubled").hits(self.manners.doubled_percent);
        if is_doubled { 2 } else { 1 }
    }

    fn page(&self, request: &Request, all: &[(i64, Call)], now: Time) -> Answered {
        let begin = all.partition_point(|(moment_ms, _)| *moment_ms < cursor_ms(request));
        let rest = all.get(begin..).unwrap_or_default();
        let most = max(request)?.min(self.manners.page_records);
        // The cursor is a time, so that records of the same time can not be parted.
        let last = rest.get(most - 1).map(|(moment_ms, _)| *moment_ms);
        let end = last.map_or(rest.len(), |last| rest.partition_point(|(moment_ms, _)| *moment_ms <= last));
        let (page, after) = rest.split_at(end);
        let items: Vec<Value> = page.iter().map(|(_, call)| Value::Object(self.calls.record_at(call, now))).collect();
        let response = Response::json(200, &json!({"items": items}));
        let Some((next_ms, _)) = after.first() else { return Ok(response) };
        let next_ms = match (self.manners.cursor, page.first(), page.last()) {
            (Cursor::Overlapping, Some((first_ms, _)), Some((last_ms, _))) if first_ms < last_ms => last_ms,
            _ => next_ms,
        };
        let changed = [(links::CURSOR, calls::stamp(*next_ms)), ("totalCount", all.len().to_string())];
        Ok(response.with_header("Link", &self.next_link(request, &changed)))
    }
}

fn locations(request: &Request) -> Result<Vec<String>, Refusal> {
    let names = request.pair("locations").unwrap_or_default();
    let names: Vec<String> =
        names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    let few = names.len() <= MOST_LOCATIONS;
    if few { Ok(names) } else { Err(Refusal::new(400, "More than 10 locations are not allowed")) }
}

fn max(request: &Request) -> Result<usize, Refusal> {
    let (least, most) = MAX_RECORDS;
    let Some(text) = request.pair("max") else { return Ok(most) };
    let number = text.parse::<usize>().map_err(|_| Refusal::new(400, "The parameter max is not a number"))?;
    Ok(number.clamp(least, most))
}

/// Where a further page begins; the first one begins with everything.
fn cursor_ms(request: &Request) -> i64 {
    let cursor = request.pair(links::CURSOR).and_then(|text| Time::parse_iso(&text));
    cursor.map_or(i64::MIN, Time::unix_ms)
}
