//! Which records there are: page by page, as far as `Link` leads.
//!
//! The cursor in a link is a time, so a page may begin with records that the one before it ended with. Rows are handed
//! on all the same; they are only remembered by a hash each, to tell a page that repeats and an answer that is short.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use url::Url;

use super::body;
use super::hosts::Hosts;
use super::link::{self, Next};
use super::requests::{self, FIRST, LEAST_A_PAGE, MOST_A_PAGE, PAGES};
use super::route::{Route, ending_of};
use crate::provider::api::{Answer, Asked, Ending, Found, Heard, Request, Say, Talk, Verdict};

/// So often is the same asked again where an answer is short.
const MAX_REPETITIONS: u32 = 2;

/// So many pages may repeat one before them, as long as their links lead on. More are no accident.
const MAX_REPEATED_PAGES: u32 = 2;

/// A conversation about rows.
#[derive(Debug)]
pub(super) struct Rows {
    asked: Asked,
    organisation: Option<String>,
    route: Route,
    a_page: u32,
    request: Request,
    course: Course,
    /// Hashes of all rows.
    rows: HashSet<u64>,
}

/// What was heard since the first page was asked for.
#[derive(Debug, Default)]
struct Course {
    /// Paths and queries of the pages that were asked for.
    followed: HashSet<String>,
    /// Number and sum of the hashes of the rows of each page.
    pages: HashSet<Page>,
    /// How many rows there are on all pages.
    told: Option<usize>,
    repetitions: u32,
    repeated_pages: u32,
}

/// What one page held, in whatever order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
struct Page {
    rows: usize,
    sum: u64,
}

impl Rows {
    /// Begins to ask. `organisation` is whose records are meant where the question names none.
    pub(super) fn about(asked: &Asked, organisation: Option<&str>, hosts: &Arc<Hosts>) -> Self {
        Self {
            request: requests::rows(asked, organisation, MOST_A_PAGE),
            asked: asked.clone(),
            organisation: organisation.map(ToOwned::to_owned),
            route: Route::to(asked.region.as_ref(), hosts),
            a_page: MOST_A_PAGE,
            course: Course::default(),
            rows: HashSet::new(),
        }
    }

    fn take(&mut self, answer: &Answer, found: &mut dyn Found) -> Option<Ending> {
        let Some(page) = self.read(answer, found) else { return Some(Ending::Failed(Verdict::NotUnderstood)) };
        let is_asked_again = self.course.repetitions > 0;
        let repeats = page.rows > 0 && !self.course.pages.insert(page) && !is_asked_again;
        self.course.repeated_pages += u32::from(repeats);
        match link::next(answer) {
            Next::At(_) if self.course.repeated_pages > MAX_REPEATED_PAGES => Some(Ending::Partial("page_repeats")),
            Next::At(url) => self.follow(&url),
            Next::Nothing => self.end(page),
            Next::Unreadable => Some(Ending::Partial("malformed_link")),
        }
    }

    fn read(&mut self, answer: &Answer, found: &mut dyn Found) -> Option<Page> {
        let mut page = Page::default();
        let rows = &mut self.rows;
        body::rows(answer, &mut |row| {
            let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(row);
            rows.insert(hash);
            page = Page { rows: page.rows + 1, sum: page.sum.wrapping_add(hash) };
            found.row(row);
        })?;
        Some(page)
    }

    /// Goes on to the next page: its path and query as they stand, on the host of this one.
    fn follow(&mut self, url: &Url) -> Option<Ending> {
        if !self.route.leads_to(url, &self.request) {
            return Some(Ending::Partial("foreign_host"));
        }
        if !self.course.followed.insert(format!("{}?{}", url.path(), url.query().unwrap_or_default())) {
            return Some(Ending::Partial("page_repeats"));
        }
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let total = query.iter().find(|(name, _)| name.eq_ignore_ascii_case("totalCount"));
        self.course.told = self.course.told.or_else(|| total?.1.parse().ok());
        self.course.repetitions = 0;
        let class = if self.request.class == FIRST { PAGES } else { self.request.class };
        self.request = Request { class, path: url.path().to_owned(), query, ..self.request.clone() };
        None
    }

    /// A page without another one after it. If more was told, the same is asked again.
    fn end(&mut self, page: Page) -> Option<Ending> {
        let is_short = match self.course.told {
            Some(told) => self.rows.len() < told,
            None => page.rows == 0 && !self.course.followed.is_empty(),
        };
        if is_short && self.course.repetitions < MAX_REPETITIONS {
            self.course.repetitions += 1;
            return None;
        }
        Some(match (is_short, self.course.repeated_pages) {
            (true, _) => Ending::Partial("short_answer"),
            (false, 0) => Ending::Whole,
            // Its place may have been another page's, of which nothing came.
            (false, _) => Ending::Partial("page_repeats"),
        })
    }

    fn judged(&mut self, verdict: &Verdict, found: &mut dyn Found) -> Option<Ending> {
        if self.route.turns(verdict, found) {
            return None;
        }
        let may_be_smaller = requests::a_page_of(&self.request).is_some() && self.a_page > LEAST_A_PAGE;
        if *verdict != Verdict::Narrower || !may_be_smaller {
            return Some(ending_of(verdict));
        }
        self.begin_with((self.a_page / 2).max(LEAST_A_PAGE));
        None
    }

    /// Begins anew with smaller pages: a link is never changed.
    fn begin_with(&mut self, a_page: u32) {
        self.a_page = a_page;
        self.request = requests::rows(&self.asked, self.organisation.as_deref(), a_page);
        self.course = Course::default();
    }
}

impl Talk for Rows {
    fn next(&mut self, heard: Heard<'_>, found: &mut dyn Found) -> Say {
        let ending = match heard {
            Heard::Begin | Heard::Waited | Heard::File(_) => None,
            Heard::Answer(answer) => self.take(answer, found),
            Heard::Judged(verdict) => self.judged(verdict, found),
        };
        ending.map_or_else(|| Say::Send(self.route.lead(&self.request)), Say::Done)
    }
}

#[cfg(test)]
mod tests;
