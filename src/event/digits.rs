//! Finding phone numbers in text of which nobody has said what it is.
//!
//! What has seven to fifteen digits, with or without `+`, spaces, dashes and brackets, is taken for a
//! number. Dates, ids of hexadecimal digits, decimals and versions are not. In doubt it is a number: a
//! masked count is a nuisance, and a published number can not be taken back.

use std::ops::Range;

use uuid::Uuid;

/// ITU-T E.164, and the shortest number that is reached without a service's own rules.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// An id is at least this long, and changes this often between letters and digits.
const MIN_ID_LENGTH: usize = 16;
const MIN_ID_CHANGES: usize = 4;

/// Where in the text there are numbers, in order.
pub fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if count_digits(text) < *DIGITS.start() {
        return found;
    }
    let mut at = 0;
    while let Some(first) = after(text, at).chars().next() {
        let other = length_of_other(text, at);
        let extent = if other == 0 && begins_number(first) { extent(text, at) } else { 0 };
        push_numbers(&mut found, text, at..at + extent);
        at += if other + extent > 0 { other + extent } else { first.len_utf8() };
    }
    found
}

/// The digits of a text that is one number and nothing else, behind their `+` if they have one.
pub fn of_number(text: &str) -> Option<String> {
    let is_number = |character: char| character.is_ascii_digit() || is_separator(character) || "+.".contains(character);
    let is_plus_first =
        text.matches('+').count() <= usize::from(text.trim_start_matches(is_separator).starts_with('+'));
    let holds_digits = text.bytes().any(|byte| byte.is_ascii_digit());
    let is_whole = holds_digits && is_plus_first && text.chars().all(is_number);
    is_whole.then(|| text.chars().filter(|character| character.is_ascii_digit() || *character == '+').collect())
}

fn begins_number(first: char) -> bool {
    first.is_ascii_digit() || "+([".contains(first)
}

fn is_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-_".contains(character)
}

fn is_separator(character: char) -> bool {
    // Spaces and dashes come in the forms that word processors write, too.
    character.is_whitespace() || "-()[]\u{2212}".contains(character) || ('\u{2010}'..='\u{2015}').contains(&character)
}

/// The text from a place on.
fn after(text: &str, at: usize) -> &str {
    text.get(at..).unwrap_or_default()
}

fn count_digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

/// Length of the digits and separators at a place of the text, up to the last digit.
fn extent(whole: &str, start: usize) -> usize {
    let mut length = 0;
    let mut separators = 0;
    let text = after(whole, start);
    for (at, character) in text.char_indices() {
        let begins_group = character.is_ascii_digit() && separators > 0;
        if begins_group && length_of_other(whole, start + at) > 0 {
            break;
        }
        match character {
            '0'..='9' => (length, separators) = (at + 1, 0),
            '+' if at == 0 => {}
            '.' if dots_separate(text, at) => {}
            _ if is_separator(character) && separators < 3 => separators += 1,
            _ => break,
        }
    }
    length
}

/// Whether a dot stands between two groups of a number and not before a fraction: behind a `+`, or where
/// there are several.
fn dots_separate(text: &str, at: usize) -> bool {
    let is_dotted = |character: char| character.is_ascii_digit() || character == '.';
    let before = text.get(..at).unwrap_or_default();
    let start = before.trim_end_matches(is_dotted).len();
    let dotted = after(text, start).split(|character| !is_dotted(character)).next().unwrap_or_default();
    let goes_on = after(text, at + 1).starts_with(|next: char| next.is_ascii_digit());
    goes_on && (text.starts_with('+') || dotted.trim_end_matches('.').matches('.').count() > 1)
}

/// Several numbers may stand side by side, with nothing but spaces between them.
fn push_numbers(found: &mut Vec<Range<usize>>, text: &str, range: Range<usize>) {
    let whole = text.get(range.clone()).unwrap_or_default();
    let digits = count_digits(whole);
    if DIGITS.contains(&digits) {
        found.push(range);
    } else if digits > *DIGITS.end() {
        let before = found.len();
        let mut at = range.start;
        for part in whole.split_inclusive(char::is_whitespace) {
            if DIGITS.contains(&count_digits(part)) {
                found.push(at..at + part.trim_end().len());
            }
            at += part.len();
        }
        let is_in_groups = whole.split_whitespace().all(|part| count_digits(part) < *DIGITS.start());
        if found.len() == before && is_in_groups {
            found.push(range);
        }
    }
}

/// Length of what stands at a place and is no number, whatever its digits: an id, a date, a decimal.
fn length_of_other(text: &str, at: usize) -> usize {
    let (before, rest) = text.split_at(at);
    let last = before.chars().next_back();
    let id = if last.is_some_and(is_token) { 0 } else { length_of_id(rest) };
    match last {
        _ if id > 0 => id,
        Some('.') if before.trim_end_matches('.').ends_with(|last: char| last.is_ascii_digit()) => {
            rest.bytes().take_while(u8::is_ascii_digit).count()
        }
        Some('0'..='9') => 0,
        _ => length_of_date(rest).max(length_of_dotted(rest)),
    }
}

