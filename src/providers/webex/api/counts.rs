//! How many records each customer has.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::ids;
use crate::provider::api::{Answer, Ending, Found, Heard, Request, Say, Talk, Verdict};

/// A page of so many customers may have another one behind it, whatever its headers say.
const FULL_PAGE: usize = 200;

/// A told number of customers that is not reached is asked for so often.
const TRIES: u32 = 3;

/// The whole answer of one page.
#[derive(Deserialize)]
struct Page {
    #[serde(alias = "cdrCounts", alias = "items")]
    cdr_counts: Vec<Count>,
}

#[derive(Deserialize)]
struct Count {
    #[serde(rename = "orgId", alias = "org_id", alias = "orgUUID")]
    org_id: String,
    count: Number,
}

/// A number that may stand in quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(u64),
    Text(String),
}

impl Number {
    fn value(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }
}

/// What headers say of the pages.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    pages: Option<u64>,
    organisations: Option<u64>,
}

/// The conversation: page by page, at one host after the other.
pub(super) struct Counts {
    request: Request,
    others: Vec<Request>,
    page: u64,
    found: BTreeMap<String, u64>,
    told: Told,
    tries: u32,
}

impl Counts {
    /// `others` are asked the same, since a customer may be known in one region alone.
    pub(super) fn new(request: Request, others: Vec<Request>) -> Self {
        Self { request, others, page: 1, found: BTreeMap::new(), told: Told::default(), tries: 1 }
    }

    fn ask(&self) -> Say {
        let request = self.request.clone();
        Say::Send(if self.page > 1 { request.with("page", self.page.to_string()) } else { request })
    }

    fn take(&mut self, answer: &Answer, found: &mut dyn Found) -> Say {
        let Some(page) = answer.json::<Page>() else { return self.ended(Some(Verdict::NotUnderstood), found) };
        let told = told(&answer.headers);
        self.told.pages = told.pages.or(self.told.pages);
        self.told.organisations = told.organisations.or(self.told.organisations);
        let before = self.found.len();
        for count in &page.cdr_counts {
            let Some(rows) = count.count.value() else { continue };
            let organisation = ids::lower_case(ids::organisation(count.org_id.as_str().into())).into_owned();
            let known = self.found.entry(organisation).or_default();
            *known = rows.max(*known);
        }
        let is_news = self.found.len() > before;
        let is_more =
            is_news && (page.cdr_counts.len() >= FULL_PAGE || self.told.pages.is_some_and(|pages| self.page < pages));
        if is_more {
            self.page += 1;
            return self.ask();
        }
        self.ended(None, found)
    }

    /// Behind the last page: the same once more where customers are missing, the next host, or the end.
    fn ended(&mut self, failed: Option<Verdict>, found: &mut dyn Found) -> Say {
        if let Some(verdict) = failed {
            self.tell(found);
            return Say::Done(Ending::Failed(verdict));
        }
        let is_short = self.told.organisations.is_some_and(|told| told > self.found.len() as u64);
        if is_short && self.others.is_empty() && self.tries < TRIES {
            self.tries += 1;
            self.page = 1;
            return self.ask();
        }
        if let Some(next) = self.others.pop() {
            (self.request, self.page) = (next, 1);
            return self.ask();
        }
        self.tell(found);
        Say::Done(if is_short { Ending::Partial("short_answer") } else { Ending::Whole })
    }

    fn tell(&self, found: &mut dyn Found) {
        self.found
            .iter()
            .filter(|(_, rows)| **rows > 0)
            .for_each(|(organisation, rows)| found.count(organisation, *rows));
    }
}

impl Talk for Counts {
    fn next(&mut self, heard: Heard<'_>, found: &mut dyn Found) -> Say {
        match heard {
            Heard::Begin => self.ask(),
            Heard::Answer(answer) if answer.status == 404 => self.ended(None, found),
            Heard::Answer(answer) => self.take(answer, found),
            Heard::Judged(Verdict::Elsewhere(url)) if self.request.elsewhere.as_ref() != Some(url) => {
                self.request.elsewhere = Some(url.clone());
                self.ask()
            }
            Heard::Judged(Verdict::Narrower) => Say::Done(Ending::Narrower),
            Heard::Judged(Verdict::Expired) => Say::Done(Ending::Expired),
            Heard::Judged(verdict) => self.ended(Some(verdict.clone()), found),
        }
    }
}

/// Reads the headers of a page, whose names are documented nowhere, by the words in them.
fn told(headers: &[(String, String)]) -> Told {
    let mut told = Told::default();
    for (name, value) in headers {
        let Ok(number) = value.trim().parse() else { continue };
        let has = |word: &str| name.to_ascii_lowercase().contains(word);
        let is_number = ["total", "count", "num", "pages"].iter().any(|word| has(word));
        if has("current") || has("length") || has("limit") || has("age") && !has("page") {
            continue;
        } else if has("page") && is_number {
            told.pages = Some(number);
        } else if has("org") || (has("total") && !has("page")) {
            told.organisations = Some(number);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_by_their_words() {
        for (headers, expected) in [
            (&[("x-total-pages", "2"), ("x-total-orgs", "283"), ("x-current-page", "1")][..], (Some(2), Some(283))),
            (
                &[("numberofpages", "2"), ("totalnumberoforganizations", "283"), ("currentpage", "1")],
                (Some(2), Some(283)),
            ),
            (&[("page-count", " 3 "), ("org-count", "7")], (Some(3), Some(7))),
            (&[("page", "1"), ("content-length", "100"), ("x-ratelimit-limit", "9"), ("age", "4")], (None, None)),
            (&[("total", "5")], (None, Some(5))),
            (&[("x-total-pages", "many")], (None, None)),
        ] {
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let told = told(&headers);
            assert_eq!((told.pages, told.organisations), expected, "{headers:?}");
        }
    }
}
