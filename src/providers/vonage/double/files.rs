//! The file of a report: a table in a zip, with every field in quotation marks.

use std::io::{Cursor, Write as _};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::manners::FileForm;
use super::query::Query;
use super::rows;
use super::traffic::{Item, Traffic};
use crate::event::time::Time;

/// Writes a file; nothing if that fails, which only memory could make it.
pub(super) fn write(
    traffic: &Traffic,
    query: &Query,
    account: &str,
    items: &[Item],
    form: FileForm,
    asked: Time,
) -> Option<Vec<u8>> {
    let table = table(traffic, query, items, form, asked);
    let day: String = asked.to_string().chars().filter(char::is_ascii_digit).take(8).collect();
    let name = format!("report_{}_{account}_{day}.csv", query.product);
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = ZipWriter::new(&mut bytes);
    let names = if form == FileForm::Two { vec![name.clone(), format!("more_{name}")] } else { vec![name] };
    for name in names {
        writer.start_file(name, SimpleFileOptions::default()).ok()?;
        writer.write_all(table.as_bytes()).ok()?;
    }
    writer.finish().ok()?;
    let mut bytes = bytes.into_inner();
    if form == FileForm::Damaged {
        let place = bytes.len() / 2;
        bytes.get_mut(place).into_iter().for_each(|byte| *byte ^= 0x55);
    }
    Some(bytes)
}

/// A table has its header also where it has no row, and the columns of its product whichever rows there are.
fn table(traffic: &Traffic, query: &Query, items: &[Item], form: FileForm, asked: Time) -> String {
    let mut table = String::new();
    for (number, item) in items.iter().enumerate() {
        let columns = rows::columns(traffic, item, query.with_text, asked);
        if number == 0 {
            line(&mut table, columns.iter().map(|(name, _)| header(name, form)));
        }
        line(&mut table, columns.iter().map(|(_, value)| value.as_deref().unwrap_or_default()));
    }
    if items.is_empty() {
        line(
            &mut table,
            ["account_id", "message_id", "call_id", "status", "id"].map(|name| header(name, form)).into_iter(),
        );
    }
    table
}

fn header(name: &str, form: FileForm) -> &str {
    match name {
        "id" | "message_id" | "call_id" if form == FileForm::OtherColumns => "something_else",
        name => name,
    }
}

fn line<'f>(table: &mut String, fields: impl Iterator<Item = &'f str>) {
    let fields: Vec<String> = fields.map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
    table.push_str(&fields.join(","));
    table.push('\n');
}