fn length_of_id(text: &str) -> usize {
    let token = text.split(|character| !is_token(character)).next().unwrap_or_default();
    let kinds = token.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.is_ascii_digit());
    let changes = kinds.clone().zip(kinds.skip(1)).filter(|(one, next)| one != next).count();
    let is_id = token.len() >= MIN_ID_LENGTH && (changes >= MIN_ID_CHANGES || Uuid::try_parse(token).is_ok());
    if is_id { token.len() } else { 0 }
}

/// `2026-02-03` and `03.02.2026`, with any of the usual separators.
fn length_of_date(text: &str) -> usize {
    const LENGTH: usize = 10;
    let Some(date) = text.get(..LENGTH) else { return 0 };
    let goes_on = after(text, LENGTH).starts_with(|next: char| next.is_ascii_digit() || next == '-');
    let parts: Vec<&str> = date.split(['-', '.', '/']).collect();
    let within = |part: &str, most: u8| part.len() == 2 && part.parse::<u8>().is_ok_and(|n| (1..=most).contains(&n));
    let is_year = |part: &str| part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_date = match parts[..] {
        [year, month, day] if is_year(year) => within(month, 12) && within(day, 31),
        [one, other, year] if is_year(year) => within(one, 31) && within(other, 31),
        _ => false,
    };
    if is_date && !goes_on { LENGTH } else { 0 }
}

/// Decimals, versions and addresses of machines: groups of digits joined by dots. Three groups or more of
/// at least two digits each are a number's, but for the four of an address; and a fraction of zeros makes a
/// number no other.
fn length_of_dotted(text: &str) -> usize {
    let dotted =
        text.split(|character: char| !character.is_ascii_digit() && character != '.').next().unwrap_or_default();
    let dotted = dotted.trim_end_matches('.');
    let groups: Vec<&str> = dotted.split('.').collect();
    let is_number = match groups[..] {
        [_] => true,
        [_, fraction] => fraction.bytes().all(|byte| byte == b'0'),
        [_, _, _, _] => false,
        _ => groups.iter().all(|group| group.len() >= 2),
    };
    if is_number { 0 } else { dotted.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<&str> {
        find(text).into_iter().map(|range| text.get(range).unwrap()).collect()
    }

    #[test]
    fn numbers_are_found_however_they_are_written() {
        for text in [
            "13035550142",
            "+13035550142",
            "+1 303 555 0142",
            "8-999-555-01-44",
            "(303) 555-0142",
            "[303]5550142",
            "+1.303.555.0142",
            "01.23.45.67.89",
            "303.555.0142",
            "5550142",
            "+44\u{a0}7700\u{a0}900000",
            "+44\u{2011}7700\u{2011}900000",
            "(0) 7700 900000",
            "447700900000123",
        ] {
            assert_eq!(numbers(text), [text], "{text}");
        }
    }

    #[test]
    fn numbers_are_found_inside_a_text() {
        for (text, found) in [
            ("to +1 303 555 0142.", &["+1 303 555 0142"][..]),
            ("sip:13035550142@192.168.100.200", &["13035550142"]),
            ("tel:+13035550142", &["+13035550142"]),
            ("ann_13035550142", &["13035550142"]),
            ("Call13035550142x12", &["13035550142"]),
            ("{\"to\":\"447700900000\",\"n\":12}", &["447700900000"]),
            ("447700900000,447700900001", &["447700900000", "447700900001"]),
            ("447700900000 447700900001", &["447700900000", "447700900001"]),
            ("1 303 555 0142 1 303 555 0143", &["1 303 555 0142 1 303 555 0143"]),
            ("13035550142 2026-06-05 12:14:25", &["13035550142"]),
            ("1.50 13035550142", &["13035550142"]),
            ("447700900000.0", &["447700900000"]),
            ("Ä447700900000Ä", &["447700900000"]),
        ] {
            assert_eq!(numbers(text), found, "{text}");
        }
    }

    #[test]
    fn the_digits_of_a_number_are_told_from_other_texts() {
        for (text, digits) in [
            ("+1 (303) 555-0142", Some("+13035550142")),
            ("(+1) 303.555.0142", Some("+13035550142")),
            ("8-999-555-01-44", Some("89995550144")),
            ("12", Some("12")),
            ("12345*101", None),
            ("1+2", None),
            ("ann1987", None),
            ("+", None),
            ("", None),
        ] {
            assert_eq!(of_number(text).as_deref(), digits, "{text}");
        }
    }

    #[test]
    fn other_digits_are_no_numbers() {
        for text in [
            "",
            "123456",
            "2026-06-05T12:14:25.103Z",
            "2026-06-05 12:14:25.103456",
            "03.02.2026 12:14",
            "82b7a3c000105000a00045a5b1c2d3e4",
            "12345678901234567890123456789012",
            "12345678-1234-1234-1234-123456789012",
            "12345678-1234-4e6a-9a55-7c0e81d4b2f6",
            "CAA308E3333C4A19AAED9C0254B9C61B",
            "session=82b7a3c000105000a00045a5b1c2d3e4;remote=00000000000000000000000000000000",
            "BW151420123130520-1557494126@10.21.0.192",
            "1706184000123456",
            "0.03330000000000000001",
            "0.000000000",
            "-12345678.25",
            "44.10.0.31234567",
            "192.168.100.200",
            "51.507412345",
            "12:14:25",
        ] {
            assert_eq!(numbers(text), Vec::<&str>::new(), "{text}");
        }
    }
}
