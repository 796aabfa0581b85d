//! `/extension/{id}/event/`: what is subscribed of an extension.

use serde_json::{Value, json};

use super::{Answered, Refusal};
use crate::provider::double::{Request, Response};

/// Subscriptions that there may be of one extension.
const MOST: usize = 20;

/// What may be subscribed.
const TYPES: [&str; 7] = ["dial-in", "dial-out", "answer", "hangup", "message-in", "message-out", "voicemail"];

/// All subscriptions, each with its id and extension.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    made: u64,
    all: Vec<(u64, u64, Value)>,
}

impl Subscriptions {
    pub(super) fn answer(&mut self, request: &Request, extension_id: u64, rest: &[&str]) -> Answered {
        let id = rest.first().map(|id| id.parse().map_err(|_| Refusal::not_found())).transpose()?;
        match (request.method.as_str(), id) {
            ("GET", None) => Ok(Response::json(200, &self.of(extension_id).collect())),
            ("GET", Some(id)) => self.find(extension_id, id).map(|found| Response::json(200, found)),
            ("POST", None) => self.make(extension_id, request),
            ("PUT", Some(id)) => self.change(extension_id, id, request),
            ("DELETE", Some(id)) => {
                self.find(extension_id, id)?;
                self.all.retain(|(known, _, _)| *known != id);
                Ok(Response::empty(204))
            }
            // All of the extension, those of others among them.
            ("DELETE", None) => {
                self.all.retain(|(_, of, _)| *of != extension_id);
                Ok(Response::empty(204))
            }
            _ => Err(Refusal::new(405, "Method not allowed")),
        }
    }

    fn of(&self, extension_id: u64) -> impl Iterator<Item = Value> {
        self.all.iter().filter(move |(_, of, _)| *of == extension_id).map(|(_, _, subscription)| subscription.clone())
    }

    fn find(&self, extension_id: u64, id: u64) -> Result<&Value, Refusal> {
        let found = self.all.iter().find(|(known, of, _)| (*known, *of) == (id, extension_id));
        found.map(|(_, _, subscription)| subscription).ok_or_else(Refusal::not_found)
    }

    fn make(&mut self, extension_id: u64, request: &Request) -> Answered {
        if self.of(extension_id).count() >= MOST {
            return Err(Refusal::new(403, "Limit of events is exceeded").with_status("access_denied"));
        }
        self.made += 1;
        let subscription = read(self.made, request)?;
        self.all.push((self.made, extension_id, subscription.clone()));
        Ok(Response::json(201, &subscription))
    }

    fn change(&mut self, extension_id: u64, id: u64, request: &Request) -> Answered {
        let changed = read(id, request)?;
        let place = self.all.iter_mut().find(|(known, of, _)| (*known, *of) == (id, extension_id));
        let (_, _, subscription) = place.ok_or_else(Refusal::not_found)?;
        *subscription = changed.clone();
        Ok(Response::json(200, &changed))
    }
}

fn read(id: u64, request: &Request) -> Result<Value, Refusal> {
    let given: Value = serde_json::from_slice(&request.body).map_err(|_| Refusal::new(400, "The body is not JSON"))?;
    let text = |name: &str| given[name].as_str().map(ToOwned::to_owned);
    let event_type = text("event_type").filter(|word| TYPES.contains(&word.as_str()));
    let method = text("method").filter(|word| ["GET", "POST"].contains(&word.as_str()));
    match (event_type, method, text("url")) {
        (Some(event_type), Some(method), Some(url)) => {
            Ok(json!({"id": id, "event_type": event_type, "method": method, "url": url}))
        }
        _ => Err(Refusal::new(400, "event_type, method and url are needed")),
    }
}
