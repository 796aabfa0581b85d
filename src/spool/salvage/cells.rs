//! The rows on one page of a table, by sections 1.6 and 2.1 of SQLite's file format.

use super::image::{Image, Page, View, word};

/// Bytes before the first page's own header.
const FILE_HEADER_BYTES: usize = 100;
const LEAF_OF_A_TABLE: u8 = 0x0D;
/// No row is greater; a length above is damage.
const MAX_PAYLOAD_BYTES: usize = 1 << 28;

/// What was found on a page.
#[derive(Debug, Default)]
pub(super) struct Leaf<'p> {
    pub(super) cells: Vec<Cell<'p>>,
    /// Whether it is such a page, and every cell of it could be found.
    pub(super) is_whole: bool,
}

/// One row: its number, and as much of its content as is on the page itself.
#[derive(Debug)]
pub(super) struct Cell<'p> {
    pub(super) number: i64,
    length: usize,
    local: &'p [u8],
    /// The first page of the rest.
    overflow: Option<u32>,
}

/// Finds the rows of a page, if it is a leaf of a table.
pub(super) fn of_leaf(page: &Page) -> Leaf<'_> {
    find_cells(page).unwrap_or_default()
}

fn find_cells(page: &Page) -> Option<Leaf<'_>> {
    let start = if page.number == 1 { FILE_HEADER_BYTES } else { 0 };
    let header = page.bytes.get(start..start + 8)?;
    if *header.first()? != LEAF_OF_A_TABLE {
        return None;
    }
    let count = usize::from(half_word(header, 3)?);
    let pointers = (0..count).map(|index| half_word(&page.bytes, start + 8 + 2 * index).map(usize::from));
    let found: Vec<_> = pointers.map(|at| Cell::at(&page.bytes, at?)).collect();
    let is_whole = found.iter().all(Option::is_some);
    Some(Leaf { cells: found.into_iter().flatten().collect(), is_whole })
}

impl<'p> Cell<'p> {
    fn at(page: &'p [u8], at: usize) -> Option<Self> {
        let (length, rest) = varint(page.get(at..)?)?;
        let (number, rest) = varint(rest)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= MAX_PAYLOAD_BYTES)?;
        let local = local_bytes(length, page.len())?;
        let overflow = if local < length { Some(word(rest, local)?) } else { None };
        Some(Self { number, length, local: rest.get(..local)?, overflow })
    }

    /// The row's content, with the part that is on other pages.
    pub(super) fn payload(&self, image: &Image, view: View) -> Option<Vec<u8>> {
        let mut payload = self.local.to_vec();
        let mut next = self.overflow;
        while payload.len() < self.length {
            let page = image.page(view, next?)?;
            let part = page.bytes.get(4..)?;
            payload.extend_from_slice(part.get(..part.len().min(self.length - payload.len()))?);
            next = word(&page.bytes, 0);
        }
        Some(payload)
    }
}

/// How much of a row is on the page itself (section 1.6). All bytes of our pages are usable.
fn local_bytes(length: usize, page_bytes: usize) -> Option<usize> {
    let most = page_bytes.checked_sub(35)?;
    if length <= most {
        return Some(length);
    }
    let least = (page_bytes - 12) * 32 / 255 - 23;
    let local = least + (length - least) % (page_bytes - 4);
    Some(if local <= most { local } else { least })
}

/// A value of a row. Only those that the spool's tables tell by are told apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'p> {
    Integer(i64),
    Text(&'p str),
    Blob(&'p [u8]),
    Other,
}

/// The values of a row's content.
pub(super) fn values(payload: &[u8]) -> Option<Vec<Value<'_>>> {
    let (header_bytes, after_length) = varint(payload)?;
    let header_bytes = usize::try_from(header_bytes).ok()?;
    let mut types = after_length.get(..header_bytes.checked_sub(payload.len() - after_length.len())?)?;
    let mut content = payload.get(header_bytes..)?;
    let mut values = Vec::new();
    while !types.is_empty() {
        let (serial_type, rest) = varint(types)?;
        types = rest;
        let (bytes, rest) = content.split_at_checked(content_bytes(serial_type)?)?;
        content = rest;
        values.push(value_of(serial_type, bytes)?);
    }
    Some(values)
}

fn content_bytes(serial_type: i64) -> Option<usize> {
    match serial_type {
        0 | 8 | 9 => Some(0),
        1..=4 => usize::try_from(serial_type).ok(),
        5 => Some(6),
        6 | 7 => Some(8),
        12.. => usize::try_from((serial_type - 12) / 2).ok(),
        _ => None,
    }
}

fn value_of(serial_type: i64, bytes: &[u8]) -> Option<Value<'_>> {
    Some(match serial_type {
        1..=6 => Value::Integer(bytes.iter().fold(sign_of(bytes), |number, byte| number << 8 | i64::from(*byte))),
        8 => Value::Integer(0),
        9 => Value::Integer(1),
        12.. if serial_type % 2 == 0 => Value::Blob(bytes),
        13.. => Value::Text(std::str::from_utf8(bytes).ok()?),
        _ => Value::Other,
    })
}

fn sign_of(bytes: &[u8]) -> i64 {
    if bytes.first().is_some_and(|byte| *byte >= 0x80) { -1 } else { 0 }
}

/// A number of one to nine bytes: seven bits of each but the ninth, which gives all eight.
fn varint(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut number: i64 = 0;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        number = number << 7 | i64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(index + 1..)?));
        }
    }
    Some((number << 8 | i64::from(*bytes.get(8)?), bytes.get(9..)?))
}

fn half_word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|word| u16::from_be_bytes(*word))
}
