//! A double with its script: each request meets the first fault that matches, or the provider.

use std::collections::BTreeMap;

use super::script::{self, Choice, Fault, ScriptError, Then, When};
use super::{Double, Request, Response, dice};
use crate::event::time::Time;

/// Paths of which the last answer is remembered, for faults that repeat it.
const MOST_PATHS: usize = 64;

/// A double and what goes wrong with it.
#[derive(Debug)]
pub struct Stage {
    double: Box<dyn Double>,
    seed: u64,
    faults: Vec<Counted>,
    last: BTreeMap<String, Response>,
}

/// A fault, and how many requests it could have met.
#[derive(Debug)]
struct Counted {
    fault: Fault,
    met: u64,
}

/// An answer, and the number of the fault that had a hand in it, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// The answer.
    pub response: Response,
    /// The fault.
    pub fault: Option<usize>,
}

impl Stage {
    /// A double that does nothing wrong as yet. The seed decides what happens by chance.
    pub fn new(double: Box<dyn Double>, seed: u64) -> Self {
        Self { double, seed, faults: Vec::new(), last: BTreeMap::new() }
    }

    /// The double itself.
    pub fn double(&mut self) -> &mut dyn Double {
        &mut *self.double
    }

    /// Puts a script in place of the one before; its faults count from the beginning.
    ///
    /// # Errors
    /// What is wrong with it, with its line. Nothing has changed then.
    pub fn play(&mut self, script: &str) -> Result<(), ScriptError> {
        let faults = script::faults(script)?;
        self.double.behave(script)?;
        self.faults = faults.into_iter().map(|fault| Counted { fault, met: 0 }).collect();
        Ok(())
    }

    /// Answers a request.
    pub fn answer(&mut self, request: &Request, now: Time) -> Played {
        let fault = self.choose(request);
        let then = fault.and_then(|number| self.faults.get(number)).map(|counted| counted.fault.then.clone());
        let then = then.unwrap_or_default();
        let mut response = self.act(&then, request, now);
        response.body.resize(response.body.len() + then.pad_bytes, b' ');
        for (name, value) in &then.headers {
            response = response.with_header(name, value);
        }
        if response.header("Date").is_none() {
            response = response.with_header("Date", &date(now, then.skew_s));
        }
        response.delay_ms = response.delay_ms.saturating_add(then.delay_ms);
        response.cut_bytes = then.cut_bytes;
        response.close = then.close;
        Played { response, fault }
    }

    /// The first fault that meets this request. All of them count it, also those behind the first.
    fn choose(&mut self, request: &Request) -> Option<usize> {
        let seed = self.seed;
        let mut chosen = None;
        for (number, counted) in self.faults.iter_mut().enumerate() {
            if matches(&counted.fault.when, request) {
                counted.met += 1;
                if chosen.is_none() && is_met(counted.fault.when.choice, counted.met, seed, number) {
                    chosen = Some(number);
                }
            }
        }
        chosen
    }

    fn act(&mut self, then: &Then, request: &Request, now: Time) -> Response {
        if then.repeat_page
            && let Some(last) = self.last.get(&request.path)
        {
            return last.clone();
        }
        let body = then.body_base64.clone().or_else(|| then.body.clone().map(String::into_bytes));
        if then.status.is_some() || body.is_some() {
            let body = body.unwrap_or_default();
            let response = Response { body, ..Response::empty(then.status.unwrap_or(200)) };
            return response.with_header("Content-Type", "application/json");
        }
        let response = self.double.answer(request, now);
        if self.last.len() < MOST_PATHS || self.last.contains_key(&request.path) {
            self.last.insert(request.path.clone(), response.clone());
        }
        response
    }
}

fn matches(when: &When, request: &Request) -> bool {
    let is_path = |path: &String| match path.strip_suffix('*') {
        Some(beginning) => request.path.starts_with(beginning),
        None => request.path == *path,
    };
    when.method.as_ref().is_none_or(|method| request.method == *method) && when.path.as_ref().is_none_or(is_path)
}

fn is_met(choice: Choice, met: u64, seed: u64, fault: usize) -> bool {
    match choice {
        Choice::All => true,
        Choice::Nth(nth) => met == nth,
        Choice::Every(every) => met.is_multiple_of(every),
        Choice::First(first) => met <= first,
        Choice::Chance(percent) => dice::throw(seed, met, &format!("fault {fault}")).hits(percent),
    }
}

