use super::memory::Memory;
use super::*;
use crate::event::id::Identity;

fn cell(number: u32) -> CellNumber {
    CellNumber::from_bits(number)
}

fn id(text: &str) -> EventId {
    EventId::compute("p", "a", "call.record", &Identity { id: text, x: "", y: "" })
}

fn print(key: &str, version: &str, fact: &str) -> Print {
    Print::of(key, id(version), Some(FactHash::compute(&[fact])))
}

fn sought(prints: &[Print]) -> Sought {
    let mut gathering = Gathering::new(Memory::new(1 << 20).lease());
    (0_u32..).zip(prints).for_each(|(number, print)| gathering.push(*print, number, cell(number)).unwrap());
    gathering.seal()
}

/// Numbers that look as if they came from a hash.
fn spread(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17).wrapping_mul(0xd134_2543_de82_ef95)
}

#[test]
fn a_print_is_the_first_bytes_of_key_id_and_fact() {
    let print = print("vonage:a:m", "1", "x");
    assert_eq!(print.key.to_be_bytes(), Sha256::digest("vonage:a:m")[..8]);
    assert_eq!(print.id.to_be_bytes(), id("1").as_bytes()[..8]);
    assert_eq!(print.fact.to_be_bytes(), *FactHash::compute(&["x"]).as_bytes());
    assert_eq!(Print::of("k", id("1"), None).fact, 0);
    assert_eq!(print.to_bytes()[..8], print.key.to_be_bytes());
}

#[test]
fn a_row_is_held_only_if_key_id_and_facts_agree() {
    let rows = [print("a", "1", "x"), print("b", "1", "x"), print("c", "1", "x"), print("d", "1", "x")];
    let mut sought = sought(&rows);
    for seen in [print("a", "1", "x"), print("b", "2", "x"), print("c", "1", "y"), print("z", "1", "x")] {
        sought.see(seen);
    }
    let found: Vec<Found> = rows.iter().map(|row| sought.get(*row).unwrap().found).collect();
    assert_eq!(found, [Found::Row, Found::Key, Found::Key, Found::Nothing]);
    assert_eq!(sought.get(print("z", "1", "x")), None);
}

#[test]
fn every_row_of_a_key_knows_that_the_key_was_seen() {
    let rows = [print("a", "1", "x"), print("a", "2", "x"), print("a", "3", "x")];
    for seen in 0..3 {
        let mut sought = sought(&rows);
        sought.see(rows[seen]);
        sought.see(rows[seen]);
        for (place, row) in rows.iter().enumerate() {
            let expected = if place == seen { Found::Row } else { Found::Key };
            assert_eq!(sought.get(*row).unwrap().found, expected, "{place} of {seen}");
        }
        assert_eq!(sought.waiting().len(), 2);
    }
}

#[test]
fn of_rows_that_come_twice_the_first_is_kept() {
    let row = print("a", "1", "x");
    let sought = sought(&[print("b", "1", "x"), row, print("c", "1", "x"), row, row]);
    assert_eq!((sought.len(), sought.repeated()), (3, 2));
    let told = sought.get(row).unwrap();
    assert_eq!((told.number, told.cell), (1, cell(1)));
    let waiting = sought.waiting();
    let numbers: Vec<u32> = (0..70).filter(|number| waiting.contains(*number)).collect();
    assert_eq!(numbers, [0, 1, 2], "the order of the provider");
}

#[test]
fn what_was_published_or_is_kept_back_waits_no_more() {
    let (one, other) = (print("a", "1", "x"), print("a", "2", "x"));
    let mut sought = sought(&[one, other]);
    sought.publish(one);
    sought.publish(print("z", "1", "x"));
    assert!(sought.get(one).unwrap().is_published && !sought.get(one).unwrap().is_waiting());
    sought.see(one);
    assert_eq!(sought.get(one).unwrap().found, Found::Key, "our own record shows that the key is there, and no more");
    sought.withhold(other);
    assert!(sought.get(other).unwrap().is_withheld && sought.waiting().is_empty());
}

#[test]
fn rows_of_windows_that_have_not_changed_are_forgotten_with_their_memory() {
    let memory = Memory::new(1 << 20);
    let mut gathering = Gathering::new(memory.lease());
    (0..1000_u32).for_each(|number| {
        let print = Print { key: spread(number.into()), id: 0, fact: 0 };
        gathering.push(print, number, cell(number % 2)).unwrap();
    });
    let mut sought = gathering.seal();
    assert_eq!((sought.bytes(), memory.taken_bytes()), (32_000, 32_000));
    sought.forget(|number| number == cell(0));
    assert_eq!((sought.len(), sought.bytes(), memory.taken_bytes()), (500, 16_000, 16_000));
    assert!(sought.rows().all(|row| row.cell == cell(1)));
    drop(sought);
    assert_eq!(memory.taken_bytes(), 0);
}

#[test]
fn a_million_rows_take_at_most_34_mb() {
    let mut gathering = Gathering::new(Memory::new(1 << 30).lease());
    for number in 0..1_000_000_u32 {
        let (print, cell) = (Print { key: spread(number.into()), id: 1, fact: 2 }, cell(number & 0xff_ffff));
        gathering.push(print, number, cell).unwrap();
    }
    let gathered_bytes = gathering.lease.bytes();
    assert!(gathered_bytes <= 34_000_000, "{gathered_bytes}");
    assert_eq!(gathered_bytes, bytes_of(&gathering.shards), "what is accounted is what is there");
    let sought = gathering.seal();
    assert_eq!((sought.len(), sought.bytes(), bytes_of(&sought.shards)), (1_000_000, 32_000_000, 32_000_000));
    let last = sought.get(Print { key: spread(999_999), id: 1, fact: 2 }).unwrap();
    assert_eq!((last.number, last.cell), (999_999, cell(999_999)));
}

#[test]
fn without_memory_a_part_ends_and_the_next_one_can_begin() {
    let memory = Memory::new(100_000);
    let mut gathering = Gathering::new(memory.lease());
    let row = |number: u32| Print { key: spread(number.into()), id: 0, fact: 0 };
    let first_left = (0..u32::MAX).find(|number| gathering.push(row(*number), *number, cell(0)).is_err()).unwrap();
    assert!(memory.taken_bytes() <= 100_000 && first_left > 256, "{first_left}");
    let sought = gathering.seal();
    assert_eq!(sought.len(), first_left as usize, "what was refused is not in it");
    drop(sought);
    assert_eq!(Gathering::new(memory.lease()).push(row(first_left), first_left, cell(0)), Ok(()));
}

#[test]
fn row_numbers_are_a_set() {
    let mut numbers = RowNumbers::default();
    assert!(numbers.is_empty() && !numbers.contains(0));
    [0, 63, 64, 64, 1000].iter().for_each(|number| numbers.insert(*number));
    assert_eq!((numbers.len(), numbers.contains(1000), numbers.contains(999)), (4, true, false));
}
