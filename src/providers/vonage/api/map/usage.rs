//! Rows of every other product.

use super::super::streams::Sort;
use super::columns::{Columns, Unnamed};
use super::{Fault, Mapped};
use crate::event::Fact;
use crate::event::money::PriceScope;
use crate::event::usage::UsageRecord;

/// What was charged for. Some products have a price of the row, others of an item of it and a total.
pub(super) fn map<'r>(columns: &Columns<'r>, product: &'static str) -> Result<Mapped<'r>, Fault<'r>> {
    let row_id = columns.id(&["id"])?;
    let money = |name| columns.money(name, PriceScope::Total, Unnamed::Unknown);
    let fact = UsageRecord {
        status_raw: columns.members.text("status"),
        from: columns.party("from"),
        to: columns.party("to"),
        price: money("total_price").or_else(|| money("price")),
        ..UsageRecord::new(product, row_id)
    };
    let occurred_at = columns.placed_at(Sort::Usage);
    let product = Some(product.to_lowercase());
    Ok(Mapped { fact: Fact::UsageRecord(Box::new(fact)), occurred_at, product, unmapped: Vec::new() })
}
