//! `GET /v1/partners/cdrcountbyorg`: how many records each organisation has.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::bounds::{Bounds, Span};
use super::manners::{Empty, IdleOrgs, PageHeaders};
use super::{Answered, Refusal, Webex};
use crate::event::time::Time;
use crate::provider::double::{Door, Request, Response};

/// Cisco asks for one request at a time and names no pause.
const RETRY_AFTER_S: u64 = 2;

impl Webex {
    pub(super) fn counts(&mut self, request: &Request, now: Time) -> Answered {
        if self.manners.rates && request.in_flight > 0 {
            return Err(Refusal::too_many(RETRY_AFTER_S));
        }
        let bounds = Bounds::of_partner(self.manners.partner_reach_h);
        let span = bounds.read(request, now, self.manners.limits)?;
        let page = page(request)?;
        let counts = self.counted(span, request.door, now);
        if counts.is_empty() && self.manners.empty == Empty::NotFound {
            return Err(Refusal::nothing_found());
        }
        let size = self.manners.orgs_per_page;
        let entries: Vec<Value> = counts.iter().skip((page - 1).saturating_mul(size)).take(size).cloned().collect();
        let response = Response::json(200, &json!({"cdr_counts": entries}));
        Ok(self.with_pages(response, [counts.len().div_ceil(size), counts.len(), page]))
    }

    fn counted(&self, span: Span, door: Door, now: Time) -> Vec<Value> {
        let mut counts: BTreeMap<u32, i64> = BTreeMap::new();
        if self.manners.idle_orgs == IdleOrgs::Zero {
            counts.extend((0..self.calls.accounts()).map(|account| (account, 0)));
        }
        for (_, call) in self.chosen(span, self.axis(), now) {
            *counts.entry(call.account).or_default() += 1;
        }
        let here = counts.into_iter().filter(|(account, _)| self.is_at(door, *account));
        here.map(|(account, count)| {
            let told = if count > 0 { (count + self.manners.count_off).max(0) } else { 0 };
            json!({"orgId": self.calls.organisation(account), "count": told})
        })
        .collect()
    }

    fn with_pages(&self, response: Response, numbers: [usize; 3]) -> Response {
        let names = match self.manners.page_headers {
            PageHeaders::Words => ["Number-Of-Pages", "Total-Number-Of-Organizations", "Current-Page"],
            PageHeaders::Camel => ["totalPages", "totalOrgs", "currentPage"],
            PageHeaders::Prefixed => ["X-Total-Pages", "X-Total-Count", "X-Page"],
            PageHeaders::None => return response,
        };
        let named = names.into_iter().zip(numbers);
        named.fold(response, |response, (name, number)| response.with_header(name, &number.to_string()))
    }
}

fn page(request: &Request) -> Result<usize, Refusal> {
    let Some(text) = request.pair("page") else { return Ok(1) };
    let page = text.parse().ok().filter(|page| *page > 0);
    page.ok_or_else(|| Refusal::new(400, "The parameter page is not a number from 1"))
}
