//! Hides the values of properties in what librdkafka says. A few of its sentences quote them, whole or in part: the rest
//! of a `sasl.oauthbearer.config` from the place on that it does not understand, for instance.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::section::names_a_secret;
use crate::settings::KafkaSettings;

/// Of a secret, so many letters in a row are hidden wherever they stand.
const PART: usize = 8;

/// What is shorter says nothing, or is a word of every other sentence.
const SHORTEST_SECRET: usize = 3;
const SHORTEST_OTHER: usize = 6;

/// Properties whose values are words of librdkafka itself.
const PUBLIC: &[&str] = &[
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.method",
    "compression.type",
    "compression.codec",
    "client.id",
    "debug",
];

/// What may be in no log.
#[derive(Clone, Default)]
pub(super) struct Veil {
    /// Hidden also in part.
    secrets: Arc<[SecretString]>,
    /// Hidden as a whole.
    others: Arc<[SecretString]>,
}

impl Veil {
    pub(super) fn of(settings: &KafkaSettings) -> Self {
        let (mut secrets, mut others) = (Vec::new(), Vec::new());
        for (name, value) in &settings.properties {
            let text = value.value.expose_secret();
            let is_secret = !value.is_literal() || names_a_secret(name);
            let is_public = PUBLIC.contains(&name.as_str()) || text.parse::<f64>().is_ok();
            if is_secret && text.len() >= SHORTEST_SECRET {
                secrets.push(value.value.clone());
            } else if !is_secret && !is_public && text.len() >= SHORTEST_OTHER {
                others.push(value.value.clone());
            }
        }
        Self { secrets: secrets.into(), others: others.into() }
    }

    /// The sentence with everything hidden that has to be.
    pub(super) fn over<'s>(&self, sentence: &'s str) -> Cow<'s, str> {
        let whole = self.others.iter().flat_map(|value| places(sentence, value.expose_secret()));
        let parts = self.secrets.iter().flat_map(|value| places_of_parts(sentence, value.expose_secret()));
        let mut hidden: Vec<Range<usize>> = whole.chain(parts).collect();
        if hidden.is_empty() {
            return sentence.into();
        }
        hidden.sort_by_key(|range| range.start);
        covered(sentence, &hidden).into()
    }
}

fn places<'s>(sentence: &'s str, text: &'s str) -> impl Iterator<Item = Range<usize>> {
    sentence.match_indices(text).map(|(start, found)| start..start + found.len())
}

/// Where any letters of the text that follow each other stand in the sentence.
fn places_of_parts(sentence: &str, text: &str) -> Vec<Range<usize>> {
    let starts = text.char_indices().map(|(start, _)| start);
    let ends = text.char_indices().map(|(start, _)| start).skip(PART).chain([text.len()]);
    let parts = starts.zip(ends).filter_map(|(start, end)| text.get(start..end));
    parts.flat_map(|part| places(sentence, part)).collect()
}

fn covered(sentence: &str, hidden: &[Range<usize>]) -> String {
    let (mut shown, mut end) = (String::with_capacity(sentence.len()), 0);
    for range in hidden {
        if range.start > end || shown.is_empty() {
            shown.push_str(sentence.get(end..range.start).unwrap_or_default());
            shown.push_str("***");
        }
        end = end.max(range.end);
    }
    shown.push_str(sentence.get(end..).unwrap_or_default());
    shown
}

impl std::fmt::Debug for Veil {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Veil({} redacted)", self.secrets.len() + self.others.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::client::tests::settings;

    fn over(name: &str, value: &str, origin: &str, sentence: &str) -> String {
        Veil::of(&settings(name, value, origin)).over(sentence).into_owned()
    }

    #[test]
    fn a_secret_is_hidden_whole_and_in_part() {
        let hidden = |sentence| over("sasl.oauthbearer.config", "principal=me hunter2hunter2=x", "text", sentence);
        assert_eq!(hidden("beginning at: hunter2hunter2=x"), "beginning at:***");
        assert_eq!(hidden("beginning at: hunter2hunter2=x, and so on"), "beginning at:***, and so on");
        assert_eq!(hidden("principal=me, hunter2h"), "***,***");
        assert_eq!(hidden("me hunter, of no use"), "***, of no use");
        assert_eq!(hidden("nothing of it"), "nothing of it");
        let of_variable = |sentence| over("sasl.username", "zoë", "env:KAFKA_USER", sentence);
        assert_eq!(of_variable("zoë is unknown: zoë"), "*** is unknown: ***");
    }

    #[test]
    fn other_values_are_hidden_whole_unless_they_are_words_of_librdkafka() {
        let sentence = "/etc/ssl/ca.pem: connecting to a PLAINTEXT listener? 15000 ms";
        let hidden = |name, value| over(name, value, "text", sentence);
        let path = "***: connecting to a PLAINTEXT listener? 15000 ms";
        assert_eq!(hidden("ssl.ca.location", "/etc/ssl/ca.pem"), path);
        assert_eq!(hidden("ssl.ca.location", "/etc/ssl/ca.pem.old"), sentence);
        assert_eq!(hidden("security.protocol", "PLAINTEXT"), sentence);
        assert_eq!(hidden("socket.timeout.ms", "15000"), sentence);
        assert_eq!(hidden("broker.address.family", "any"), sentence);
    }
}
