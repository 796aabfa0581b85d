//! Webhooks of an organisation: one that tells of its calls.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::link::{self, Next};
use super::requests::{API, WEBHOOKS};
use crate::provider::api::{Answer, Request, Verb};
use crate::provider::subscriptions::{Change, Deed, Destination, Subscriptions, Survey, Surveyor, Wish};

const PATH: &str = "/v1/webhooks";
const RESOURCE: &str = "telephony_calls";
const EVENT: &str = "all";
const OWNER: &str = "org";

/// More pages than any organisation has.
const MOST_PAGES: u32 = 100;

/// The webhooks of one organisation.
#[derive(Debug)]
pub(super) struct WebexSubscriptions;

impl Subscriptions for WebexSubscriptions {
    fn survey(&self, destination: Destination, wish: Wish) -> Box<dyn Surveyor> {
        // They are signed, so that the URL needs no token.
        let token = destination.token.filter(|_| destination.secret.is_none());
        let destination = Destination { token, ..destination };
        Box::new(Surveying { destination, wish, pages: 0, ours: Vec::new() })
    }
}

struct Surveying {
    destination: Destination,
    wish: Wish,
    pages: u32,
    ours: Vec<Value>,
}

impl Surveyor for Surveying {
    fn next(&mut self, heard: Option<&Answer>) -> Survey {
        let first = || Request::get(API, WEBHOOKS, PATH).with("ownedBy", OWNER).with("max", "100");
        let Some(answer) = heard else { return Survey::Ask(first()) };
        let body = answer.json::<Value>().unwrap_or_default();
        let Some(items) = body["items"].as_array() else {
            return Survey::Stop { word: "not_understood", mend: "Webex's answer is no list of webhooks".to_owned() };
        };
        let is_ours = |webhook: &&Value| self.destination.is_ours(text(webhook, "targetUrl"));
        self.ours.extend(items.iter().filter(is_ours).cloned());
        self.pages += 1;
        match link::next(answer) {
            // Only its query counts: the host is the one that was asked.
            Next::At(url) if self.pages < MOST_PAGES => {
                let query = url.query_pairs().into_owned().collect();
                Survey::Ask(Request { query, ..Request::get(API, WEBHOOKS, PATH) })
            }
            Next::Nothing => Survey::Plan(self.plan()),
            _ => Survey::Stop {
                word: "malformed_link",
                mend: "the list of webhooks can not be read to its end".to_owned(),
            },
        }
    }
}

impl Surveying {
    fn plan(&self) -> Vec<Change> {
        let is_right = |webhook: &&Value| {
            text(webhook, "resource") == RESOURCE
                && text(webhook, "event") == EVENT
                && text(webhook, "targetUrl") == self.destination.whole_url()
        };
        let (right, wrong): (Vec<&Value>, Vec<&Value>) = self.ours.iter().partition(is_right);
        if self.wish == Wish::Removed {
            return right.into_iter().chain(wrong).map(remove).collect();
        }
        let (best, doubled) = match right.split_first() {
            Some((best, doubled)) => (Some(*best), doubled),
            None => (None, &[][..]),
        };
        let others = doubled.iter().copied().chain(wrong).map(remove);
        std::iter::once(self.change(best)).chain(others).collect()
    }

    fn change(&self, there: Option<&Value>) -> Change {
        let what = format!("{RESOURCE} {EVENT}");
        let make = Request { verb: Verb::Post, body: Some(self.body()), ..Request::get(API, WEBHOOKS, PATH) };
        let change = |deed, requests| Change { deed, what: what.clone(), requests };
        match there {
            None => change(Deed::Add, vec![make]),
            Some(old) if self.wish == Wish::Renewed => {
                let requests = std::iter::once(make).chain(remove(old).requests).collect();
                change(Deed::Repair, requests)
            }
            Some(known) if text(known, "status") == "active" => change(Deed::Keep, Vec::new()),
            Some(known) => change(Deed::Repair, vec![self.activate(known)]),
        }
    }

    /// Webex gives a webhook up after too many failures.
    fn activate(&self, webhook: &Value) -> Request {
        let mut body = self.members();
        body["status"] = "active".into();
        Request { verb: Verb::Put, body: Some(body.to_string()), ..Request::get(API, WEBHOOKS, path_of(webhook)) }
    }

    fn body(&self) -> String {
        let mut body = self.members();
        for (name, value) in [("resource", RESOURCE), ("event", EVENT), ("ownedBy", OWNER)] {
            body[name] = value.into();
        }
        body.to_string()
    }

