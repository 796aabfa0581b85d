//! Files of recordings, the store at the second door, and archives.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::calls::{Call, Calls};
use super::lists::is_of;
use super::manners::{Manners, Store};
use super::{Answered, Level, Refusal};
use crate::event::time::Time;
use crate::provider::double::{Bases, Request, Response, dice};

/// Where the store keeps files.
const STORED: &str = "/records/";

/// What is no more, and what was asked for.
#[derive(Debug, Default)]
pub(super) struct Files {
    deleted: BTreeSet<u64>,
    archives: u64,
}

impl Files {
    pub(super) fn is_deleted(&self, calls: &Calls, call: &Call) -> bool {
        calls.recording(call).is_none() || self.deleted.contains(&call.number)
    }

    pub(super) fn delete(&mut self, calls: &Calls, call: &Call) {
        if calls.recording(call).is_some() {
            self.deleted.insert(call.number);
        }
    }

    /// The call of a recording that can be fetched.
    fn find(
        &self,
        calls: &Calls,
        manners: &Manners,
        now: Time,
        is_it: impl Fn(&Call) -> bool,
    ) -> Result<Call, Refusal> {
        let since_ms = calls.world().since.unix_ms();
        let is_ready = |call: &Call| call.ends_ms + manners.files_ready_s * 1000 <= now.unix_ms();
        let mut all = calls.begun(since_ms, now.unix_ms()).rev();
        let found = all.find(|call| is_ready(call) && is_it(call) && !self.is_deleted(calls, call));
        found.ok_or_else(|| Refusal::new(404, "Record not found"))
    }

    fn by_uuid(&self, calls: &Calls, manners: &Manners, level: Level, uuid: &str, now: Time) -> Result<Call, Refusal> {
        self.find(calls, manners, now, |call| is_of(call, level) && calls.recording(call).as_deref() == Some(uuid))
    }

    /// `GET` and `DELETE .../record/{record_uuid}`
    pub(super) fn file(
        &mut self,
        calls: &Calls,
        manners: &Manners,
        request: &Request,
        level: Level,
        uuid: &str,
        now: Time,
    ) -> Answered {
        let call = self.by_uuid(calls, manners, level, uuid, now)?;
        match (request.method.as_str(), level) {
            ("GET", _) => {
                Ok(audio(calls, &call).with_header("Content-Disposition", &format!("attachment; filename={uuid}.mp3")))
            }
            ("DELETE", Level::Client) => {
                self.delete(calls, &call);
                Ok(Response::empty(204))
            }
            _ => Err(Refusal::new(405, "Method not allowed")),
        }
    }

    /// `GET .../record/{record_uuid}/storage_url/`: a link that asks for nothing and does not end.
    pub(super) fn link(
        &self,
        calls: &Calls,
        manners: &Manners,
        bases: &Bases,
        level: Level,
        uuid: &str,
        now: Time,
    ) -> Answered {
        let call = self.by_uuid(calls, manners, level, uuid, now)?;
        let base = match manners.store {
            Store::Second => &bases.second,
            Store::First => &bases.first,
            Store::None => return Err(Refusal::not_found()),
        };
        Ok(Response::json(200, &json!({"record_url": format!("{base}{STORED}{}.mp3", secret(calls, &call))})))
    }

    /// The store.
    pub(super) fn stored(&self, calls: &Calls, manners: &Manners, request: &Request, now: Time) -> Answered {
        let name = request.path.strip_prefix(STORED).and_then(|name| name.strip_suffix(".mp3"));
        let name = name.ok_or_else(Refusal::not_found)?;
        let call = self.find(calls, manners, now, |call| secret(calls, call) == name)?;
        Ok(audio(calls, &call))
    }

    /// `POST /client/{id}/record/archive/`. The names of its answer's members are documented nowhere.
    pub(super) fn archive(&mut self, request: &Request) -> Answered {
        let asked: Value =
            serde_json::from_slice(&request.body).map_err(|_| Refusal::new(400, "The body is not JSON"))?;
        let missing = ["start_datetime", "end_datetime", "email"].iter().find(|name| !asked[**name].is_string());
        if let Some(missing) = missing.filter(|_| request.method == "POST") {
            return Err(Refusal::new(400, format!("{missing} is missing")));
        }
        self.archives += 1;
        Ok(Response::json(201, &json!({"id": self.archives, "status": "queued", "count": 1, "size": 1000})))
    }
}

fn secret(calls: &Calls, call: &Call) -> String {
    dice::uuid(calls.world().seed, call.number, "link").replace('-', "")
}

fn audio(calls: &Calls, call: &Call) -> Response {
    Response { body: calls.bytes(call), ..Response::empty(200) }.with_header("Content-Type", "audio/mpeg")
}
