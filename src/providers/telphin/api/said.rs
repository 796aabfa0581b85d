//! What Telphin says of a refusal, and as much of it as may be shown.

use crate::json::Members;
use crate::provider::api::Answer;

/// As much of a message is shown.
const MAX_CHARS: usize = 200;

/// So many digits in a row may be a number that somebody called.
const MIN_HIDDEN_DIGITS: usize = 6;

/// What an error says: a word that tells apart errors of one status, and a message for people.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) status: String,
    pub(super) message: String,
}

impl Said {
    pub(super) fn by(answer: &Answer) -> Self {
        let text = answer.text();
        let Ok(members) = Members::parse(&text) else { return Self::default() };
        let read = |name| members.text(name).map(|text| text.trim().to_owned()).unwrap_or_default();
        Self { status: read("status").to_lowercase(), message: read("message") }
    }

    /// Whether the message has one of these words, which are in lower case.
    pub(super) fn has(&self, words: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        words.iter().any(|word| message.contains(word))
    }

    /// What may be shown: no long run of digits, and no link.
    pub(super) fn shown(&self) -> String {
        let all = format!("{} {}", self.status, self.message).replace(char::is_control, " ");
        let words: Vec<&str> = all.split_whitespace().map(shown_word).collect();
        let shown: String = words.join(" ").chars().take(MAX_CHARS).collect();
        if shown.is_empty() { "nothing".to_owned() } else { shown }
    }
}

fn shown_word(word: &str) -> &str {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    if digits >= MIN_HIDDEN_DIGITS || word.contains("://") { "***" } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> Said {
        Said::by(&Answer { body: body.as_bytes().to_vec(), ..Answer::default() })
    }

    #[test]
    fn words_are_read_and_nothing_personal_is_shown() {
        let told = said(r#"{"status":"Access_Denied","message":"No way\nfor +79161234567 see https://h.example/x"}"#);
        assert_eq!((told.status.as_str(), told.has(&["no way"])), ("access_denied", true));
        assert_eq!(told.shown(), "access_denied No way for *** see ***");
        for body in ["", "[]", "{}", "<html>", r#"{"status":7}"#] {
            assert_eq!(said(body).shown(), "nothing", "{body}");
        }
        assert_eq!(said(&format!(r#"{{"message":"{}"}}"#, "word ".repeat(99))).shown().len(), MAX_CHARS);
    }
}
