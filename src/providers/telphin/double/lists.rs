//! `call_history` and `record`: lists, single calls and sums.

use serde_json::{Value, json};

use super::bounds::Span;
use super::calls::{Call, group_of};
use super::manners::Charset;
use super::{Answered, Level, Refusal, Telphin};
use crate::event::time::Time;
use crate::provider::double::{Request, Response};

impl Telphin {
    /// One question at a time.
    fn alone(&self, request: &Request) -> Result<(), Refusal> {
        if self.manners.rates && request.in_flight > 0 {
            return Err(Refusal::new(429, "Stats request already exists, concurrent request not allowed"));
        }
        Ok(())
    }

    /// `GET /client/{id}/call_history/`
    pub(super) fn history(&mut self, request: &Request, now: Time) -> Answered {
        reads(request)?;
        self.alone(request)?;
        let number = |name: &str| request.pair(name).and_then(|text| text.parse::<usize>().ok()).filter(|n| *n > 0);
        let per_page = number("per_page").unwrap_or(20).min(self.manners.page_calls);
        let page = number("page").unwrap_or(1);
        let calls = self.asked(request, now)?;
        let on_page = calls.iter().skip((page - 1).saturating_mul(per_page)).take(per_page);
        let told: Vec<Value> = on_page.map(|call| self.calls.told(call, &self.manners, now)).collect();
        let order = request.pair("order").unwrap_or("desc".into());
        Ok(self.written(&json!({"page": page, "per_page": per_page, "order": order, "call_history": told})))
    }

    /// The calls of which Telphin has learnt, the newest first unless another order is asked for.
    fn asked(&self, request: &Request, now: Time) -> Result<Vec<Call>, Refusal> {
        let span = Span::read(request, &self.manners)?;
        let calls = self.calls.begun(span.from_ms, span.to_ms.saturating_add(1));
        let mut calls: Vec<Call> = calls.filter(|call| self.calls.is_told(call, now)).collect();
        match request.pair("order").as_deref() {
            Some("asc") => {}
            None | Some("desc") => calls.reverse(),
            Some(_) => return Err(Refusal::new(400, "order is asc or desc")),
        }
        Ok(calls)
    }

    /// `GET /client/{id}/call_history/{call_uuid}`, in any case.
    pub(super) fn one_call(&mut self, id: &str, now: Time) -> Answered {
        let all = self.calls.begun(self.calls.world().since.unix_ms(), now.unix_ms().saturating_add(1));
        let is_it = |call: &Call| self.calls.id(call).eq_ignore_ascii_case(id) && self.calls.is_told(call, now);
        let call = all.rev().find(is_it).ok_or_else(Refusal::not_found)?;
        Ok(self.written(&self.calls.told(&call, &self.manners, now)))
    }

    /// `GET .../record/`, and `DELETE` of it for an extension: a bare list.
    pub(super) fn records(&mut self, request: &Request, level: Level, now: Time) -> Answered {
        if request.method == "DELETE" {
            return self.delete_range(request, level, now);
        }
        reads(request)?;
        self.alone(request)?;
        let recorded = self.recorded(request, level, now)?;
        Ok(self.written(&recorded.iter().map(|call| self.calls.record(call)).collect()))
    }

    fn delete_range(&mut self, request: &Request, level: Level, now: Time) -> Answered {
        if !matches!(level, Level::Extension(_)) {
            return Err(Refusal::new(405, "Method not allowed"));
        }
        for call in self.recorded(request, level, now)? {
            self.files.delete(&self.calls, &call);
        }
        Ok(Response::empty(204))
    }

    /// `GET .../record/stats/`. The names of its two members are documented nowhere.
    pub(super) fn record_stats(&mut self, request: &Request, level: Level, now: Time) -> Answered {
        reads(request)?;
        self.alone(request)?;
        let recorded = self.recorded(request, level, now)?;
        let bytes: usize = recorded.iter().map(|call| self.calls.bytes(call).len()).sum();
        Ok(Response::json(200, &json!({"call_records_size": bytes, "call_records_count": recorded.len()})))
    }

    /// Calls with a recording that is still there.
    fn recorded(&self, request: &Request, level: Level, now: Time) -> Result<Vec<Call>, Refusal> {
        let is_there = |call: &Call| {
            is_of(call, level) && self.calls.recording(call).is_some() && !self.files.is_deleted(&self.calls, call)
        };
        Ok(self.asked(request, now)?.into_iter().filter(is_there).collect())
    }

    /// JSON in the bytes in which names are written.
    fn written(&self, body: &Value) -> Response {
        let response = Response::json(200, body);
        match self.manners.charset {
            Charset::Utf8 => response,
            Charset::Cp1251 => Response { body: cp1251(&body.to_string()), ..response },
        }
    }
}

/// Whether a recording is one of a level.
pub(super) fn is_of(call: &Call, level: Level) -> bool {
    match level {
        Level::Client => true,
        Level::Group(group) => group_of(call.extension_id()) == Some(group),
        Level::Extension(id) => call.extension_id() == id,
    }
}

fn reads(request: &Request) -> Result<(), Refusal> {
    if request.method == "GET" { Ok(()) } else { Err(Refusal::new(405, "Method not allowed")) }
}

/// Cyrillic letters in the bytes of Windows; the names of a double hold no others that are not ASCII.
fn cp1251(text: &str) -> Vec<u8> {
    let byte = |letter: char| match u32::from(letter) {
        code @ 0x410..=0x44f => u8::try_from(code - 0x410 + 0xc0).unwrap_or(b'?'),
        code => u8::try_from(code).ok().filter(u8::is_ascii).unwrap_or(b'?'),
    };
    text.chars().map(byte).collect()
}
