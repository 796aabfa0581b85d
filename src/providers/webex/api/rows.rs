//! Which records there are: of a customer in an hour, or of a feed.

use std::collections::HashSet;

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::super::search;
use super::link::{self, Next};
use crate::provider::api::{Answer, Ending, Found, Heard, Request, Say, Talk, Verdict};

/// Records of a page, and the least number to which that is brought down.
pub(super) const MAX: u32 = 5000;
const LEAST_MAX: u32 = 500;

/// The conversation: the first page, and whatever each page names as the next.
pub(super) struct Rows {
    request: Request,
    base: Option<Url>,
    pages: HashSet<[u8; 32]>,
}

impl Rows {
    /// `base` is the host that is asked, which alone is followed.
    pub(super) fn new(request: Request, base: Option<Url>) -> Self {
        Self { request, base, pages: HashSet::new() }
    }

    fn take(&mut self, answer: &Answer, found: &mut dyn Found) -> Say {
        let text = answer.text();
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let Ok(body) = serde_json::from_str::<&RawValue>(text) else {
            return Say::Done(Ending::Failed(Verdict::NotUnderstood));
        };
        let is_news = self.pages.insert(Sha256::digest(text).into());
        let seen = search::records(body, &mut |record| found.row(record.value.get()));
        match self.next_page(answer) {
            // A page that comes again would come for ever.
            Next::Here(_) if !is_news && seen.records > 0 => Say::Done(Ending::Partial("page_repeats")),
            Next::Here(url) => {
                self.request.path = url.path().to_owned();
                self.request.query = url.query_pairs().map(|(name, value)| (name.into(), value.into())).collect();
                Say::Send(self.request.clone())
            }
            Next::Foreign => Say::Done(Ending::Partial("foreign_host")),
            Next::None => Say::Done(Ending::Whole),
        }
    }

    fn next_page(&self, answer: &Answer) -> Next {
        let asked = self.request.elsewhere.as_ref().or(self.base.as_ref());
        match (answer.header("link"), asked) {
            (Some(header), Some(asked)) => link::next(header, asked),
            _ => Next::None,
        }
    }

    /// Asks for fewer records at a time, where the request says how many.
    fn fewer(&mut self) -> Option<Say> {
        let (_, max) = self.request.query.iter_mut().find(|(name, _)| name == "max")?;
        let fewer = max.parse::<u32>().ok().filter(|now| *now > LEAST_MAX)? / 2;
        *max = fewer.max(LEAST_MAX).to_string();
        Some(Say::Send(self.request.clone()))
    }
}

impl Talk for Rows {
    fn next(&mut self, heard: Heard<'_>, found: &mut dyn Found) -> Say {
        match heard {
            Heard::Begin => Say::Send(self.request.clone()),
            Heard::Answer(answer) if answer.status == 404 => Say::Done(Ending::Whole),
            Heard::Answer(answer) => self.take(answer, found),
            Heard::Judged(Verdict::Elsewhere(url)) if self.request.elsewhere.as_ref() != Some(url) => {
                self.request.elsewhere = Some(url.clone());
                Say::Send(self.request.clone())
            }
            Heard::Judged(Verdict::Narrower) => self.fewer().unwrap_or(Say::Done(Ending::Narrower)),
            Heard::Judged(Verdict::Expired) => Say::Done(Ending::Expired),
            Heard::Judged(verdict) => Say::Done(Ending::Failed(verdict.clone())),
        }
    }
}
