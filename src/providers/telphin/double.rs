//! A double of Telphin's API: tokens, call history, recordings with their store, and subscriptions.
//!
//! It is written from what the operators of the platform document and what others have seen, as
//! `docs/providers/telphin.md` tells it, and not from our client. Where sources disagree, [`manners`] has both ways.
//!
//! The second door is the store of recordings, which asks for no credentials.

use serde_json::Value;

mod bounds;
mod calls;
mod deliveries;
mod files;
mod lists;
mod manners;
mod quota;
mod refusal;
mod subscriptions;
mod tokens;

use crate::event::time::Time;
use crate::provider::double::script::{self, ScriptError};
use crate::provider::double::world::World;
use crate::provider::double::{Bases, Delivery, Door, Double, DoubleInfo, Entrance, Recipient, Request, Response};
use calls::{CLIENT_ID, Calls};
use deliveries::Deliveries;
use files::Files;
use manners::Manners;
use quota::Quota;
use refusal::Refusal;
use subscriptions::Subscriptions;
use tokens::Tokens;

/// What is known of the double.
pub(super) static INFO: DoubleInfo = DoubleInfo {
    summary: "tokens, call history, recordings and their store, subscriptions; the events of the same calls",
    open: |world, bases| Box::new(Telphin::new(world, bases)),
};

/// An answer, or a refusal.
type Answered = Result<Response, Refusal>;

/// Where everything but tokens lies.
const ROOT: &str = "/api/ver1.0/";

#[derive(Debug)]
struct Telphin {
    bases: Bases,
    calls: Calls,
    manners: Manners,
    tokens: Tokens,
    quota: Quota,
    files: Files,
    subscriptions: Subscriptions,
    deliveries: Deliveries,
}

/// Whose calls a path is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Client,
    Group(u64),
    Extension(u64),
}

impl Telphin {
    fn new(world: World, bases: Bases) -> Self {
        Self {
            bases,
            calls: Calls::new(world),
            manners: Manners::default(),
            tokens: Tokens::new(world.seed),
            quota: Quota::default(),
            files: Files::default(),
            subscriptions: Subscriptions::default(),
            deliveries: Deliveries::new(world),
        }
    }

    fn route(&mut self, request: &Request, now: Time) -> Answered {
        if request.door == Door::Second {
            return self.files.stored(&self.calls, &self.manners, request, now);
        }
        if request.path.trim_end_matches('/') == "/oauth/token" {
            return self.tokens.grant(request, &self.manners, now);
        }
        let Some(path) = request.path.strip_prefix(ROOT) else { return Err(Refusal::not_found()) };
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        self.authorize(request, now)?;
        self.quota.take(&self.manners, now)?;
        self.resource(request, &parts, now)
    }

    fn authorize(&self, request: &Request, now: Time) -> Result<(), Refusal> {
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let known = token.is_some_and(|token| self.tokens.opens(token, now));
        if known { Ok(()) } else { Err(Refusal::new(401, "Unauthorized")) }
    }

    fn resource(&mut self, request: &Request, parts: &[&str], now: Time) -> Answered {
        if let ["user"] = parts {
            self.demand_gzip(request)?;
            return Ok(Response::json(200, &self.calls.user(&self.manners)));
        }
        let (level, rest) = self.level(parts)?;
        if let ["record", uuid] = rest
            && *uuid != "stats"
            && *uuid != "archive"
        {
            return self.files.file(&self.calls, &self.manners, request, level, uuid, now);
        }
        self.demand_gzip(request)?;
        match (level, rest) {
            (Level::Client, ["extension"]) => Ok(self.calls.extensions(request)),
            (Level::Client, ["call_history"]) => self.history(request, now),
            (Level::Client, ["call_history", id]) => self.one_call(id, now),
            (_, ["record"]) => self.records(request, level, now),
            (_, ["record", "stats"]) => self.record_stats(request, level, now),
            (Level::Client, ["record", "archive"]) => self.files.archive(request),
            (Level::Client | Level::Extension(_), ["record", uuid, "storage_url"]) => {
                self.files.link(&self.calls, &self.manners, &self.bases, level, uuid, now)
            }
            (Level::Extension(id), ["event", ..]) => self.subscriptions.answer(request, id, &rest[1..]),
            _ => Err(Refusal::not_found()),
        }
    }

    /// The first two parts of a path. `@me` is the client itself.
    fn level<'p>(&self, parts: &'p [&'p str]) -> Result<(Level, &'p [&'p str]), Refusal> {
        let [kind, id, rest @ ..] = parts else { return Err(Refusal::not_found()) };
        let number: Option<u64> = id.parse().ok();
        match (*kind, number) {
            ("client", _) if *id == "@me" || number == Some(CLIENT_ID) => Ok((Level::Client, rest)),
            ("client", _) => Err(Refusal::new(404, "Client not found").with_status("client_not_found")),
            ("extension_group", Some(group)) if self.calls.has_group(group) => Ok((Level::Group(group), rest)),
            ("extension", Some(id)) if self.calls.has_extension(id) => Ok((Level::Extension(id), rest)),
            _ => Err(Refusal::not_found()),
        }
    }

    /// The rules call it obligatory to take compressed answers.
    fn demand_gzip(&self, request: &Request) -> Result<(), Refusal> {
        let takes = request.header("accept-encoding").is_some_and(|value| value.contains("gzip"));
        match takes || !self.manners.gzip_demanded {
            true => Ok(()),
            false => Err(Refusal::new(406, "Accept-Encoding: gzip is required")),
        }
    }
}

impl Double for Telphin {
    fn answer(&mut self, request: &Request, now: Time) -> Response {
        let response = self.route(request, now).unwrap_or_else(Refusal::into_response);
        match request.door {
            Door::First => self.quota.tell(&self.manners, now, response),
            Door::Second => response,
        }
    }

    fn behave(&mut self, script: &str) -> Result<(), ScriptError> {
        self.manners = script::manners(script)?;
        Ok(())
    }

    fn facts(&self, from: Time, to: Time) -> Vec<Value> {
        let calls = self.calls.begun(from.unix_ms(), to.unix_ms());
        calls.map(|call| self.deliveries.fact(&self.calls, &call)).collect()
    }

    fn due(&mut self, recipient: &Recipient, now: Time) -> Option<Delivery> {
        self.deliveries.due(&self.calls, recipient, now)
    }

    fn delivered(&mut self, delivery_id: u64, taken: bool) {
        self.deliveries.delivered(delivery_id, taken);
    }

    fn entrance(&self) -> Entrance {
        let credentials = self.tokens.credentials();
        let keys: String = credentials.iter().take(2).map(|(key, value)| format!("{key} = \"{value}\"\n")).collect();
        let source = format!(
            "account_id = \"{CLIENT_ID}\"\n{keys}api_url = \"{}\"\n\n[sources.reconcile]\nproducts = [\"call_history\"]\n",
            self.bases.first
        );
        Entrance { credentials, source }
    }
}

#[cfg(test)]
mod tests;
