//! `/v1/webhooks`: making, listing, changing and deleting webhooks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::calls::stamp;
use super::manners::Status;
use super::{Answered, Refusal, links};
use crate::event::time::Time;
use crate::provider::double::{Bases, Request, Response, dice};

/// Webhooks that there may be.
const MOST: usize = 1000;

/// Webhooks on a page, unless fewer are asked for.
const PAGE: usize = 100;

/// What must be told of a new webhook.
const NEEDED: [&str; 4] = ["name", "targetUrl", "resource", "event"];

/// What may be changed later. A secret is never shown.
const CHANGEABLE: [&str; 4] = ["name", "targetUrl", "secret", "status"];

/// All webhooks, in the order in which they were made.
#[derive(Debug)]
pub(super) struct Subscriptions {
    seed: u64,
    made: u64,
    webhooks: Vec<Map<String, Value>>,
}

impl Subscriptions {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, made: 0, webhooks: Vec::new() }
    }

    /// Gives all webhooks a status.
    pub(super) fn set_status(&mut self, status: Status) {
        for webhook in &mut self.webhooks {
            webhook.insert("status".to_owned(), status.as_str().into());
        }
    }

    pub(super) fn answer(&mut self, request: &Request, bases: &Bases, now: Time) -> Answered {
        // Ids are base64, whose `=` a client may have encoded.
        let id = request.path.strip_prefix("/v1/webhooks/").unwrap_or_default();
        let id = &*percent_decode_str(id).decode_utf8_lossy();
        match (request.method.as_str(), id) {
            ("GET", "") => self.list(request, bases),
            ("POST", "") => self.make(request, now),
            ("GET", _) => self.find(id).map(|webhook| Response::json(200, &shown(webhook))),
            ("PUT", _) if !id.is_empty() => self.change(id, request),
            ("DELETE", _) if !id.is_empty() => self.delete(id),
            _ => {
                let allowed = if id.is_empty() { "GET, POST" } else { "GET, PUT, DELETE" };
                Err(Refusal::new(405, "The method is not allowed here.").with_header("Allow", allowed))
            }
        }
    }

    fn list(&self, request: &Request, bases: &Bases) -> Answered {
        let number = |name: &str, absent: usize| match request.pair(name) {
            Some(text) => text.parse().map_err(|_| Refusal::new(400, format!("The parameter {name} is not a number"))),
            None => Ok(absent),
        };
        let (size, from) = (number("max", PAGE)?.clamp(1, PAGE), number("cursor", 0)?);
        let owner = request.pair("ownedBy");
        let is_asked = |webhook: &&Map<String, Value>| {
            owner.as_ref().is_none_or(|owner| webhook.get("ownedBy").and_then(Value::as_str) == Some(owner))
        };
        let all: Vec<Value> = self.webhooks.iter().filter(is_asked).map(shown).collect();
        let page: Vec<&Value> = all.iter().skip(from).take(size).collect();
        let response = Response::json(200, &json!({"items": page}));
        let next = from.saturating_add(size);
        if next >= all.len() {
            return Ok(response);
        }
        let query = links::with_changed(request, &[("cursor", next.to_string())]);
        let url = format!("{}{}?{query}", bases.of(request.door), request.path);
        Ok(response.with_header("Link", &links::ordinary(&url)))
    }

    fn make(&mut self, request: &Request, now: Time) -> Answered {
        let given = object(request)?;
        if let Some(missing) = NEEDED.iter().find(|name| !given.get(**name).is_some_and(Value::is_string)) {
            return Err(Refusal::new(400, format!("The member {missing} is missing")));
        }
        if self.webhooks.len() == MOST {
            return Err(Refusal::new(400, format!("There may be no more than {MOST} webhooks")));
        }
        self.made += 1;
        let id = |kind: &str, number: u64| {
            STANDARD.encode(format!("ciscospark://us/{kind}/{}", dice::uuid(self.seed, number, kind)))
        };
        let mut webhook = Map::from_iter([("id".to_owned(), id("WEBHOOK", self.made).into())]);
        let known = ["name", "targetUrl", "resource", "event", "filter", "secret", "ownedBy"];
        webhook.extend(known.iter().filter_map(|name| given.get_key_value(*name)).map(cloned));
        webhook.entry("ownedBy").or_insert_with(|| "creator".into());
        webhook.insert("orgId".to_owned(), id("ORGANIZATION", 0).into());
        webhook.insert("createdBy".to_owned(), id("PEOPLE", 0).into());
        webhook.insert("appId".to_owned(), id("APPLICATION", 0).into());
        webhook.insert("status".to_owned(), Status::Active.as_str().into());
        webhook.insert("created".to_owned(), stamp(now.unix_ms()).into());
        let response = Response::json(200, &shown(&webhook));
        self.webhooks.push(webhook);
        Ok(response)
    }

    fn change(&mut self, id: &str, request: &Request) -> Answered {
        let place = self.place(id)?;
        let given = object(request)?;
        let is_active = |status: &Value| *status == Status::Active.as_str();
        if given.get("status").is_some_and(|status| !is_active(status)) {
            return Err(Refusal::new(400, "The status can only be set to active"));
        }
        let Some(webhook) = self.webhooks.get_mut(place) else { return Err(unknown()) };
        webhook.extend(CHANGEABLE.iter().filter_map(|name| given.get_key_value(*name)).map(cloned));
        Ok(Response::json(200, &shown(webhook)))
    }

    fn delete(&mut self, id: &str) -> Answered {
        let place = self.place(id)?;
        self.webhooks.remove(place);
        Ok(Response::empty(204))
    }

    fn find(&self, id: &str) -> Result<&Map<String, Value>, Refusal> {
        self.webhooks.get(self.place(id)?).ok_or_else(unknown)
    }

    fn place(&self, id: &str) -> Result<usize, Refusal> {
        let is_it = |webhook: &Map<String, Value>| webhook.get("id").and_then(Value::as_str) == Some(id);
        self.webhooks.iter().position(is_it).ok_or_else(unknown)
    }
}

fn unknown() -> Refusal {
    Refusal::new(404, "The webhook is not known.")
}

fn cloned((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

fn shown(webhook: &Map<String, Value>) -> Value {
    webhook.iter().filter(|(name, _)| *name != "secret").map(cloned).collect::<Map<_, _>>().into()
}

fn object(request: &Request) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(&request.body).map_err(|_| Refusal::new(400, "The body is not an object in JSON"))
}
