//! What becomes of a row of a report: one event each.
//!
//! Pages have rows as JSON, whose numbers are mostly texts; files have them as columns of text. Both are read alike, by
//! the columns' names, and a column that nothing asks for stays beside the event.
//!
//! Source: Vonage, "Reports API" reference and guides; names of columns also by files that were really downloaded.

use super::streams::{Sort, sort_of};
use crate::event::country;
use crate::event::time::Time;
use crate::event::{Event, Fact, Leftovers, Occurrence};
use crate::json::{Members, Text};
use crate::provider::{Fault, Sink};

mod call;
mod classes;
mod columns;
mod message;
mod usage;

use columns::Columns;

/// One row, and whose it is unless it says otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'r> {
    /// The product as Vonage writes it.
    pub(super) product: &'static str,
    /// Name of the stream that it was asked for.
    pub(super) stream: &'static str,
    /// The row as JSON text.
    pub(super) text: &'r str,
    /// The source's account.
    pub(super) account_id: Option<&'r str>,
    /// Region in which national numbers are read.
    pub(super) region: Option<country::Id>,
}

/// What a mapping makes of a row.
struct Mapped<'r> {
    fact: Fact<'r>,
    occurred_at: Option<Time>,
    /// The event's product, where the row is no copy of what a webhook tells.
    product: Option<String>,
    /// Columns whose word is in no map.
    unmapped: Vec<&'static str>,
}

/// Hands over the event of a row, or why there is none.
pub(super) fn map<'r>(origin: Origin<'r>, out: &mut dyn Sink<'r>) {
    match read(origin, out) {
        Ok(event) => out.event(event),
        Err(fault) => out.fault(Fault { record: Some(Text::Borrowed(origin.text)), ..fault }),
    }
}

/// The time by which a row belongs to a window: Vonage's filters go by it.
pub(super) fn placed_at(origin: Origin<'_>) -> Option<Time> {
    Columns::parse(origin).ok()?.placed_at(sort_of(origin.stream))
}

fn read<'r>(origin: Origin<'r>, out: &mut dyn Sink<'r>) -> Result<Event<'r>, Fault<'r>> {
    let columns = Columns::parse(origin)?;
    let mapped = match sort_of(origin.stream) {
        Sort::Outbound(product) => message::status(&columns, product)?,
        Sort::Inbound(product) => message::inbound(&columns, product)?,
        Sort::Call => call::of_network(&columns, origin.product)?,
        Sort::AppCall => call::of_app(&columns, origin.product)?,
        Sort::Usage => usage::map(&columns, origin.product)?,
    };
    let (account_id, parent_account_id) = columns.accounts(origin.account_id)?;
    columns.members.settle_nothing();
    mapped.unmapped.into_iter().for_each(|column| out.unmapped(column));
    let leftovers = if matches!(mapped.fact, Fact::UsageRecord(_)) { as_texts(origin)? } else { columns.members };
    Ok(Event {
        product: mapped.product.map_or("reports".into(), Into::into),
        account_id,
        parent_account_id,
        provider_event_id: None,
        occurred: Occurrence::by_provider(mapped.occurred_at),
        fact: mapped.fact,
        leftovers: Leftovers { members: leftovers, classes: &classes::CLASSES },
    })
}

/// All columns of a row, read or not, numbers and truth values as the texts that a file has.
fn as_texts(origin: Origin<'_>) -> Result<Members<'_>, Fault<'_>> {
    let mut members = Columns::parse(origin)?.members;
    members.replace_texts(columns::bare_word);
    members.settle_nothing();
    Ok(members)
}

#[cfg(test)]
mod tests;
