//! `GET /v2/reports/records`: rows page by page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use form_urlencoded::Serializer;
use serde_json::{Value, json};

use super::manners::{ItemsCount, LinkForm};
use super::query::Query;
use super::{Answered, Refusal, Vonage, rows};
use crate::event::time::Time;
use crate::provider::double::{Request, Response, dice};

/// A day is the most that may be asked for.
const WIDEST_MS: i64 = 86_400_000;

impl Vonage {
    pub(super) fn records(&self, request: &Request, now: Time) -> Answered {
        let pair = |name: &str| request.pair(name).map(|value| value.into_owned()).filter(|value| !value.is_empty());
        let query = Query::read(&pair, &self.traffic, &self.manners, WIDEST_MS, now)?;
        let begin = self.begin(pair("cursor").as_deref(), pair("iv").as_deref())?;
        let chosen = query.chosen(&self.traffic, now);
        let end = begin.saturating_add(self.manners.page_rows).min(chosen.len());
        let page = chosen.get(begin..end).unwrap_or_default();
        let row = |item| rows::json(rows::columns(&self.traffic, item, query.with_text, now));
        let records: Vec<Value> = page.iter().map(row).collect();
        let items_count = match self.manners.items_count {
            ItemsCount::Page => records.len(),
            ItemsCount::All => chosen.len(),
        };
        let is_last = end >= chosen.len();
        let mut body = json!({
            "request_id": dice::uuid(self.traffic.world().seed, self.asked, "request"),
            "request_status": if is_last { "SUCCESS" } else { "TRUNCATED" },
            "received_at": now.to_string(),
            "items_count": items_count,
            "product": query.product,
            "account_id": self.traffic.account(query.account),
            "price": 0.0,
            "currency": "EUR",
            "records": records,
            "_links": {"self": {"href": format!("{}{}?{}", self.bases.first, request.path, request.query)}},
        });
        if !is_last {
            self.tell_next(request, end, &mut body);
        }
        Ok(Response::json(200, &body))
    }

    /// Cursors are opaque, and hold only with the value that belongs to each.
    fn begin(&self, cursor: Option<&str>, iv: Option<&str>) -> Result<usize, Refusal> {
        let Some(cursor) = cursor else { return Ok(0) };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
        let place = bytes.and_then(|bytes| String::from_utf8(bytes).ok()?.strip_prefix("row ")?.parse().ok());
        let place: usize = place.ok_or_else(|| Refusal::of("cursor", "is none of ours"))?;
        if iv == Some(&self.iv(place)) { Ok(place) } else { Err(Refusal::of("iv", "does not belong to the cursor")) }
    }

    fn iv(&self, place: usize) -> String {
        dice::uuid(self.traffic.world().seed, place as u64, "iv")
    }

    fn tell_next(&self, request: &Request, place: usize, body: &mut Value) {
        let own = request.pair("cursor").map(|cursor| cursor.into_owned());
        let (cursor, iv) = match self.manners.link {
            LinkForm::Repeated => {
                (own.unwrap_or_else(|| cursor_at(0)), request.pair("iv").map_or_else(|| self.iv(0), Into::into))
            }
            _ => (cursor_at(place), self.iv(place)),
        };
        let base = match self.manners.link {
            LinkForm::Foreign => "http://reports.foreign.example",
            LinkForm::Absent => {
                body["cursor"] = cursor.into();
                body["iv"] = iv.into();
                return;
            }
            LinkForm::Ordinary | LinkForm::Repeated => &self.bases.first,
        };
        let pairs =
            form_urlencoded::parse(request.query.as_bytes()).filter(|(name, _)| name != "cursor" && name != "iv");
        let query = Serializer::new(String::new())
            .extend_pairs(pairs)
            .append_pair("cursor", &cursor)
            .append_pair("iv", &iv)
            .finish();
        body["_links"]["next"] = json!({"href": format!("{base}{}?{query}", request.path)});
    }
}

fn cursor_at(place: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("row {place}"))
}
