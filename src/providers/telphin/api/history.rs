//! Which calls there were: whose credentials these are, then page by page, and then one by one the calls of recordings
//! that were on no page.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use super::Account;
use super::body;
use super::requests::{self, RECORD};
use super::times::time_of;
use super::zone::Zone;
use crate::json::Members;
use crate::provider::api::{Answer, Asked, Ending, Found, Heard, Question, Request, Say, Talk, Verdict};
use crate::providers::telphin::event::id_of;

/// A conversation about calls.
#[derive(Debug)]
pub(super) struct History {
    account: Arc<Account>,
    asked: Asked,
    /// Whether it only matters that there is an answer.
    is_check: bool,
    step: Step,
    zone: Zone,
    /// Hashes of the calls of the last page, and of all calls.
    last_page: HashSet<u64>,
    calls: HashSet<u64>,
    /// Calls of recordings that were on no page, the next one last.
    waiting: Vec<String>,
    /// Whether there is a recording whose call is not there.
    is_short: bool,
}

/// What was asked last.
#[derive(Debug, Clone)]
enum Step {
    User,
    Page(u32),
    Recordings,
    Call(String),
}

impl History {
    pub(super) fn about(question: &Question, account: &Arc<Account>) -> Self {
        let (Question::Counts(asked) | Question::Rows(asked) | Question::Check(asked)) = question;
        let is_check = matches!(question, Question::Check(_));
        let knows_account = account.is_confirmed() && !is_check;
        Self {
            account: Arc::clone(account),
            zone: Zone::asked(asked.from, asked.to),
            asked: asked.clone(),
            is_check,
            step: if knows_account { Step::Page(1) } else { Step::User },
            last_page: HashSet::new(),
            calls: HashSet::new(),
            waiting: Vec::new(),
            is_short: false,
        }
    }

    fn request(&self) -> Request {
        match &self.step {
            Step::User => requests::user(),
            Step::Page(page) => requests::calls(&self.account, &self.asked, *page),
            Step::Recordings => requests::recordings(&self.account, &self.asked),
            Step::Call(id) => requests::call(&self.account, id),
        }
    }

    fn take(&mut self, answer: &Answer, found: &mut dyn Found) -> Option<Ending> {
        let text = answer.text();
        let taken = match self.step.clone() {
            Step::User => Some(self.user(&text)),
            Step::Page(page) => self.page(page, answer, found),
            Step::Recordings => self.recordings(answer),
            Step::Call(_) => self.call(answer, found),
        };
        if let Some(Some(Ending::Failed(Verdict::Misconfigured { .. }))) = taken {
            found.take_back();
        }
        taken.unwrap_or(Some(Ending::Failed(Verdict::NotUnderstood)))
    }

    fn user(&mut self, text: &str) -> Option<Ending> {
        if let Err(mend) = self.account.is_that_of(text) {
            return Some(Ending::Failed(Verdict::Misconfigured { word: "wrong_account", mend }));
        }
        self.step = Step::Page(1);
        None
    }

    /// The outer option is none where the answer is no page.
    fn page(&mut self, number: u32, answer: &Answer, found: &mut dyn Found) -> Option<Option<Ending>> {
        let text = answer.text();
        let text = if answer.status == 204 { "{\"call_history\":[]}" } else { &*text };
        let page = body::page(text)?;
        let mut on_page = HashSet::new();
        for call in &page.calls {
            on_page.insert(self.see(call.get()));
            if !self.is_check {
                found.row(call.get());
            }
        }
        if !on_page.is_empty() && on_page.is_subset(&self.last_page) {
            return Some(Some(Ending::Partial("page_repeats")));
        }
        let is_last = page.calls.len() < page.a_page || self.is_check;
        self.last_page = on_page;
        self.step = Step::Page(number.saturating_add(1));
        Some(if is_last { self.end_of_pages() } else { None })
    }

    /// Looks at a call, and returns its hash.
    fn see(&mut self, text: &str) -> u64 {
        let members = Members::parse(text).unwrap_or_default();
        if let Some(begins) = time_of(&members, "init_time_gmt") {
            self.zone.see(begins, time_of(&members, "hangup_time_gmt"));
        }
        let hash = id(&members).map_or_else(|| hash(text), |id| hash(&id));
        self.calls.insert(hash);
        hash
    }

    fn end_of_pages(&mut self) -> Option<Ending> {
        if let Some(others) = self.zone.others(self.account.utc_offset_min) {
            return Some(wrong_zone(&others));
        }
        if self.asked.stream != RECORD || self.is_check {
            return Some(Ending::Whole);
        }
        self.step = Step::Recordings;
        None
    }

    fn recordings(&mut self, answer: &Answer) -> Option<Option<Ending>> {
        let text = answer.text();
        let recordings = if answer.status == 204 { Vec::new() } else { body::list(&text)? };
        for recording in recordings {
            let members = Members::parse(recording.get()).unwrap_or_default();
            if let Some(id) = id(&members).filter(|id| self.calls.insert(hash(id))) {
                self.waiting.push(id);
            }
        }
        Some(self.next_call())
    }

    fn call(&mut self, answer: &Answer, found: &mut dyn Found) -> Option<Option<Ending>> {
        let text = answer.text();
        match answer.status {
            204 | 404 => self.is_short = true,
            _ => found.row(body::object(&text)?),
        }
        Some(self.next_call())
    }

    fn next_call(&mut self) -> Option<Ending> {
        match self.waiting.pop() {
            Some(id) => {
                self.step = Step::Call(id);
                None
            }
            None if self.is_short => Some(Ending::Partial("call_not_found")),
            None => Some(Ending::Whole),
        }
    }
}

/// The id of a call, in upper case, if it is one that may stand in a path.
fn id(members: &Members<'_>) -> Option<String> {
    let id = id_of(members.text_or_number("call_uuid")?)?;
    let may_stand = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    may_stand.then(|| id.to_ascii_uppercase())
}

fn hash(text: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(text)
}

fn wrong_zone(others: &[i64]) -> Ending {
    let others: Vec<String> = others.iter().map(ToString::to_string).collect();
    let mend = format!(
        "the API tells calls of another time than was asked for: it reads times in another zone. Compare some calls, \
         and set api_utc_offset_min. These would fit: {}",
        others.join(", ")
    );
    Ending::Failed(Verdict::Misconfigured { word: "wrong_zone", mend })
}

impl Talk for History {
    fn next(&mut self, heard: Heard<'_>, found: &mut dyn Found) -> Say {
        let ending = match heard {
            Heard::Begin | Heard::Waited | Heard::File(_) => None,
            Heard::Answer(answer) => self.take(answer, found),
            Heard::Judged(Verdict::Narrower) => Some(Ending::Narrower),
            Heard::Judged(Verdict::Expired) => Some(Ending::Expired),
            Heard::Judged(verdict) => Some(Ending::Failed(verdict.clone())),
        };
        ending.map_or_else(|| Say::Send(self.request()), Say::Done)
    }
}

#[cfg(test)]
mod tests;
