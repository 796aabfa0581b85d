//! Subscriptions: each extension has its own, one for each kind of event.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use serde_json::json;

use super::requests::{API, ROOT, SUBSCRIPTIONS, client, user};
use super::{Account, body};
use crate::json::Members;
use crate::provider::api::{Answer, Request, Verb};
use crate::provider::recordings::is_path_id;
use crate::provider::subscriptions::{Change, Deed, Destination, Subscriptions, Survey, Surveyor, Wish};

/// What the two sorts of extensions tell of calls. Only an IVR or a queue knows that nobody took one.
const OF_TELEPHONES: &[&str] = &["dial-in", "dial-out", "answer", "hangup"];
const OF_MACHINES: &[&str] = &["hangup"];

/// Extensions on a page.
const A_PAGE: &str = "100";

/// The subscriptions of one account.
#[derive(Debug)]
pub(super) struct TelphinSubscriptions {
    pub(super) account: Arc<Account>,
}

impl Subscriptions for TelphinSubscriptions {
    fn survey(&self, destination: Destination, wish: Wish) -> Box<dyn Surveyor> {
        Box::new(Surveying {
            account: Arc::clone(&self.account),
            destination,
            wish,
            step: Step::Begin,
            known: HashSet::new(),
            waiting: VecDeque::new(),
            plan: Vec::new(),
        })
    }
}

/// An extension, and what it should tell.
#[derive(Debug, Clone)]
struct Extension {
    id: String,
    name: String,
    wanted: &'static [&'static str],
}

/// A subscription that is there.
#[derive(Debug)]
struct Existing {
    id: String,
    event_type: String,
    url: String,
    is_post: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Begin,
    User,
    Extensions(u32),
    Events(Extension),
}

struct Surveying {
    account: Arc<Account>,
    destination: Destination,
    wish: Wish,
    step: Step,
    known: HashSet<String>,
    waiting: VecDeque<Extension>,
    plan: Vec<Change>,
}

impl Surveyor for Surveying {
    fn next(&mut self, heard: Option<&Answer>) -> Survey {
        let text = heard.map(Answer::text).unwrap_or_default();
        let not_understood = || Survey::Stop { word: "not_understood", mend: "Telphin's answer is no list".to_owned() };
        match self.step.clone() {
            Step::Begin => {
                self.step = Step::User;
                Survey::Ask(user())
            }
            Step::User => match self.account.is_that_of(&text) {
                Ok(()) => self.page(1),
                Err(mend) => Survey::Stop { word: "wrong_account", mend },
            },
            Step::Extensions(page) => match self.extensions(&text) {
                Some(true) => self.page(page.saturating_add(1)),
                Some(false) => self.next_extension(),
                None => not_understood(),
            },
            Step::Events(extension) => match existing(&text) {
                Some(existing) => {
                    self.plan.extend(self.changes(&extension, &existing));
                    self.next_extension()
                }
                None => not_understood(),
            },
        }
    }
}

impl Surveying {
    fn page(&mut self, page: u32) -> Survey {
        self.step = Step::Extensions(page);
        let request = Request::get(API, SUBSCRIPTIONS, client(&self.account, "extension/"));
        Survey::Ask(request.with("page", page.to_string()).with("per_page", A_PAGE))
    }

    /// Takes a page, and tells whether it brought an extension that was not known.
    fn extensions(&mut self, text: &str) -> Option<bool> {
        let mut brings_more = false;
        for item in body::list(text)? {
            let Some(extension) = extension(item.get()) else { continue };
            if self.known.insert(extension.id.clone()) {
                brings_more = true;
                self.waiting.push_back(extension);
            }
        }
        Some(brings_more)
    }

    fn next_extension(&mut self) -> Survey {
        match self.waiting.pop_front() {
            Some(extension) => {
                let request = Request::get(API, SUBSCRIPTIONS, events(&extension.id));
                self.step = Step::Events(extension);
                Survey::Ask(request)
            }
            None => Survey::Plan(std::mem::take(&mut self.plan)),
        }
    }

