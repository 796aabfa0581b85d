//! How many records each organisation has in an hour, page by page, and host by host where there are further regions.
//!
//! How pages are told of is not documented but for three labels, so nothing depends on the headers alone: a full page
//! has one after it, and a page that tells of nobody new is the last. A link announces a page, and is not followed: pages
//! are known by their numbers. What the headers tell of the number of
//! organisations is compared with what was found.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use url::Url;

use super::body;
use super::headers::{self, Told};
use super::hosts::{Hosts, is_same};
use super::link::{self, Next};
use super::requests::{self, ANALYTICS};
use super::route::{Route, ending_of};
use crate::provider::api::{Answer, Asked, Ending, Found, Heard, Request, Say, Talk, Verdict};

/// Organisations on a full page (Cisco, "Detailed Call Records webhook").
const FULL_PAGE: usize = 200;

/// So often are all pages read again where they are short of what is told.
const MAX_REPETITIONS: u32 = 2;

/// A conversation about numbers.
#[derive(Debug)]
pub(super) struct Counts {
    request: Request,
    hosts: Arc<Hosts>,
    route: Route,
    /// Hosts of regions that are still to be asked.
    waiting: VecDeque<Url>,
    walk: Walk,
    repetitions: u32,
    is_short: bool,
    /// The greatest number of each organisation, whichever page or host it was on.
    rows: BTreeMap<String, u64>,
}

/// One reading of all pages of one host.
#[derive(Debug)]
struct Walk {
    page: u64,
    told: Told,
    organisations: BTreeSet<String>,
}

impl Walk {
    fn begin() -> Self {
        Self { page: 1, told: Told::default(), organisations: BTreeSet::new() }
    }

    fn is_short(&self) -> bool {
        let found = u64::try_from(self.organisations.len()).unwrap_or(u64::MAX);
        self.told.organisations.is_some_and(|told| told != found)
    }

    fn hears(&mut self, headers: &[(String, String)]) {
        let told = headers::told(headers);
        self.told.pages = told.pages.or(self.told.pages);
        self.told.organisations = told.organisations.or(self.told.organisations);
    }
}

impl Counts {
    /// Begins to ask.
    pub(super) fn about(asked: &Asked, hosts: &Arc<Hosts>) -> Self {
        let route = Route::to(asked.region.as_ref(), hosts);
        let request = requests::counts(asked);
        let further = hosts.regions().iter().filter(|region| !route.leads_to(region, &request));
        let waiting = further.filter(|region| !hosts.base(ANALYTICS).is_some_and(|base| is_same(base, region)));
        Self {
            waiting: waiting.cloned().collect(),
            request,
            hosts: Arc::clone(hosts),
            route,
            walk: Walk::begin(),
            repetitions: 0,
            is_short: false,
            rows: BTreeMap::new(),
        }
    }

    fn request(&self) -> Request {
        let request = self.route.lead(&self.request);
        if self.walk.page > 1 { request.with("page", self.walk.page.to_string()) } else { request }
    }

    fn take(&mut self, answer: &Answer) -> Option<Ending> {
        let Some(listed) = body::counts(answer) else { return Some(Ending::Failed(Verdict::NotUnderstood)) };
        self.walk.hears(&answer.headers);
        let is_full = listed.len() >= FULL_PAGE;
        let known = self.walk.organisations.len();
        for (organisation, rows) in listed {
            let greatest = self.rows.entry(organisation.clone()).or_default();
            *greatest = rows.max(*greatest);
            self.walk.organisations.insert(organisation);
        }
        let tells_of_others = self.walk.organisations.len() > known;
        let is_announced =
            self.walk.told.pages.is_some_and(|pages| self.walk.page < pages) || link::next(answer) != Next::Nothing;
        if tells_of_others && (is_full || is_announced) {
            self.walk.page += 1;
            return None;
        }
        self.end_walk()
    }

    fn end_walk(&mut self) -> Option<Ending> {
        if self.walk.is_short() && self.repetitions < MAX_REPETITIONS {
            self.repetitions += 1;
            self.walk = Walk::begin();
            return None;
        }
        self.is_short |= self.walk.is_short();
        self.next_host()
    }

    fn next_host(&mut self) -> Option<Ending> {
        match self.waiting.pop_front() {
            Some(region) => {
                self.route = Route::to(Some(&region), &self.hosts);
                self.walk = Walk::begin();
                self.repetitions = 0;
                None
            }
            None if self.is_short => Some(Ending::Partial("short_answer")),
            None => Some(Ending::Whole),
        }
    }

    /// The host to which we are sent may be one that would have been asked anyway.
    fn judged(&mut self, verdict: &Verdict, found: &mut dyn Found) -> Option<Ending> {
        if !self.route.turns(verdict, found) {
            return Some(ending_of(verdict));
        }
        self.walk = Walk::begin();
        let (route, request) = (&self.route, &self.request);
        self.waiting.retain(|region| !route.leads_to(region, request));
        None
    }
}

impl Talk for Counts {
    /// Numbers are handed over at the end, whatever that is: until then one may turn out to be greater.
    fn next(&mut self, heard: Heard<'_>, found: &mut dyn Found) -> Say {
        let ending = match heard {
            Heard::Begin | Heard::Waited | Heard::File(_) => None,
            Heard::Answer(answer) => self.take(answer),
            Heard::Judged(verdict) => self.judged(verdict, found),
        };
        let Some(ending) = ending else { return Say::Send(self.request()) };
        self.rows.iter().for_each(|(organisation, rows)| found.count(organisation, *rows));
        Say::Done(ending)
    }
}

#[cfg(test)]
mod tests;
