//! What a request asks for, by the rules of the product.

use super::Refusal;
use super::manners::Manners;
use super::traffic::{Item, Traffic};
use crate::event::time::Time;

const DAY_MS: i64 = 86_400_000;

/// Thirteen months.
const REACH_MS: i64 = 396 * DAY_MS;

/// Without times the last seven days are meant.
const DEFAULT_MS: i64 = 7 * DAY_MS;

/// The products that there are.
const PRODUCTS: [&str; 21] = [
    "SMS",
    "MESSAGES",
    "VOICE-CALL",
    "VOICE-FAILED",
    "VOICE-TTS",
    "WEBSOCKET-CALL",
    "IN-APP-VOICE",
    "ASR",
    "AMD",
    "VERIFY-API",
    "VERIFY-V2",
    "NUMBER-INSIGHT",
    "NUMBER-INSIGHT-V2",
    "CONVERSATION-EVENT",
    "CONVERSATION-MESSAGE",
    "NETWORK-API-EVENT",
    "SMS-TRAFFIC-CONTROL",
    "VIDEO-API",
    "REPORTS-USAGE",
    "DISPATCH",
    "REDACT",
];

/// Where `direction` has to be, and where it may be.
const WITH_DIRECTION: [&str; 2] = ["SMS", "MESSAGES"];
const MAY_HAVE_DIRECTION: [&str; 3] = ["VOICE-CALL", "VOICE-FAILED", "ASR"];

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) product: String,
    pub(super) account: u32,
    pub(super) direction: Option<String>,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    pub(super) with_text: bool,
}

/// How a request tells its parameters.
pub(super) type Pair<'r> = &'r dyn Fn(&str) -> Option<String>;

impl Query {
    /// Reads what is asked for; `widest_ms` is as much as may be asked for at once.
    pub(super) fn read(
        pair: Pair<'_>,
        traffic: &Traffic,
        manners: &Manners,
        widest_ms: i64,
        now: Time,
    ) -> Result<Self, Refusal> {
        let product = pair("product").map(|product| product.to_uppercase());
        let product = product.filter(|product| PRODUCTS.contains(&product.as_str()));
        let product = product.ok_or_else(|| Refusal::of("product", "is missing or none of ours"))?;
        let account = pair("account_id").and_then(|key| traffic.account_of(&key));
        let account = account.ok_or_else(|| Refusal::of("account_id", "is missing or not yours"))?;
        let direction = direction(pair, &product)?;
        let to_ms = time(pair, "date_end")?.unwrap_or(now.unix_ms());
        let from_ms = time(pair, "date_start")?.unwrap_or(to_ms - DEFAULT_MS.min(widest_ms));
        if from_ms >= to_ms {
            return Err(Refusal::of("date_start", "is not before date_end"));
        }
        if manners.limits && to_ms - from_ms > widest_ms {
            return Err(Refusal::of("date_end", "the range exceeds what may be asked for"));
        }
        if manners.limits && from_ms < now.unix_ms() - REACH_MS {
            return Err(Refusal::of("date_start", "is older than 13 months"));
        }
        let with_text = pair("include_message").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        Ok(Self { product, account, direction, from_ms, to_ms, with_text })
    }

    /// The facts that are meant, as far as they are known.
    pub(super) fn chosen(&self, traffic: &Traffic, now: Time) -> Vec<Item> {
        self.chosen_of(traffic, now, false)
    }

    /// The same, of the accounts below too.
    pub(super) fn chosen_of(&self, traffic: &Traffic, now: Time, with_subaccounts: bool) -> Vec<Item> {
        let is_meant = |item: &Item| {
            item.learnt_ms <= now.unix_ms()
                && (item.account == self.account || with_subaccounts)
                && item.sort.product() == self.product
                && self.direction.as_deref().is_none_or(|direction| direction == item.sort.direction())
        };
        traffic.items(self.from_ms, self.to_ms).filter(is_meant).collect()
    }
}

fn direction(pair: Pair<'_>, product: &str) -> Result<Option<String>, Refusal> {
    let told = pair("direction").map(|word| word.to_lowercase());
    let may_be = MAY_HAVE_DIRECTION.contains(&product);
    match told {
        None if WITH_DIRECTION.contains(&product) => Err(Refusal::of("direction", "is required for this product")),
        None => Ok(None),
        Some(_) if !may_be && !WITH_DIRECTION.contains(&product) => {
            Err(Refusal::of("direction", "is not allowed for this product"))
        }
        Some(word) if word == "inbound" || word == "outbound" => Ok(Some(word)),
        Some(_) => Err(Refusal::of("direction", "is neither inbound nor outbound")),
    }
}

fn time(pair: Pair<'_>, name: &'static str) -> Result<Option<i64>, Refusal> {
    let Some(text) = pair(name) else { return Ok(None) };
    // A plus that was not encoded arrives as a space.
    let read = Time::parse_iso(&text).map(Time::unix_ms);
    read.map(Some).ok_or_else(|| Refusal::of(name, "is not a time of ISO 8601 with an offset"))
}
