use std::fmt::Write as _;
use std::io::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;

const NEEDED: &[&[&str]] = &[&["message_id", "id"], &["status"]];

fn packed(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut bytes = io::Cursor::new(Vec::new());
    let mut writer = ZipWriter::new(&mut bytes);
    for (name, contents) in entries {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(contents).unwrap();
    }
    writer.finish().unwrap();
    bytes.into_inner()
}

fn zip_of(table: &str) -> Vec<u8> {
    packed(&[("report.csv", table.as_bytes())], CompressionMethod::Deflated)
}

fn read_bytes(bytes: &[u8]) -> Result<Vec<Value>, FileFault> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let mut rows = Vec::new();
    let told = read(&file, NEEDED, &mut |row| rows.push(serde_json::from_str(row).unwrap()))?;
    assert_eq!(told, rows.len() as u64);
    Ok(rows)
}

#[test]
fn rows_are_objects_of_the_columns_that_hold_something() {
    let table = "\u{feff}\"Message ID\",\"STATUS\",\"message_body\",\"empty\"\n\"a\",\"delivered\",\"two\nlines, \"\"quoted\"\"\",\"\"\n\
                 b,failed\nc,x,,,more\n";
    let expected = [
        json!({"message_id": "a", "status": "delivered", "message_body": "two\nlines, \"quoted\""}),
        json!({"message_id": "b", "status": "failed"}),
        json!({"message_id": "c", "status": "x", "column_5": "more"}),
    ];
    assert_eq!(read_bytes(&zip_of(table)).unwrap(), expected);
    assert_eq!(read_bytes(&zip_of("id,status\r\n")).unwrap(), Vec::<Value>::new());
    let odd = packed(&[("r.CSV", b"id,status\n1,\xff\n")], CompressionMethod::Stored);
    assert_eq!(read_bytes(&odd).unwrap(), [json!({"id": "1", "status": "\u{fffd}"})]);
}

#[test]
fn what_is_no_zip_of_one_table_is_broken() {
    let table: (&str, &[u8]) = ("a.csv", b"id,status\n1,x\n");
    let two = packed(&[table, ("b.csv", table.1)], CompressionMethod::Deflated);
    let other = packed(&[("a.txt", table.1)], CompressionMethod::Deflated);
    let none = packed(&[], CompressionMethod::Deflated);
    for bytes in [two, other, none, Vec::new(), b"id,status\n1,x\n".to_vec(), zip_of("")] {
        assert_eq!(read_bytes(&bytes), Err(FileFault::Broken));
    }
    assert_eq!(read_bytes(&zip_of("id,state\n1,x\n")), Err(FileFault::ColumnsMissing));
}

#[test]
fn a_bomb_and_a_record_without_an_end_are_broken() {
    let bomb = format!("id,status\n{}", "1,x\n".repeat(1 << 19));
    assert_eq!(read_bytes(&zip_of(&bomb)).map(|rows| rows.len()), Err(FileFault::Broken));
    // A text that does not shrink, so that only the length of the record is wrong.
    let mut noise: u64 = 1;
    let mut endless = "id,status\n\"".to_owned();
    while endless.len() < 9 << 20 {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        write!(endless, "{noise:016x}").unwrap();
    }
    assert_eq!(read_bytes(&zip_of(&endless)).map(|rows| rows.len()), Err(FileFault::Broken));
}

proptest! {
    /// No changed byte of the contents and no cut gives other rows.
    #[test]
    fn damage_is_found(place in 0_usize..1000, change in 1_u8..=255, cut: bool) {
        let table: String = (0..40).map(|row| format!("{row},status {row}\n")).collect();
        let whole = packed(&[("a.csv", format!("id,status\n{table}").as_bytes())], CompressionMethod::Stored);
        let expected = read_bytes(&whole).unwrap();
        let mut damaged = whole.clone();
        let place = place % damaged.len();
        if cut { damaged.truncate(place) } else { damaged[place] ^= change }
        if let Ok(rows) = read_bytes(&damaged) {
            prop_assert_eq!(rows, expected);
        }
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes: Vec<u8>, table in "[a-z,\"\n\r]{0,60}") {
        read_bytes(&bytes).ok();
        read_bytes(&zip_of(&table)).ok();
    }
}
