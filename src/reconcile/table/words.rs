//! Numbers and times as people read them.

use crate::event::time::Time;

/// A number with its thing, in the plural where there is not one: `1,204,331 records`.
pub(super) fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(number))
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time without its seconds where they are 0.
pub(super) fn minute(time: Time) -> String {
    let text = time.to_string();
    text.strip_suffix(":00Z").map_or_else(|| text.clone(), |start| format!("{start}Z"))
}

/// A provider's text without what could do something to a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in
            [(0, "0 rows"), (1, "1 row"), (999, "999 rows"), (1000, "1,000 rows"), (1_204_331, "1,204,331 rows")]
        {
            assert_eq!(counted(number, "row"), text);
        }
    }

    #[test]
    fn seconds_are_shown_only_where_there_are_some() {
        for (text, shown) in [
            ("2026-02-03T09:00:00Z", "2026-02-03T09:00Z"),
            ("2026-02-03T09:00:30Z", "2026-02-03T09:00:30Z"),
            ("2026-02-03T09:00:00.5Z", "2026-02-03T09:00:00.5Z"),
        ] {
            assert_eq!(minute(Time::parse_iso(text).unwrap()), shown);
        }
    }

    #[test]
    fn an_account_does_nothing_to_a_terminal() {
        assert_eq!(printable("a\u{1b}[2J\n"), "a\u{fffd}[2J\u{fffd}");
    }
}
