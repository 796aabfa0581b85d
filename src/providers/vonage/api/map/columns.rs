//! The columns that rows of several products have in common.

use super::super::streams::Sort;
use super::Origin;
use crate::event::address::{Address, AddressRules};
use crate::event::country;
use crate::event::id::is_id;
use crate::event::money::{self, Money, PriceScope};
use crate::event::network::Network;
use crate::event::time::Time;
use crate::json::{Member, Members, Text, Value};
use crate::provider::Fault;
use crate::providers::vonage::webhook;

/// By which column rows of other products are placed: the first of these that is there.
const OTHER_TIMES: [&str; 7] =
    ["date_received", "date_start", "start_time", "creation_date", "call_date_start", "event_time", "queued_time"];

/// The columns of one row.
pub(super) struct Columns<'r> {
    pub(super) members: Members<'r>,
    pub(super) region: Option<country::Id>,
}

/// In which currency a price is that names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unnamed {
    /// The product is sold in euros alone.
    Euro,
    /// That is not documented.
    Unknown,
}

impl<'r> Columns<'r> {
    pub(super) fn parse(origin: Origin<'r>) -> Result<Self, Fault<'r>> {
        let members = Members::parse(origin.text);
        let members = members.map_err(|_| Fault::of_request("invalid_json", "the row is not one JSON object"))?;
        Ok(Self { members, region: origin.region })
    }

    /// The first of these columns that holds an id.
    pub(super) fn id(&self, names: &[&'static str]) -> Result<Text<'r>, Fault<'r>> {
        let found = names.iter().find_map(|name| Some((*name, self.members.text_or_number(name)?)));
        let Some((name, id)) = found else {
            let message = format!("the row has no {}", names.join(" or "));
            return Err(Fault::of_request("missing_id", message));
        };
        match is_id(&id) {
            true => Ok(id),
            false => Err(Fault::of_request("invalid_id", format!("{name} can not be an id")).at(format!("/{name}"))),
        }
    }

    /// The account that a row is of, and the one above it where that is another.
    pub(super) fn accounts(&self, configured: Option<&'r str>) -> Result<(Text<'r>, Option<Text<'r>>), Fault<'r>> {
        let account_id = self.members.text_or_number("account_id").or(configured.map(Text::Borrowed));
        let account_id = account_id.ok_or_else(|| Fault::of_request("missing_account", "the row has no account_id"))?;
        if !is_id(&account_id) {
            return Err(Fault::of_request("invalid_id", "account_id can not be an id").at("/account_id"));
        }
        let parent = configured.filter(|configured| *configured != account_id).map(Text::Borrowed);
        Ok((account_id, parent))
    }

    pub(super) fn time(&self, name: &str) -> Option<Time> {
        self.members.read(name, webhook::time)
    }

    /// When the row counts for Vonage.
    pub(super) fn placed_at(&self, sort: Sort) -> Option<Time> {
        match sort {
            Sort::Outbound(_) | Sort::Inbound(_) => self.time("date_received"),
            Sort::Call | Sort::AppCall => self.time("date_start"),
            Sort::Usage => self.time(OTHER_TIMES.into_iter().find(|name| self.tells(name))?),
        }
    }

    /// Whether a column is there and holds something.
    fn tells(&self, name: &str) -> bool {
        self.members.text_or_number(name).is_some()
    }

    /// What a column of money says.
    pub(super) fn money(&self, name: &str, scope: PriceScope, unnamed: Unnamed) -> Option<Money<'r>> {
        let amount = self.members.read(name, money::amount)?;
        let told = self.members.read("currency", money::currency);
        let currency_assumed = told.is_none() && unnamed == Unnamed::Euro;
        let currency = told.or_else(|| currency_assumed.then_some("EUR".into()));
        Some(Money { amount, currency, currency_assumed, scope })
    }

    /// The network of the party outside.
    pub(super) fn network(&self) -> Option<Network<'r>> {
        let by_code = self.members.read("network", Network::from_code);
        let mut network = by_code.unwrap_or_default();
        network.name = self.members.text("network_name").or(network.name);
        network.country = self.members.read("country", country_code);
        (network != Network::default()).then_some(network)
    }

    /// A party that is a number in the plan of the world.
    pub(super) fn party(&self, name: &str) -> Option<Address<'r>> {
        let rules =
            AddressRules { international_digits: true, call: true, region: self.region, ..AddressRules::default() };
        self.members.text_or_number(name).map(|text| Address::read(text, &rules))
    }
}

/// Two letters; the name of the country has a column of its own.
fn country_code(text: Text<'_>) -> Option<Text<'_>> {
    let code = text.trim();
    let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_code.then(|| code.to_ascii_uppercase().into())
}

/// A number or a truth value as it was written.
pub(super) fn bare_word<'r>(member: &Member<'r>) -> Option<Text<'r>> {
    let Value::Json(raw) = member.value else { return None };
    let is_word = matches!(raw.get().as_bytes().first(), Some(b'-' | b'0'..=b'9' | b't' | b'f'));
    is_word.then(|| Text::Borrowed(raw.get()))
}