/// A time as HTTP writes it, by a clock that is so many seconds ahead.
fn date(now: Time, skew_s: i32) -> String {
    let skewed = Time::from_unix_ms(now.unix_ms().saturating_add(i64::from(skew_s) * 1000));
    skewed.unwrap_or(now).to_http_date()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::{Delivery, Entrance, Recipient};
    use super::*;

    /// Answers with the number of the request, and with what its script says.
    #[derive(Debug, Default)]
    struct Counting {
        asked: u64,
        said: String,
    }

    impl Double for Counting {
        fn answer(&mut self, _: &Request, _: Time) -> Response {
            self.asked += 1;
            Response { body: format!("{}{}", self.asked, self.said).into_bytes(), ..Response::empty(200) }
        }

        fn behave(&mut self, script: &str) -> Result<(), ScriptError> {
            self.said = script::manners::<BTreeMap<String, String>>(script)?.remove("say").unwrap_or_default();
            Ok(())
        }

        fn facts(&self, _: Time, _: Time) -> Vec<Value> {
            Vec::new()
        }

        fn due(&mut self, _: &Recipient, _: Time) -> Option<Delivery> {
            None
        }

        fn delivered(&mut self, _: u64, _: bool) {}

        fn entrance(&self) -> Entrance {
            Entrance { credentials: Vec::new(), source: String::new() }
        }
    }

    fn now() -> Time {
        Time::parse_iso("2026-02-03T12:14:26Z").unwrap()
    }

    fn stage(script: &str) -> Stage {
        let mut stage = Stage::new(Box::<Counting>::default(), 1);
        stage.play(script).unwrap();
        stage
    }

    fn ask(stage: &mut Stage, method: &str, target: &str) -> Played {
        stage.answer(&Request::new(method, target), now())
    }

    fn body(played: &Played) -> &str {
        std::str::from_utf8(&played.response.body).unwrap()
    }

    /// Which of six requests for a path a choice meets.
    fn met(choice: &str) -> Vec<usize> {
        let mut stage = stage(&format!("[[fault]]\nwhen = {{ path = \"/a\", {choice} }}\nthen = {{ status = 500 }}"));
        (1..=6)
            .filter(|_| {
                ask(&mut stage, "GET", "/b");
                ask(&mut stage, "GET", "/a?x").response.status == 500
            })
            .collect()
    }

    #[test]
    fn a_fault_meets_the_requests_that_it_chooses() {
        assert_eq!(met("nth = 3"), [3]);
        assert_eq!(met("every = 2"), [2, 4, 6]);
        assert_eq!(met("first = 2"), [1, 2]);
        assert_eq!(met("chance = 100").len(), 6);
        assert_eq!(met("chance = 0").len(), 0);
        assert_eq!(met("chance = 50"), met("chance = 50"));
    }

    #[test]
    fn method_and_path_must_match_and_the_first_match_wins() {
        let mut stage = stage(
            "[[fault]]\nwhen = { method = \"POST\" }\nthen = { status = 501 }\n\
             [[fault]]\nwhen = { path = \"/v1/*\" }\nthen = { status = 502 }\n\
             [[fault]]\nthen = { status = 503 }",
        );
        for (method, target, status, fault) in
            [("POST", "/v1/x", 501, 0), ("GET", "/v1/x", 502, 1), ("GET", "/v1", 503, 2)]
        {
            let played = ask(&mut stage, method, target);
            assert_eq!((played.response.status, played.fault), (status, Some(fault)), "{method} {target}");
        }
    }

    #[test]
    fn the_provider_is_asked_unless_the_answer_is_in_the_script() {
        let mut stage = stage(
            "[manners]\nsay = \"!\"\n\
             [[fault]]\nwhen = { path = \"/slow\" }\nthen = { delay_ms = 7, cut_bytes = 1, headers = { X-A = \"b\" } }\n\
             [[fault]]\nwhen = { path = \"/gone\" }\nthen = { close = true, skew_s = -66 }\n\
             [[fault]]\nwhen = { path = \"/odd\" }\nthen = { body = \"<html>\" }",
        );
        let slow = ask(&mut stage, "GET", "/slow");
        assert_eq!((body(&slow), slow.response.header("x-a")), ("1!", Some("b")));
        assert_eq!((slow.response.delay_ms, slow.response.cut_bytes), (7, Some(1)));
        assert_eq!(slow.response.header("date"), Some("Tue, 03 Feb 2026 12:14:26 GMT"));
        let gone = ask(&mut stage, "GET", "/gone");
        assert!(gone.response.close);
        assert_eq!(gone.response.header("date"), Some("Tue, 03 Feb 2026 12:13:20 GMT"));
        let odd = ask(&mut stage, "GET", "/odd");
        assert_eq!((body(&odd), odd.response.status), ("<html>", 200));
        assert_eq!((body(&ask(&mut stage, "GET", "/")), ask(&mut stage, "GET", "/").fault), ("3!", None));
    }

    #[test]
    fn a_body_can_be_any_bytes_and_of_any_size() {
        let mut stage = stage(
            "[[fault]]\nwhen = { path = \"/odd\" }\nthen = { body_base64 = \"/wA=\" }\n\
             [[fault]]\nthen = { pad_bytes = 3 }",
        );
        assert_eq!(ask(&mut stage, "GET", "/odd").response.body, [0xff, 0]);
        assert_eq!(body(&ask(&mut stage, "GET", "/")), "1   ");
    }

    #[test]
    fn a_page_is_repeated_where_there_was_one() {
        let mut stage = stage("[[fault]]\nwhen = { path = \"/a\", nth = 2 }\nthen = { repeat_page = true }");
        let bodies: Vec<String> = ["/a", "/b", "/a?page=2", "/a"]
            .iter()
            .map(|target| body(&ask(&mut stage, "GET", target)).to_owned())
            .collect();
        assert_eq!(bodies, ["1", "2", "1", "3"]);
    }

    #[test]
    fn a_new_script_begins_anew_and_a_wrong_one_changes_nothing() {
        let mut stage = stage("[manners]\nsay = \"!\"\n[[fault]]\nthen = { status = 500 }");
        for wrong in ["[[fault]]\nthan = 1", "[manners]\nsay = 1"] {
            assert!(stage.play(wrong).is_err());
            assert_eq!(ask(&mut stage, "GET", "/").response.status, 500, "{wrong}");
        }
        stage.play("").unwrap();
        assert_eq!(body(&ask(&mut stage, "GET", "/")), "1");
    }

    #[test]
    fn answers_of_few_paths_are_remembered() {
        let mut stage = stage("");
        for path in 0..10 * MOST_PATHS {
            ask(&mut stage, "GET", &format!("/{path}"));
        }
        assert_eq!(stage.last.len(), MOST_PATHS);
    }
}