    /// What is to be done about one extension.
    fn changes(&self, extension: &Extension, existing: &[Existing]) -> Vec<Change> {
        let ours: Vec<&Existing> = existing.iter().filter(|it| self.destination.is_ours(&it.url)).collect();
        let wanted = if self.wish == Wish::Removed { &[] } else { extension.wanted };
        let of_wanted = wanted.iter().flat_map(|event_type| {
            let of_type = ours.iter().filter(|it| it.event_type == *event_type).copied().collect();
            self.change(extension, event_type, of_type)
        });
        let unwanted = ours.iter().filter(|it| !wanted.contains(&it.event_type.as_str()));
        of_wanted.chain(unwanted.map(|it| remove(extension, it))).collect()
    }

    fn change(&self, extension: &Extension, event_type: &str, mut ours: Vec<&Existing>) -> Vec<Change> {
        let what = format!("{} {event_type}", extension.name);
        let url = self.destination.whole_url();
        if let Some(place) = ours.iter().position(|it| it.url == url && it.is_post) {
            ours.remove(place);
            let keep = Change { deed: Deed::Keep, what, requests: Vec::new() };
            return std::iter::once(keep).chain(ours.into_iter().map(|it| remove(extension, it))).collect();
        }
        let body = json!({"url": url, "event_type": event_type, "method": "POST"}).to_string();
        let make =
            Request { verb: Verb::Post, body: Some(body), ..Request::get(API, SUBSCRIPTIONS, events(&extension.id)) };
        let deed = if ours.is_empty() { Deed::Add } else { Deed::Repair };
        let old = ours.into_iter().flat_map(|it| remove(extension, it).requests);
        vec![Change { deed, what, requests: std::iter::once(make).chain(old).collect() }]
    }
}

/// Only by its id: without one, all of the extension would go, those of other programs too.
fn remove(extension: &Extension, existing: &Existing) -> Change {
    let path = format!("{}{}/", events(&extension.id), existing.id);
    Change {
        deed: Deed::Remove,
        what: format!("{} {}", extension.name, existing.event_type),
        requests: vec![Request { verb: Verb::Delete, ..Request::get(API, SUBSCRIPTIONS, path) }],
    }
}

fn events(extension_id: &str) -> String {
    format!("{ROOT}/extension/{extension_id}/event/")
}

fn extension(text: &str) -> Option<Extension> {
    let members = Members::parse(text).ok()?;
    let id = members.text_or_number("id").filter(|id| is_path_id(id))?.into_owned();
    let sort = members.text("type").or_else(|| members.text("extension_type")).unwrap_or_default().to_lowercase();
    let name = members.text("name").map_or_else(|| id.clone(), |name| format!("{name} ({id})"));
    let wanted: &[&str] = match sort.as_str() {
        "phone" => OF_TELEPHONES,
        "ivr" | "queue" => OF_MACHINES,
        _ => &[],
    };
    Some(Extension { id, name, wanted })
}

