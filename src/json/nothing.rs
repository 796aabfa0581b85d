//! The words that programs write where they have no value.

/// In one case throughout, since `Na` and `Null` are names of people. A dash and `None` are values: the first is
/// dialled, and the second is a word of a provider.
const WORDS: [&str; 8] = ["NA", "na", "N/A", "n/a", "null", "NULL", "\"null\"", "\"NULL\""];

/// Whether a text tells nothing: it is blank, or one of the words for nothing.
pub fn tells_nothing(text: &str) -> bool {
    text.bytes().next().is_none_or(may_begin_nothing) && {
        let text = text.trim();
        text.is_empty() || WORDS.contains(&text)
    }
}

/// Most values are told from the words by their first byte alone. White space that is not ASCII begins with a byte that
/// is none either.
fn may_begin_nothing(first: u8) -> bool {
    !first.is_ascii() || first.is_ascii_whitespace() || matches!(first, b'N' | b'n' | b'"' | 0x0b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_nothing_are_told_from_values() {
        for nothing in ["", " \t", "NA", "na", "N/A", "n/a", "null", "NULL", "\"null\"", " NA ", "\u{a0}null"] {
            assert!(tells_nothing(nothing), "{nothing:?}");
        }
        for value in ["None", "none", "-", "0", "Na", "Null", "NAN", "nullify", "\"\"", "false", "undefined"] {
            assert!(!tells_nothing(value), "{value:?}");
        }
    }
}
