use proptest::prelude::*;

use super::*;
use crate::event::headers::Headers;
use crate::event::id::Identity;

/// An invented row.
pub(crate) fn row(number: u64, size: usize) -> Row {
    let id = format!("aaaaaaaa-bbbb-cccc-dddd-{number:012}");
    let identity = EventId::compute("vonage", "abcd1234", "message.status", &Identity { id: &id, x: "", y: "sent" });
    let record = Record {
        topic: Kind::MessageStatus.info().topic,
        key: format!("vonage:abcd1234:{id}"),
        placed_by: None,
        headers: [("ce_id", identity.to_string().as_str()), ("x-other", "ä")].into_iter().collect(),
        value: vec![b'v'; size],
        kind: Some(Kind::MessageStatus),
        identity: Some((identity, number.is_multiple_of(2).then(|| FactHash::compute(&["0.1"])))),
    };
    let received_at = Time::from_unix_us(1_766_736_711_480_097).unwrap();
    Row { record, key_hash: 77, source_name: "vonage-eu".to_owned(), provider: "vonage".into(), received_at }
}

fn debugged(row: &Row) -> String {
    format!("{row:?}")
}

#[test]
fn a_row_is_read_as_it_was_written() {
    let mut dead_letter = row(8, 3);
    dead_letter.record = Record {
        topic: &kind::DEAD_LETTER_TOPIC,
        kind: None,
        identity: None,
        headers: Headers::default(),
        ..dead_letter.record
    };
    for row in [row(7, 0), row(8, 70_000), dead_letter] {
        let bytes = Sealed::of(9, &row, -5).encode().unwrap();
        let sealed = Sealed::decode_as(9, &bytes).unwrap();
        assert_eq!((sealed.number, sealed.spooled_at_ms, sealed.bytes()), (9, -5, row.bytes()));
        assert_eq!(debugged(&sealed.to_row().unwrap()), debugged(&row));
        assert_eq!(sealed_length(&bytes), Some(bytes.len()));
    }
}

#[test]
fn reason_and_time_of_the_quarantine_are_part_of_the_row() {
    let row = row(1, 9);
    let sealed = Sealed { quarantined: Some(("too_large", 44)), ..Sealed::of(1, &row, 2) };
    let bytes = sealed.encode().unwrap();
    assert_eq!(Sealed::decode(&bytes).unwrap().quarantined, Some(("too_large", 44)));
}

#[test]
fn any_changed_or_missing_byte_and_any_other_number_is_noticed() {
    let bytes = Sealed::of(7, &row(7, 40), 1).encode().unwrap();
    for at in 0..bytes.len() {
        for change in [1_u8, 0x80, 0xFF] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            assert!(Sealed::decode(&changed).is_err(), "byte {at}");
        }
        assert!(Sealed::decode(&bytes[..at]).is_err(), "{at} bytes");
    }
    assert_eq!(Sealed::decode_as(8, &bytes).unwrap_err().what, "it is another row");
}

proptest! {
    #[test]
    fn bytes_under_a_good_checksum_are_read_or_refused_and_never_panic(rest in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut writer = Writer(MAGIC.to_vec());
        writer.0.extend_from_slice(&[FORMAT, 0, 0, 0, 0]);
        writer.0.extend_from_slice(&rest);
        let bytes = writer.seal().unwrap();
        if let Ok(sealed) = Sealed::decode(&bytes) {
            prop_assert_eq!(sealed.encode().unwrap(), bytes);
        }
    }
}
