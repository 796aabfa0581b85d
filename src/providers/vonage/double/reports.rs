//! Reports: asked for, waited for, listed, given up. What a report holds was chosen when it was asked for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::manners::{End, FileForm, Rendering};
use super::query::Query;
use super::traffic::Item;
use super::{Answered, Refusal, Vonage, files};
use crate::event::time::Time;
use crate::provider::double::{Request, Response, dice};

const DAY_MS: i64 = 86_400_000;

/// Thirteen months.
const WIDEST_MS: i64 = 396 * DAY_MS;

/// The state of a report is told for so long.
const KEPT_MS: i64 = 4 * DAY_MS;

/// So many reports are remembered.
const MOST_REPORTS: usize = 10_000;

/// Every state that there is.
const STATES: [&str; 6] = ["PENDING", "PROCESSING", "SUCCESS", "ABORTED", "FAILED", "TRUNCATED"];

/// All reports, by the number of their request.
#[derive(Debug, Default)]
pub(super) struct Reports {
    known: BTreeMap<u64, Report>,
}

/// One of them.
#[derive(Debug, Clone)]
struct Report {
    id: String,
    file: String,
    query: Query,
    with_subaccounts: bool,
    asked_ms: i64,
    is_aborted: bool,
}

impl Vonage {
    pub(super) fn create(&mut self, request: &Request, now: Time) -> Answered {
        let body: Value = serde_json::from_slice(&request.body)
            .map_err(|_| Refusal::new(400, "Bad Request", "The request body is not JSON"))?;
        let pair = |name: &str| match body.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        };
        let query = Query::read(&pair, &self.traffic, &self.manners, WIDEST_MS, now)?;
        let seed = self.traffic.world().seed;
        let uuid = dice::uuid(seed, self.asked, "report");
        let id = if self.manners.prefixed_ids { format!("ri3p58f-{uuid}") } else { uuid };
        let report = Report {
            id,
            file: dice::uuid(seed, self.asked, "file"),
            query,
            with_subaccounts: pair("include_subaccounts").as_deref() == Some("true"),
            asked_ms: now.unix_ms(),
            is_aborted: false,
        };
        self.reports.known.insert(self.asked, report.clone());
        while self.reports.known.len() > MOST_REPORTS {
            self.reports.known.pop_first();
        }
        Ok(Response::json(200, &self.told(&report, now)))
    }

    pub(super) fn one_report(&mut self, method: &str, id: &str, now: Time) -> Answered {
        let is_it = |report: &Report| report.id == id && now.unix_ms() - report.asked_ms < KEPT_MS;
        let found = self.reports.known.iter().find(|(_, report)| is_it(report));
        let (number, report) =
            found.map(|(number, report)| (*number, report.clone())).ok_or_else(Refusal::not_found)?;
        if method == "DELETE" {
            if !matches!(self.state(&report, now), "PENDING" | "PROCESSING") {
                return Err(Refusal::new(409, "Invalid abort operation", "The report has ended"));
            }
            let aborted = Report { is_aborted: true, ..report };
            let told = self.told(&aborted, now);
            self.reports.known.insert(number, aborted);
            return Ok(Response::json(200, &told));
        }
        if method == "GET" { Ok(Response::json(200, &self.told(&report, now))) } else { Err(Refusal::not_found()) }
    }

    /// States have to be asked for; without times those of the last seven days are meant.
    pub(super) fn list(&self, request: &Request, now: Time) -> Answered {
        let states = request.pair("status").ok_or_else(|| Refusal::of("status", "is required"))?.to_uppercase();
        let states: Vec<&str> = states.split(',').map(str::trim).collect();
        if states.iter().any(|state| !STATES.contains(state)) {
            return Err(Refusal::of("status", "has a state that there is not"));
        }
        let time = |name: &str, otherwise_ms: i64| {
            request.pair(name).and_then(|text| Time::parse_iso(&text)).map_or(otherwise_ms, Time::unix_ms)
        };
        let span = time("date_from", now.unix_ms() - 7 * DAY_MS)..time("date_to", now.unix_ms() + 1);
        let is_meant = |report: &&Report| span.contains(&report.asked_ms) && states.contains(&self.state(report, now));
        let reports: Vec<Value> =
            self.reports.known.values().filter(is_meant).map(|report| self.told(report, now)).collect();
        Ok(Response::json(200, &json!({"self_link": request.path, "items_count": reports.len(), "reports": reports})))
    }

    pub(super) fn media(&self, file: &str, now: Time) -> Answered {
        let is_it = |report: &&Report| {
            let age_ms = now.unix_ms() - report.asked_ms;
            report.file == file && age_ms < i64::from(self.manners.file_s) * 1000 && self.has_file(report, now)
        };
        let report = self.reports.known.values().find(is_it).ok_or_else(Refusal::not_found)?;
        let account = self.traffic.account(report.query.account);
        let items = self.rows_of(report);
        let asked = Time::from_unix_ms(report.asked_ms).unwrap_or(now);
        let bytes = files::write(&self.traffic, &report.query, &account, &items, self.manners.file, asked);
        let bytes = bytes.ok_or_else(|| Refusal::new(500, "Internal Error", "The file can not be made"))?;
        Ok(Response { body: bytes, ..Response::empty(200) }.with_header("Content-Type", "application/octet-stream"))
    }

    /// What fits into the file.
    fn rows_of(&self, report: &Report) -> Vec<Item> {
        let at = Time::from_unix_ms(report.asked_ms).unwrap_or(Time::EPOCH);
        let mut chosen = report.query.chosen_of(&self.traffic, at, report.with_subaccounts);
        chosen.truncate(self.manners.file_rows);
        chosen
    }

    fn has_file(&self, report: &Report, now: Time) -> bool {
        matches!(self.state(report, now), "SUCCESS" | "TRUNCATED")
    }

    fn state(&self, report: &Report, now: Time) -> &'static str {
        if report.is_aborted {
            return "ABORTED";
        }
        let ready_ms = report.asked_ms + i64::from(self.manners.ready_s) * 1000;
        if now.unix_ms() < ready_ms || self.manners.end == End::Never {
            return if now.unix_ms() == report.asked_ms { "PENDING" } else { "PROCESSING" };
        }
        let at = Time::from_unix_ms(report.asked_ms).unwrap_or(now);
        let rows = report.query.chosen_of(&self.traffic, at, report.with_subaccounts).len();
        match self.manners.end {
            End::Failed => "FAILED",
            End::Aborted => "ABORTED",
            _ if rows > self.manners.file_rows => "TRUNCATED",
            _ => "SUCCESS",
        }
    }

    fn told(&self, report: &Report, now: Time) -> Value {
        let state = self.state(report, now);
        let Query { product, account, direction, from_ms, to_ms, with_text } = &report.query;
        let parameters = json!({
            "product": product, "account_id": self.traffic.account(*account), "direction": direction,
            "date_start": zoned(*from_ms), "date_end": zoned(*to_ms), "include_message": with_text,
            "include_subaccounts": report.with_subaccounts,
        });
        let mut told = json!({"request_id": report.id, "receive_time": zoned(report.asked_ms)});
        let host =
            if self.manners.file == FileForm::ForeignLink { "http://files.foreign.example" } else { &self.bases.first };
        let link = self.has_file(report, now).then(|| format!("{host}/v3/media/{}", report.file));
        if link.is_some() {
            told["items_count"] = self.rows_of(report).len().into();
        }
        match self.manners.rendering {
            Rendering::Links => {
                told["request_status"] = state.into();
                let own = format!("{}/v2/reports/{}", self.bases.first, report.id);
                told["_links"] = json!({"self": {"href": own}});
                told["_links"].as_object_mut().into_iter().for_each(|links| {
                    links.extend(link.iter().map(|link| ("download_report".to_owned(), json!({"href": link}))));
                });
                told.as_object_mut().into_iter().zip(parameters.as_object()).for_each(|(told, parameters)| {
                    told.extend(parameters.clone());
                });
            }
            Rendering::Flat => {
                told["status"] = state.into();
                told["download_url"] = link.map_or(Value::Null, Value::String);
                told["request_params"] = parameters;
            }
        }
        told
    }
}

/// `2026-02-03T12:14:26+0000`, as the reference writes times.
fn zoned(moment_ms: i64) -> String {
    format!("{}+0000", super::traffic::time(moment_ms).to_string().trim_end_matches('Z'))
}
