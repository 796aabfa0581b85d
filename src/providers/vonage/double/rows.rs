//! Rows as reports list them: every value is a text, or nothing.

use serde_json::{Map, Value};

use super::traffic::{Item, Sort, Traffic, time};
use crate::event::time::Time;

/// A column and its value, in the order of a file.
pub(super) type Column = (&'static str, Option<String>);

/// The columns of a row as they are told at a moment.
pub(super) fn columns(traffic: &Traffic, item: &Item, with_text: bool, now: Time) -> Vec<Column> {
    let mut columns = match item.sort {
        Sort::MessageOut | Sort::MessageIn => message(traffic, item),
        Sort::SmsOut | Sort::SmsIn => sms(traffic, item),
        Sort::Call => call(traffic, item),
        Sort::Verification => verification(traffic, item),
    };
    if item.priced_ms.is_some_and(|priced_ms| now.unix_ms() < priced_ms) {
        let prices = columns.iter_mut().filter(|(name, _)| *name == "total_price");
        prices.for_each(|(_, price)| *price = None);
    }
    if with_text && matches!(item.sort.product(), "MESSAGES" | "SMS") {
        columns.push(("message_body", Some(format!("Hello, {}\nfrom the double", item.number))));
    }
    columns
}

/// The row of a page.
pub(super) fn json(columns: Vec<Column>) -> Value {
    let member = |(name, value): Column| (name.to_owned(), value.map_or(Value::Null, Value::String));
    Value::Object(columns.into_iter().map(member).collect::<Map<String, Value>>())
}

/// `2026-02-03T12:14:26+00:00`, as files have it.
fn stamp(moment_ms: i64) -> String {
    format!("{}+00:00", time(moment_ms).to_string().trim_end_matches('Z'))
}

fn some(text: impl Into<String>) -> Option<String> {
    Some(text.into())
}

fn parties(traffic: &Traffic, item: &Item) -> [Column; 2] {
    let (customer, own) = (traffic.customer(item), "447700900001".to_owned());
    match item.sort.direction() {
        "inbound" => [("from", Some(customer)), ("to", Some(own))],
        _ => [("from", Some(own)), ("to", Some(customer))],
    }
}

fn message(traffic: &Traffic, item: &Item) -> Vec<Column> {
    let id = traffic.id(item);
    let mut columns = vec![
        ("account_id", some(traffic.account(item.account))),
        ("message_id", some(id.clone())),
        ("client_ref", some(format!("order-{}", item.number))),
        ("direction", some(item.sort.direction())),
    ];
    columns.extend(parties(traffic, item));
    columns.extend([
        ("country", some("GB")),
        ("country_name", some("United Kingdom")),
        ("provider", some("sms")),
        ("network", some("23410")),
        ("network_name", some("Example Mobile")),
        ("date_received", some(stamp(item.at_ms))),
    ]);
    if item.sort == Sort::MessageOut {
        columns.extend([
            ("date_finalized", some(stamp(item.over_ms))),
            ("latency", some((item.over_ms - item.at_ms).to_string())),
            ("status", some(if item.is_good { "delivered" } else { "rejected" })),
            ("error_code", some(if item.is_good { "" } else { "1420" })),
        ]);
    }
    columns.extend([("currency", some("EUR")), ("total_price", some("0.03330000")), ("id", some(id))]);
    columns
}

fn sms(traffic: &Traffic, item: &Item) -> Vec<Column> {
    let id = traffic.id(item);
    let mut columns = vec![
        ("account_id", some(traffic.account(item.account))),
        ("message_id", some(id.clone())),
        ("direction", some(item.sort.direction())),
    ];
    columns.extend(parties(traffic, item));
    columns.extend([("network", some("23410")), ("date_received", some(stamp(item.at_ms)))]);
    if item.sort == Sort::SmsOut {
        columns.extend([
            ("date_finalized", some(stamp(item.over_ms))),
            ("latency", some((item.over_ms - item.at_ms).to_string())),
            ("status", some(if item.is_good { "delivered" } else { "failed" })),
            ("error_code", some(if item.is_good { "0" } else { "6" })),
        ]);
    }
    columns.extend([("currency", None), ("total_price", some("0.03330000")), ("id", some(id))]);
    columns
}

/// Reports write the ids of legs without dashes.
fn call(traffic: &Traffic, item: &Item) -> Vec<Column> {
    let id = traffic.id(item).replace('-', "");
    let mut columns = vec![
        ("account_id", some(traffic.account(item.account))),
        ("id", some(id.clone())),
        ("call_id", some(id)),
        ("direction", some("outbound")),
    ];
    columns.extend(parties(traffic, item));
    columns.extend([
        ("network", some("GB-FIXED")),
        ("country", some("GB")),
        ("date_start", some(stamp(item.at_ms))),
        ("date_end", some(stamp(item.over_ms))),
        ("duration", some(Traffic::talk_s(item).to_string())),
        ("status", some(if item.is_good { "ANSWERED" } else { "ERROR" })),
        ("status_code", some(if item.is_good { "200" } else { "486" })),
        ("currency", some("EUR")),
        ("price", some("0.01440000")),
        ("total_price", some(if item.is_good { "0.00720000" } else { "0" })),
    ]);
    columns
}

fn verification(traffic: &Traffic, item: &Item) -> Vec<Column> {
    let id = traffic.id(item);
    vec![
        ("account_id", some(traffic.account(item.account))),
        ("id", some(id.clone())),
        ("request_id", some(id.replace('-', ""))),
        ("to", some(traffic.customer(item))),
        ("country", some("GB")),
        ("date_received", some(stamp(item.at_ms))),
        ("status", some(if item.is_good { "SUCCESS" } else { "FAILED" })),
        ("currency", some("EUR")),
        ("total_price", some("0.05000000")),
    ]
}