    fn members(&self) -> Value {
        let mut members = json!({"name": "trunkline", "targetUrl": self.destination.whole_url()});
        if let Some(secret) = &self.destination.secret {
            members["secret"] = secret.expose_secret().into();
        }
        members
    }
}

fn remove(webhook: &Value) -> Change {
    Change {
        deed: Deed::Remove,
        what: format!("{} {}", text(webhook, "resource"), text(webhook, "event")),
        requests: vec![Request { verb: Verb::Delete, ..Request::get(API, WEBHOOKS, path_of(webhook)) }],
    }
}

/// Ids are base64. What else could stand there is none of a path.
fn path_of(webhook: &Value) -> String {
    let id = text(webhook, "id").chars().filter(|letter| letter.is_ascii_alphanumeric() || "+=_-".contains(*letter));
    format!("{PATH}/{}", id.collect::<String>())
}

fn text<'v>(webhook: &'v Value, name: &str) -> &'v str {
    webhook[name].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::webex::api::tests::{answer, api_with, with_header};

    const URL: &str = "https://hooks.example.com/webhooks/webex";

    fn plan(wish: Wish, pages: &[Value]) -> Vec<Change> {
        let api = api_with("");
        let destination =
            Destination { url: URL.to_owned(), token: Some("unused".into()), secret: Some("the-secret".into()) };
        let mut surveyor = api.subscriptions().unwrap().survey(destination, wish);
        let mut said = surveyor.next(None);
        for (number, page) in pages.iter().enumerate() {
            let Survey::Ask(request) = &said else { panic!("{said:?}") };
            assert_eq!((request.path.as_str(), request.query.is_empty()), (PATH, false));
            let heard = answer(200, &json!({"items": page}));
            let next = "<https://webexapis.com/v1/webhooks?cursor=1>; rel=\"next\"";
            let is_last = number + 1 == pages.len();
            said = surveyor.next(Some(&if is_last { heard } else { with_header(heard, "link", next) }));
        }
        let Survey::Plan(plan) = said else { panic!("{said:?}") };
        plan
    }

    fn webhook(id: &str, resource: &str, url: &str, status: &str) -> Value {
        json!({"id": id, "resource": resource, "event": "all", "targetUrl": url, "status": status})
    }

    fn told(plan: &[Change]) -> Vec<String> {
        let verbs =
            |change: &Change| change.requests.iter().map(|request| format!("{:?}", request.verb)).collect::<Vec<_>>();
        plan.iter()
            .map(|change| format!("{} {} {}", change.deed.as_str(), change.what, verbs(change).join(",")))
            .collect()
    }

    #[test]
    fn one_webhook_of_the_organisation_s_calls_is_needed() {
        let made =
            plan(Wish::Complete, &[json!([webhook("o", "telephony_calls", "https://crm.example.com/", "active")])]);
        assert_eq!(told(&made), ["add telephony_calls all Post"]);
        let body = made[0].requests[0].body.as_ref().unwrap();
        assert!(body.contains("\"ownedBy\":\"org\"") && body.contains(&format!("\"targetUrl\":\"{URL}\"")), "{body}");
        assert!(body.contains("\"secret\":\"the-secret\""));
        let there = [json!([]), json!([webhook("a", "telephony_calls", URL, "active")])];
        assert_eq!(told(&plan(Wish::Complete, &there)), ["keep telephony_calls all "]);
        assert_eq!(told(&plan(Wish::Renewed, &there)), ["repair telephony_calls all Post,Delete"]);
        assert_eq!(told(&plan(Wish::Removed, &there)), ["remove telephony_calls all Delete"]);
    }

    #[test]
    fn one_that_was_given_up_is_activated_and_what_is_too_much_removed() {
        let there = [json!([
            webhook("a=", "telephony_calls", URL, "inactive"),
            webhook("b", "telephony_calls", URL, "active"),
            webhook("c", "messages", URL, "active"),
            webhook("d", "telephony_calls", &format!("{URL}/old"), "active")
        ])];
        let plan = plan(Wish::Complete, &there);
        assert_eq!(
            told(&plan),
            [
                "repair telephony_calls all Put",
                "remove telephony_calls all Delete",
                "remove messages all Delete",
                "remove telephony_calls all Delete"
            ]
        );
        assert_eq!(plan[0].requests[0].path, "/v1/webhooks/a=");
    }
}
