//! Recordings: the requests about them, and what the answers hold.

use std::sync::Arc;

use serde_json::json;
use url::Url;

use super::months::pieces;
use super::requests::{API, RECORDINGS, ROOT, STATISTICS, client, user, within};
use super::times::{time_of, written};
use super::{Account, body};
use crate::event::time::Time;
use crate::json::{Members, number};
use crate::provider::api::{Answer, Request, Verb};
use crate::provider::recordings::{Level, Recording, Recordings};
use crate::providers::telphin::event::{id_of, upper_case};

/// The recordings of one account.
#[derive(Debug)]
pub(super) struct TelphinRecordings {
    pub(super) account: Arc<Account>,
}

impl TelphinRecordings {
    fn path(&self, level: &Level, resource: &str) -> String {
        match level {
            Level::Account => client(&self.account, resource),
            Level::Group(id) => format!("{ROOT}/extension_group/{id}/{resource}"),
            Level::Extension(id) => format!("{ROOT}/extension/{id}/{resource}"),
        }
    }

    /// A request for each piece of a stretch of time.
    fn each(&self, verb: Verb, path: &str, from: Time, to: Time) -> Vec<Request> {
        let pieces = pieces(from, to, self.account.utc_offset_min);
        let request = |(begins, ends)| {
            let request = Request { verb, ..Request::get(API, STATISTICS, path) };
            within(request, &self.account, begins, ends)
        };
        pieces.into_iter().map(request).collect()
    }
}

impl Recordings for TelphinRecordings {
    fn whose(&self) -> Request {
        user()
    }

    fn is_ours(&self, answer: &Answer) -> Result<(), String> {
        self.account.is_that_of(&answer.text())
    }

    fn list(&self, level: &Level, from: Time, to: Time) -> Vec<Request> {
        let requests = self.each(Verb::Get, &self.path(level, "record/"), from, to);
        requests.into_iter().map(|request| request.with("order", "asc")).collect()
    }

    fn listed(&self, answer: &Answer) -> Option<Vec<Recording>> {
        if answer.status == 204 {
            return Some(Vec::new());
        }
        let text = answer.text();
        Some(body::list(&text)?.into_iter().filter_map(|item| recording(item.get())).collect())
    }

    fn stats(&self, level: &Level, from: Time, to: Time) -> Vec<Request> {
        self.each(Verb::Get, &self.path(level, "record/stats/"), from, to)
    }

    fn link(&self, level: &Level, id: &str) -> Request {
        // There is none for groups.
        let level = if matches!(level, Level::Group(_)) { &Level::Account } else { level };
        Request::get(API, RECORDINGS, self.path(level, &format!("record/{id}/storage_url/")))
    }

    fn linked(&self, answer: &Answer) -> Option<Url> {
        let text = answer.text();
        Url::parse(&Members::parse(&text).ok()?.text("record_url")?).ok()
    }

    fn file(&self, level: &Level, id: &str) -> Request {
        Request::get(API, RECORDINGS, self.path(level, &format!("record/{id}/")))
    }

    fn archive(&self, from: Time, to: Time, emails: &str) -> Vec<Request> {
        let zone = self.account.utc_offset_min;
        let request = |(begins, ends)| {
            let body =
                json!({"start_datetime": written(begins, zone), "end_datetime": written(ends, zone), "email": emails});
            let request = Request::get(API, RECORDINGS, client(&self.account, "record/archive/"));
            Request { verb: Verb::Post, body: Some(body.to_string()), ..request }
        };
        pieces(from, to, zone).into_iter().map(request).collect()
    }

    fn delete(&self, id: &str) -> Request {
        let request = Request::get(API, RECORDINGS, self.path(&Level::Account, &format!("record/{id}/")));
        Request { verb: Verb::Delete, ..request }
    }

    fn delete_range(&self, extension_id: &str, from: Time, to: Time) -> Vec<Request> {
        let path = self.path(&Level::Extension(extension_id.to_owned()), "record/");
        let requests = self.each(Verb::Delete, &path, from, to);
        requests.into_iter().map(|request| Request { class: RECORDINGS, ..request }).collect()
    }
}

