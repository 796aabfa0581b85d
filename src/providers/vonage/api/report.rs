//! A report: what Vonage tells of its state, in either of two renderings.

use url::Url;

use super::page::raw;
use super::streams::{direction_of, product_of};
use crate::event::time::Time;
use crate::json::{Members, Text, items_of, number};
use crate::provider::api::reports::Progress;
use crate::provider::api::{Answer, Asked};

/// What is known of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    /// Its id, which is opaque.
    pub(super) id: String,
    pub(super) progress: Progress,
    /// Vonage's word for that.
    pub(super) word: String,
    /// The name of its file.
    pub(super) file: Option<String>,
    pub(super) items_count: Option<u64>,
    /// When it was asked for.
    asked_at: Option<Time>,
    pub(super) product: Option<String>,
    direction: Option<String>,
    pub(super) from: Option<Time>,
    pub(super) to: Option<Time>,
}

/// A report that was lost sight of is found again for so long.
const YOUNG_S: i64 = 600;

impl Report {
    /// Reads what an answer tells of one.
    pub(super) fn of(answer: &Answer) -> Option<Self> {
        Self::read(&answer.text())
    }

    /// Reads one of a list or by itself. What was asked for stands at the top, or in `request_params`.
    fn read(text: &str) -> Option<Self> {
        let members = Members::parse(text).ok()?;
        let parameters = members.object("request_params");
        let of = |name: &str| members.text_or_number(name).or_else(|| parameters?.text_or_number(name));
        let time = |name: &str| of(name).and_then(|text| Time::parse_iso(&text));
        let id = members.text_or_number("request_id").filter(|id| is_name(id))?;
        let word = members.text("request_status").or_else(|| members.text("status")).unwrap_or_default().into_owned();
        Some(Self {
            id: id.into_owned(),
            progress: progress(&word),
            word,
            file: link(&members).and_then(|link| file_of(&link)),
            items_count: members.read("items_count", |text| number::whole(&text)),
            asked_at: time("receive_time"),
            product: of("product").map(Text::into_owned),
            direction: of("direction").map(Text::into_owned),
            from: time("date_start"),
            to: time("date_end"),
        })
    }

    /// The reports of a list; nothing comes of an answer that is none.
    pub(super) fn list(answer: &Answer) -> Option<Vec<Self>> {
        let text = answer.text();
        let members = Members::parse(&text).ok()?;
        let reports = items_of(raw(&members, "reports")?)?;
        Some(reports.into_iter().filter_map(|report| Self::read(report.get())).collect())
    }

    /// Whether this is the report that was just asked for, by the clock of the answer that tells of it.
    pub(super) fn is_of(&self, asked: &Asked, from: Time, to: Time, clock: Time) -> bool {
        let is = |told: &Option<String>, wanted: Option<&str>| match (told.as_deref(), wanted) {
            (Some(told), Some(wanted)) => told.eq_ignore_ascii_case(wanted),
            (_, wanted) => wanted.is_none(),
        };
        let is_young = |asked_at: Time| (clock.unix_seconds() - asked_at.unix_seconds()).abs() <= YOUNG_S;
        self.progress != Progress::Failed
            && self.asked_at.is_some_and(is_young)
            && is(&self.product, product_of(asked.stream))
            && is(&self.direction, direction_of(asked.stream))
            && (self.from, self.to) == (Some(from), Some(to))
    }
}

fn progress(word: &str) -> Progress {
    match word.trim().to_ascii_uppercase().as_str() {
        "SUCCESS" => Progress::Ready,
        "TRUNCATED" => Progress::Truncated,
        "FAILED" | "ABORTED" => Progress::Failed,
        _ => Progress::Pending,
    }
}

fn link<'r>(members: &Members<'r>) -> Option<Text<'r>> {
    let of_links = || members.object("_links")?.object("download_report")?.text("href");
    of_links().or_else(|| members.text("download_url"))
}

/// The last part of a link's path. Its host is never asked: files are where reports are.
fn file_of(link: &str) -> Option<String> {
    let url = Url::parse("http://host.invalid").ok()?.join(link.trim()).ok()?;
    let name = url.path_segments()?.next_back()?.to_owned();
    is_name(&name).then_some(name)
}

/// Whether a text can stand in a path as one part of it.
pub(super) fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=200).contains(&text.len()) && text.bytes().all(is_plain) && !text.bytes().all(|byte| byte == b'.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::providers::vonage::api::tests::{answer, asked, time};

    #[test]
    fn both_renderings_tell_the_same() {
        let links = json!({"request_id": "ri3p58f-1", "request_status": "SUCCESS", "product": "SMS", "direction": "outbound",
            "date_start": "2026-02-03T00:00:00+0000", "date_end": "2026-02-03T12:00:00+0000", "items_count": 3,
            "receive_time": "2026-02-03T13:00:00+0000", "_links": {"download_report": {"href": "https://other.example/v3/media/f-1"}}});
        let flat = json!({"request_id": "ri3p58f-1", "status": "SUCCESS", "items_count": "3", "receive_time": "2026-02-03T13:00:00Z",
            "download_url": "https://other.example/v3/media/f-1?x=y", "request_params": {"product": "sms", "direction": "OUTBOUND",
            "date_start": "2026-02-03T00:00:00Z", "date_end": "2026-02-03T12:00:00.000Z"}});
        for body in [links, flat] {
            let report = Report::of(&answer(200, &body)).unwrap();
            assert_eq!(
                (report.id.as_str(), report.progress, report.file.as_deref()),
                ("ri3p58f-1", Progress::Ready, Some("f-1"))
            );
            assert_eq!(report.items_count, Some(3));
            let asked = asked("sms.outbound");
            let is_of = |clock: &str| report.is_of(&asked, asked.from, asked.to, time(clock));
            assert!(is_of("2026-02-03T13:05:00Z") && !is_of("2026-02-03T13:11:00Z"));
            let other = super::super::tests::asked("sms.inbound");
            assert!(!report.is_of(&other, other.from, other.to, time("2026-02-03T13:05:00Z")));
        }
    }

    #[test]
    fn states_that_nobody_has_heard_of_are_waited_for() {
        for (word, expected) in [
            ("PENDING", Progress::Pending),
            ("processing", Progress::Pending),
            ("BRAND NEW", Progress::Pending),
            ("Truncated", Progress::Truncated),
            ("ABORTED", Progress::Failed),
            ("FAILED", Progress::Failed),
        ] {
            assert_eq!(progress(word), expected, "{word}");
        }
    }

    proptest! {
        /// Whatever a link says, the path that is asked has one more part and leads nowhere else.
        #[test]
        fn no_name_of_a_file_leads_elsewhere(link in "\\PC{0,40}(/|\\.\\.|%2f|\\?)*\\PC{0,20}") {
            if let Some(name) = file_of(&link) {
                prop_assert!(!name.contains('/') && !name.contains('%') && name != ".." && name != ".");
            }
        }
    }
}