/// One without an id that may stand in a path can not be removed, and is left alone.
fn existing(text: &str) -> Option<Vec<Existing>> {
    let one = |text: &str| {
        let members = Members::parse(text).ok()?;
        Some(Existing {
            id: members.text_or_number("id").filter(|id| is_path_id(id))?.into_owned(),
            event_type: members.text("event_type")?.into_owned(),
            url: members.text("url")?.into_owned(),
            is_post: members.text("method").is_some_and(|method| method.eq_ignore_ascii_case("post")),
        })
    };
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    Some(body::list(text)?.into_iter().filter_map(|item| one(item.get())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::providers::telphin::api::tests::{answer, api_with};

    const URL: &str = "https://hooks.example.com/webhooks/telphin";

    fn destination() -> Destination {
        Destination { url: URL.to_owned(), token: Some("new-token".into()), secret: None }
    }

    /// The plan for a telephone and a queue with these subscriptions, and what was asked.
    fn plan(wish: Wish, of_phone: &Value) -> (Vec<Change>, Vec<String>) {
        let api = api_with("");
        let mut surveyor = api.subscriptions().unwrap().survey(destination(), wish);
        let (mut heard, mut asked) = (None, Vec::new());
        loop {
            let request = match surveyor.next(heard.as_ref()) {
                Survey::Ask(request) => request,
                Survey::Plan(plan) => return (plan, asked),
                Survey::Stop { word, mend } => panic!("{word} {mend}"),
            };
            asked.push(request.path.clone());
            assert!(asked.len() < 100);
            heard = Some(match request.path.as_str() {
                "/api/ver1.0/user/" => answer(200, &json!({"client_id": 999})),
                "/api/ver1.0/client/999/extension/" => answer(
                    200,
                    &json!([
                        {"id": 1, "type": "phone", "name": "12345*101"}, {"id": 2, "type": "queue"}, {"id": 3, "type": "fax"},
                    ]),
                ),
                "/api/ver1.0/extension/1/event/" => answer(200, of_phone),
                _ => answer(200, &json!([])),
            });
        }
    }

    fn told(plan: &[Change]) -> Vec<String> {
        plan.iter().map(|change| format!("{} {}", change.deed.as_str(), change.what)).collect()
    }

    fn event(id: u32, event_type: &str, url: &str) -> Value {
        json!({"id": id, "event_type": event_type, "url": url, "method": "POST"})
    }

    #[test]
    fn telephones_tell_every_step_and_queues_the_end() {
        let (plan, asked) = plan(Wish::Complete, &json!([]));
        assert_eq!(
            told(&plan),
            [
                "add 12345*101 (1) dial-in",
                "add 12345*101 (1) dial-out",
                "add 12345*101 (1) answer",
                "add 12345*101 (1) hangup",
                "add 2 hangup"
            ]
        );
        let request = &plan[0].requests[0];
        assert_eq!((request.verb, request.path.as_str()), (Verb::Post, "/api/ver1.0/extension/1/event/"));
        assert!(request.body.as_ref().unwrap().contains(&format!("\"url\":\"{URL}/new-token\"")));
        assert_eq!(asked.len(), 6, "a page that brings nobody new is the last: {asked:?}");
    }

    #[test]
    fn what_is_right_is_kept_what_is_old_replaced_and_what_is_others_left_alone() {
        let right = format!("{URL}/new-token");
        let existing = json!([
            event(10, "dial-in", &right), event(11, "dial-in", &right), event(12, "answer", &format!("{URL}/old-token")),
            event(13, "voicemail", URL), event(14, "hangup", "https://crm.example.com/webhooks/telphin/new-token"),
            {"id": 15, "event_type": "dial-out", "url": right, "method": "GET"}
        ]);
        let (complete, _) = plan(Wish::Complete, &existing);
        assert_eq!(
            told(&complete)[..6],
            [
                "keep 12345*101 (1) dial-in",
                "remove 12345*101 (1) dial-in",
                "repair 12345*101 (1) dial-out",
                "repair 12345*101 (1) answer",
                "add 12345*101 (1) hangup",
                "remove 12345*101 (1) voicemail"
            ]
        );
        let verbs: Vec<Verb> = complete[3].requests.iter().map(|request| request.verb).collect();
        assert_eq!(verbs, [Verb::Post, Verb::Delete], "the new one first");
        let (removed, _) = plan(Wish::Removed, &existing);
        let paths: Vec<&str> = removed.iter().map(|change| change.requests[0].path.as_str()).collect();
        assert_eq!(paths, [10, 11, 12, 13, 15].map(|id| format!("/api/ver1.0/extension/1/event/{id}/")));
        for change in complete.iter().chain(&removed) {
            let deletes = change.requests.iter().filter(|request| request.verb == Verb::Delete);
            assert!(deletes.into_iter().all(|request| !request.path.ends_with("/event/")), "never all of an extension");
            assert!(!change.what.contains("token"));
        }
    }
}
