//! Facts about usage: what a provider charges for and is neither a message nor a call.

use serde::Serialize;

use super::address::Address;
use super::id::{FactHash, Identity};
use super::money::{self, Money};
use super::privacy::Privacy;
use crate::json::Text;

/// One row of a provider's accounting that counts no message and no call. What the row says beyond these members
/// stands in `columns`, which is made of what the mapping hands over as left over.
#[derive(Debug, Clone, Serialize)]
pub struct UsageRecord<'a> {
    /// The provider's id of the row, as it wrote it.
    pub row_id: Text<'a>,
    /// The provider's word for how it went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_raw: Option<Text<'a>>,
    /// Who used it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Address<'a>>,
    /// For whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Address<'a>>,
    /// What it costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money<'a>>,
    /// Product and row, by which the record is known; not published by itself.
    #[serde(skip)]
    pub usage_id: String,
}

impl<'a> UsageRecord<'a> {
    /// A row of which nothing else is told yet. Products number their rows each for itself, so an id is one only together
    /// with its product.
    pub fn new(product: &str, row_id: Text<'a>) -> Self {
        let usage_id = format!("{product}:{row_id}").to_lowercase();
        Self { row_id, status_raw: None, from: None, to: None, price: None, usage_id }
    }
}

impl UsageRecord<'_> {
    /// A row that has changed is another event under the same key.
    pub(super) fn with_identity<T>(&self, use_it: impl FnOnce(&Identity<'_>) -> T) -> T {
        let version = format!("h:{}", self.fact_hash());
        use_it(&Identity { id: &self.usage_id, x: "", y: &version })
    }

    pub(super) fn fact_hash(&self) -> FactHash {
        let price = self.price.as_ref();
        FactHash::compute(&[
            self.status_raw.as_deref().unwrap_or_default(),
            price.map(|price| money::canonical(&price.amount)).unwrap_or_default(),
            price.and_then(|price| price.currency.as_deref()).unwrap_or_default(),
        ])
    }

    pub(super) fn redact(&mut self, privacy: &Privacy) {
        let parties = [self.from.as_mut(), self.to.as_mut()];
        parties.into_iter().flatten().for_each(|party| privacy.address(party));
        privacy.free_text(&mut self.status_raw);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::event::id::EventId;
    use crate::event::kind::Kind;
    use crate::event::money::PriceScope;

    fn record() -> UsageRecord<'static> {
        let price = Money {
            amount: "0.0100".into(),
            currency: Some("EUR".into()),
            currency_assumed: false,
            scope: PriceScope::Total,
        };
        UsageRecord {
            status_raw: Some("SUCCESS".into()),
            price: Some(price),
            ..UsageRecord::new("VERIFY-API", "Ab-1".into())
        }
    }

    fn id(record: &UsageRecord<'_>) -> String {
        record.with_identity(|identity| EventId::compute("vonage", "abcd1234", "usage.record", identity)).to_string()
    }

    /// `["evt/1","vonage","abcd1234","usage.record","verify-api:ab-1","","h:<hash>"]`, computed with `sha256sum`.
    #[test]
    fn a_row_is_known_by_product_and_id_in_lower_case_and_by_what_may_change() {
        let record = record();
        assert_eq!((record.usage_id.as_str(), &*record.row_id), ("verify-api:ab-1", "Ab-1"));
        assert_eq!(record.fact_hash().to_string(), "c4fd19ff31a2d8ff");
        assert_eq!(id(&record), "3a79ff75b0d04f4fe25b53a389109c97");
    }

    #[test]
    fn another_price_or_status_is_another_event_and_another_spelling_of_the_price_is_not() {
        let priced = |amount: &'static str| {
            let price = record().price.map(|price| Money { amount: amount.into(), ..price });
            UsageRecord { price, ..record() }
        };
        assert_eq!(id(&priced("0.01")), id(&record()));
        assert_ne!(id(&priced("0.02")), id(&record()));
        assert_ne!(id(&UsageRecord { status_raw: Some("FAILED".into()), ..record() }), id(&record()));
        let addressed = UsageRecord { to: Some(Address::unknown()), ..record() };
        assert_eq!(id(&addressed), id(&record()), "a column that was not there before changes no id");
    }

    #[test]
    fn a_record_has_exactly_the_members_of_its_schema() {
        let record = UsageRecord { from: Some(Address::unknown()), to: Some(Address::unknown()), ..record() };
        let written = serde_json::to_value(&record).unwrap();
        let schema: Value = serde_json::from_str(Kind::UsageRecord.info().schema).unwrap();
        let told = schema["properties"].as_object().unwrap().keys();
        let own: Vec<&String> = told.skip_while(|name| *name != "row_id").collect();
        assert_eq!(written.as_object().unwrap().keys().collect::<Vec<_>>(), own);
    }
}
