//! What a double was asked, in order.
//!
//! Nothing of a header or a body is in it, but for whether there were credentials: the log of a run may be shown.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::Request;
use crate::event::time::Time;

/// How many requests are remembered.
pub const MOST_ENTRIES: usize = 10_000;

/// Longest path and longest query that are remembered.
const MOST_CHARACTERS: usize = 1000;

/// The last requests.
#[derive(Debug, Default)]
pub struct Log {
    asked: u64,
    entries: VecDeque<Entry>,
    in_flight: BTreeMap<String, usize>,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Number of it, from 1.
    pub number: u64,
    /// When it came.
    pub at: Time,
    /// Where it came in.
    pub door: &'static str,
    /// Who asked.
    pub peer: String,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query.
    pub query: String,
    /// Whether it had an `Authorization`.
    pub authorization: bool,
    /// How many requests were being answered when it came, itself among them.
    pub in_flight: usize,
    /// How many of these were for the same path.
    pub in_flight_for_path: usize,
    /// The status of the answer; absent while there is none.
    pub status: Option<u16>,
    /// The fault of the script that had a hand in it, from 0.
    pub fault: Option<usize>,
}

/// The log as it is shown.
#[derive(Debug, Serialize)]
pub struct Shown<'l> {
    /// Requests since the start.
    pub asked: u64,
    /// Those of them that are not remembered any more.
    pub forgotten: u64,
    /// The others, in the order in which they came.
    pub requests: &'l VecDeque<Entry>,
}

impl Log {
    /// Writes down a request. Returns its number, and how many others for its path are being answered.
    pub fn came(&mut self, request: &Request, peer: String, at: Time) -> (u64, usize) {
        let others = self.in_flight.get(&request.path).copied().unwrap_or(0);
        self.in_flight.insert(request.path.clone(), others + 1);
        self.asked += 1;
        if self.entries.len() == MOST_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry {
            number: self.asked,
            at,
            door: request.door.as_str(),
            peer,
            method: shortened(&request.method),
            path: shortened(&request.path),
            query: shortened(&request.query),
            authorization: request.header("authorization").is_some(),
            in_flight: self.in_flight.values().sum(),
            in_flight_for_path: others + 1,
            status: None,
            fault: None,
        });
        (self.asked, others)
    }

    /// Writes down what a request is answered.
    pub fn answers(&mut self, number: u64, status: u16, fault: Option<usize>) {
        let place = self.entries.binary_search_by_key(&number, |entry| entry.number);
        if let Some(entry) = place.ok().and_then(|place| self.entries.get_mut(place)) {
            (entry.status, entry.fault) = (Some(status), fault);
        }
    }

    /// A request for a path is over.
    pub fn left(&mut self, path: &str) {
        match self.in_flight.get_mut(path) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.in_flight.remove(path)),
        }
    }

    /// What is remembered.
    pub fn shown(&self) -> Shown<'_> {
        let forgotten = self.entries.front().map_or(0, |first| first.number - 1);
        Shown { asked: self.asked, forgotten, requests: &self.entries }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(MOST_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(log: &mut Log, target: &str) -> (u64, usize) {
        log.came(&Request::new("GET", target), "127.0.0.1:5".to_owned(), Time::from_unix_ms(0).unwrap())
    }

    #[test]
    fn two_askers_at_once_show() {
        let mut log = Log::default();
        assert_eq!([came(&mut log, "/a"), came(&mut log, "/b"), came(&mut log, "/a?x")], [(1, 0), (2, 0), (3, 1)]);
        log.left("/a");
        log.left("/a");
        log.left("/b");
        assert_eq!(came(&mut log, "/a"), (4, 0));
        let counts: Vec<_> =
            log.shown().requests.iter().map(|entry| (entry.in_flight, entry.in_flight_for_path)).collect();
        assert_eq!(counts, [(1, 1), (2, 1), (3, 2), (1, 1)]);
    }

    #[test]
    fn whether_there_were_credentials_is_told_and_nothing_of_them() {
        let mut log = Log::default();
        let request = Request::new("POST", "/t?a=b").with_header("Authorization", "Bearer secret").with_body("secret");
        let (number, _) = log.came(&request, String::new(), Time::from_unix_ms(0).unwrap());
        log.answers(number, 401, Some(2));
        let text = serde_json::to_string(&log.shown()).unwrap();
        assert!(text.contains(r#""authorization":true"#) && !text.contains("secret"), "{text}");
        assert!(text.contains(r#""query":"a=b""#) && text.contains(r#""status":401,"fault":2"#), "{text}");
    }

    #[test]
    fn the_last_requests_are_remembered_and_long_ones_shortened() {
        let mut log = Log::default();
        for number in 0..MOST_ENTRIES + 5 {
            came(&mut log, &format!("/{number}?{}", "q".repeat(2 * MOST_CHARACTERS)));
            log.left(&format!("/{number}"));
        }
        log.answers(3, 200, None);
        log.answers(6, 200, None);
        let shown = log.shown();
        assert_eq!((shown.asked, shown.forgotten, shown.requests.len()), (10_005, 5, MOST_ENTRIES));
        assert_eq!((shown.requests[0].number, shown.requests[0].status), (6, Some(200)));
        assert_eq!(shown.requests[0].query.len(), MOST_CHARACTERS);
        assert!(log.in_flight.is_empty());
    }
}