/// A recording of a list. One without an id can not be asked for.
fn recording(text: &str) -> Option<Recording> {
    let members = Members::parse(text).ok()?;
    let id = members.read("record_uuid", id_of)?;
    let number = |name: &str| members.read(name, |text| number::whole(&text));
    Some(Recording {
        id: id.into_owned(),
        call_id: members.read("call_uuid", id_of).map(|id| upper_case(id).into_owned()),
        extension_id: members.read("extension_id", id_of).map(Into::into),
        begins_at: time_of(&members, "init_time_gmt"),
        ends_at: time_of(&members, "hangup_time_gmt"),
        duration_s: number("duration"),
        size_bytes: number("record_file_size"),
        result: members.text("result").map(Into::into),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::telphin::api::tests::{api_with, time, value};

    fn targets(requests: &[Request]) -> Vec<String> {
        let target = |request: &Request| {
            let value = |name| value(request, name).unwrap_or_default();
            format!("{:?} {} {} {}", request.verb, request.path, value("start_datetime"), value("end_datetime"))
        };
        requests.iter().map(target).collect()
    }

    #[test]
    fn each_level_has_its_path_and_each_piece_of_time_its_request() {
        let api = api_with("");
        let recordings = api.recordings().unwrap();
        let (from, to) = (time("2026-01-31T00:00:00Z"), time("2026-02-01T00:00:00Z"));
        for (level, path) in [
            (Level::Account, "client/999"),
            (Level::Group("7".to_owned()), "extension_group/7"),
            (Level::Extension("8".to_owned()), "extension/8"),
        ] {
            let times = "2026-01-31 00:00:00 2026-01-31 23:59:59";
            assert_eq!(
                targets(&recordings.list(&level, from, to)),
                [format!("Get /api/ver1.0/{path}/record/ {times}")]
            );
            let stats = targets(&recordings.stats(&level, from, to));
            assert_eq!(stats, [format!("Get /api/ver1.0/{path}/record/stats/ {times}")]);
            assert_eq!(recordings.file(&level, "1-A").path, format!("/api/ver1.0/{path}/record/1-A/"));
        }
        assert_eq!(
            recordings.link(&Level::Group("7".to_owned()), "1-A").path,
            "/api/ver1.0/client/999/record/1-A/storage_url/"
        );
        let deleted = targets(&recordings.delete_range("8", from, to));
        assert_eq!(deleted, ["Delete /api/ver1.0/extension/8/record/ 2026-01-31 00:00:00 2026-01-31 23:59:59"]);
        assert_eq!(recordings.list(&Level::Account, from, time("2026-06-01T00:00:00Z")).len(), 4);
        let archive = &recordings.archive(from, to, "ann@example.com")[0];
        assert!(archive.body.as_ref().unwrap().contains("\"email\":\"ann@example.com\""));
    }

    #[test]
    fn recordings_are_read_and_one_without_an_id_is_passed_over() {
        let body = br#"[{"record_uuid":"30-A","call_uuid":"ab","extension_id":1138241,"duration":"12.0","record_file_size":48528,
            "init_time_gmt":"2026-02-03 09:10:00.5","result":"answered"},{"record_uuid":null},7,{"record_uuid":"31-b"}]"#;
        let answer = Answer { status: 200, body: body.to_vec(), ..Answer::default() };
        let api = api_with("");
        let listed = api.recordings().unwrap().listed(&answer).unwrap();
        let first = &listed[0];
        assert_eq!((first.id.as_str(), first.call_id.as_deref(), first.duration_s), ("30-A", Some("AB"), Some(12)));
        assert_eq!((first.extension_id.as_deref(), first.size_bytes), (Some("1138241"), Some(48_528)));
        assert_eq!(first.begins_at, Some(time("2026-02-03T09:10:00.5Z")));
        assert_eq!(listed[1], Recording { id: "31-b".to_owned(), ..Recording::default() });
        assert!(api.recordings().unwrap().listed(&Answer { body: b"{}".to_vec(), ..answer }).is_none());
    }

    #[test]
    fn a_link_is_read_and_nothing_else_is_one() {
        let api = api_with("");
        let linked = |body: &str| {
            let answer = Answer { status: 200, body: body.as_bytes().to_vec(), ..Answer::default() };
            api.recordings().unwrap().linked(&answer)
        };
        assert!(linked(r#"{"record_url":"https://storage.example/1.mp3"}"#).is_some());
        for body in ["", "[]", "{}", r#"{"record_url":null}"#, r#"{"record_url":"soon"}"#] {
            assert!(linked(body).is_none(), "{body}");
        }
    }
}
