//! Leads conversations of any provider's API for tests, which answer as they like.

use serde_json::Value;

use super::{Answer, Api, Ending, FileFault, Found, Heard, Question, Request, Say, Verdict};
use crate::event::time::Time;

pub(crate) fn time(text: &str) -> Time {
    Time::parse_iso(text).unwrap()
}

pub(crate) fn answer(status: u16, body: &Value) -> Answer {
    Answer { status, headers: Vec::new(), body: body.to_string().into_bytes() }
}

/// A file with so many rows, or with a fault.
pub(crate) fn file(read: Result<u64, FileFault>) -> Answer {
    let body = match read {
        Ok(rows) => rows.to_string(),
        Err(fault) => fault.word().to_owned(),
    };
    Answer { status: 200, headers: Vec::new(), body: body.into_bytes() }
}

/// The value of a pair of a request's query.
pub(crate) fn value<'q>(request: &'q Request, name: &str) -> Option<&'q str> {
    request.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// What a conversation has told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) rows: Vec<String>,
    pub(crate) counts: Vec<(String, u64)>,
    pub(crate) requests: Vec<Request>,
    /// Seconds.
    pub(crate) waits: Vec<u64>,
    pub(crate) ending: Ending,
}

#[derive(Default)]
struct Kept {
    rows: Vec<String>,
    counts: Vec<(String, u64)>,
}

impl Found for Kept {
    fn count(&mut self, account: &str, rows: u64) {
        self.counts.push((account.to_owned(), rows));
    }

    fn row(&mut self, json: &str) {
        self.rows.push(json.to_owned());
    }

    fn take_back(&mut self) {
        *self = Self::default();
    }
}

/// Leads a conversation to its end, in which what is no answer comes for good.
pub(crate) fn converse(api: &dyn Api, question: &Question, mut reply: impl FnMut(&Request) -> Answer) -> Told {
    let (mut talk, mut kept, mut requests, mut waits) = (api.ask(question), Kept::default(), Vec::new(), Vec::new());
    let mut say = talk.next(Heard::Begin, &mut kept);
    loop {
        assert!(requests.len() < 1000 && waits.len() < 1000, "it does not end");
        let (request, is_file) = match say {
            Say::Done(ending) => {
                let Kept { rows, counts } = kept;
                return Told { rows, counts, requests, waits, ending };
            }
            Say::Wait(wait) => {
                waits.push(wait.as_secs());
                say = talk.next(Heard::Waited, &mut kept);
                continue;
            }
            Say::Send(request) => (request, false),
            Say::Fetch(download) => (download.request, true),
        };
        requests.push(request.clone());
        let given = reply(&request);
        say = match api.judge(&request, &given) {
            Verdict::Fine | Verdict::Empty if is_file => {
                let read = read_file(&given, &mut kept);
                talk.next(Heard::File(read), &mut kept)
            }
            Verdict::Fine | Verdict::Empty => talk.next(Heard::Answer(&given), &mut kept),
            other => talk.next(Heard::Judged(&other), &mut kept),
        };
    }
}

fn read_file(answer: &Answer, kept: &mut Kept) -> Result<u64, FileFault> {
    let text = answer.text();
    let faults = [FileFault::Broken, FileFault::ColumnsMissing, FileFault::NotWritten];
    if let Some(fault) = faults.into_iter().find(|fault| fault.word() == text) {
        return Err(fault);
    }
    let rows = text.parse().unwrap();
    (0..rows).for_each(|number| kept.row(&format!("{{\"id\":{number}}}")));
    Ok(rows)
}
