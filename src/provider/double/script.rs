//! Scripts: what a double is to do wrong, and when.
//!
//! ```toml
//! [manners]                                     # of the provider, see its page
//! link = "repeated"
//!
//! [[fault]]
//! when = { method = "GET", path = "/v1/*", nth = 3 }
//! then = { status = 429, headers = { Retry-After = "2" } }
//! ```
//!
//! A key that is none is an error with its line, since a script that asks for nothing by mistake proves nothing.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

/// Greatest delay of an answer: longer than any client waits.
const MOST_DELAY_MS: u64 = 600_000;

/// Greatest padding: beyond what any client reads.
const MOST_PAD_BYTES: usize = 256 * 1024 * 1024;

/// Headers that tell how long a message is and what becomes of its connection.
const OF_THE_CONNECTION: [&str; 3] = ["Content-Length", "Transfer-Encoding", "Connection"];

/// What is wrong with a script, with its line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScriptError(String);

/// Something that goes wrong at certain requests.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which requests.
    #[serde(default)]
    pub when: When,
    /// What they get.
    pub then: Then,
}

/// Which requests a fault meets: those of this method and path, and of these the chosen ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct When {
    /// The method; any, if absent.
    pub method: Option<String>,
    /// The path; any, if absent. One that ends with `*` stands for all that begin so.
    pub path: Option<String>,
    /// Which of them.
    pub choice: Choice,
}

/// Which of the requests that a fault could meet it does meet. They are counted from 1, for each fault.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Choice {
    /// All of them.
    #[default]
    All,
    /// One.
    Nth(u64),
    /// Each of which the number can be divided by this one.
    Every(u64),
    /// So many, and none after them.
    First(u64),
    /// So many of a hundred, by the seed.
    Chance(u8),
}

/// What a request gets instead of, or around, the answer of the provider.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Then {
    /// The status of an answer that the provider is not asked for.
    #[serde(default, deserialize_with = "status")]
    pub status: Option<u16>,
    /// Headers that are added or changed; not those of the connection, which are whoever serves the answer's.
    #[serde(default, deserialize_with = "headers")]
    pub headers: BTreeMap<String, String>,
    /// The body of an answer that the provider is not asked for.
    pub body: Option<String>,
    /// The same of any bytes, written in base64; goes before `body`.
    #[serde(default, deserialize_with = "base64")]
    pub body_base64: Option<Vec<u8>>,
    /// How many spaces are added to the body, which change nothing of JSON but its size.
    #[serde(default, deserialize_with = "pad_bytes")]
    pub pad_bytes: usize,
    /// How long the answer is kept back.
    #[serde(default, deserialize_with = "delay_ms")]
    pub delay_ms: u64,
    /// The connection is closed after so many bytes of the body.
    pub cut_bytes: Option<usize>,
    /// The connection is closed without an answer.
    #[serde(default)]
    pub close: bool,
    /// By how much the `Date` of the answer is wrong.
    #[serde(default)]
    pub skew_s: i32,
    /// The answer is the one that the path got before, if it got one.
    #[serde(default)]
    pub repeat_page: bool,
}

/// `when` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWhen {
    method: Option<String>,
    path: Option<String>,
    nth: Option<u64>,
    every: Option<u64>,
    first: Option<u64>,
    chance: Option<u8>,
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WrittenWhen { method, path, nth, every, first, chance } = WrittenWhen::deserialize(deserializer)?;
        let choices =
            [nth.map(Choice::Nth), every.map(Choice::Every), first.map(Choice::First), chance.map(Choice::Chance)];
        let mut choices = choices.into_iter().flatten();
        let choice = choices.next().unwrap_or_default();
        let problem = match choice {
            _ if choices.next().is_some() => Some("only one of nth, every, first and chance may be there"),
            Choice::Nth(0) | Choice::Every(0) | Choice::First(0) => Some("nth, every and first count from 1"),
            Choice::Chance(101..) => Some("chance is a number of percent"),
            _ => None,
        };
        let method = method.map(|method| method.to_ascii_uppercase());
        problem.map_or(Ok(Self { method, path, choice }), |problem| Err(serde::de::Error::custom(problem)))
    }
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let status = u16::deserialize(deserializer)?;
    let known = (200..600).contains(&status).then_some(Some(status));
    known.ok_or_else(|| serde::de::Error::custom("a status is 200 to 599"))
}

fn delay_ms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let delay_ms = u64::deserialize(deserializer)?;
    let bearable = (delay_ms <= MOST_DELAY_MS).then_some(delay_ms);
    bearable.ok_or_else(|| serde::de::Error::custom(format!("delay_ms is at most {MOST_DELAY_MS}")))
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map(Some).map_err(|error| serde::de::Error::custom(format!("it is not base64: {error}")))
}

fn pad_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let pad_bytes = usize::deserialize(deserializer)?;
    let bearable = (pad_bytes <= MOST_PAD_BYTES).then_some(pad_bytes);
    bearable.ok_or_else(|| serde::de::Error::custom(format!("pad_bytes is at most {MOST_PAD_BYTES}")))
}

fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let headers = BTreeMap::<String, String>::deserialize(deserializer)?;
    let is_token =
        |name: &str| !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    let is_free = |name: &str| !OF_THE_CONNECTION.iter().any(|other| name.eq_ignore_ascii_case(other));
    let is_shown = |value: &str| value.chars().all(|letter| letter == ' ' || letter.is_ascii_graphic());
    match headers.iter().find(|(name, value)| !(is_token(name) && is_free(name) && is_shown(value))) {
        Some((name, _)) => Err(serde::de::Error::custom(format!("{name:?} can not be set to this"))),
        None => Ok(headers),
    }
}

/// A whole script, read for its faults or for its manners.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound = "Faults: Deserialize<'de> + Default, Manners: Deserialize<'de> + Default")]
struct Sheet<Faults, Manners> {
    #[serde(default)]
    fault: Faults,
    #[serde(default)]
    manners: Manners,
}

/// Reads the faults of a script.
///
/// # Errors
/// What is wrong, with its line.
pub fn faults(script: &str) -> Result<Vec<Fault>, ScriptError> {
    read::<Vec<Fault>, Option<IgnoredAny>>(script).map(|sheet| sheet.fault)
}

/// Reads the manners of a script, which are the provider's own.
///
/// # Errors
/// What is wrong, with its line.
pub fn manners<M: DeserializeOwned + Default>(script: &str) -> Result<M, ScriptError> {
    read::<Option<IgnoredAny>, M>(script).map(|sheet| sheet.manners)
}

fn read<F: DeserializeOwned + Default, M: DeserializeOwned + Default>(
    script: &str,
) -> Result<Sheet<F, M>, ScriptError> {
    toml::from_str(script).map_err(|error| ScriptError(error.to_string().trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Manners {
        link: String,
    }

    #[test]
    fn faults_and_manners_are_read_from_one_script() {
        let script = r#"
            [manners]
            link = "repeated"
            [[fault]]
            when = { method = "get", path = "/v1/*", nth = 3 }
            then = { status = 429, headers = { Retry-After = "2" }, body = "{}" }
            [[fault]]
            then = { delay_ms = 50, cut_bytes = 10, close = true, skew_s = -600, repeat_page = true }
        "#;
        let headers = BTreeMap::from([("Retry-After".to_owned(), "2".to_owned())]);
        let when = When { method: Some("GET".into()), path: Some("/v1/*".into()), choice: Choice::Nth(3) };
        let then = Then { status: Some(429), headers, body: Some("{}".into()), ..Then::default() };
        let second =
            Then { delay_ms: 50, cut_bytes: Some(10), close: true, skew_s: -600, repeat_page: true, ..Then::default() };
        let expected = [Fault { when, then }, Fault { when: When::default(), then: second }];
        assert_eq!(faults(script).unwrap(), expected);
        assert_eq!(manners::<Manners>(script).unwrap(), Manners { link: "repeated".to_owned() });
        assert_eq!((faults(""), manners::<Manners>("")), (Ok(vec![]), Ok(Manners::default())));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (script, line, told) in [
            ("[[fault]]\nthen = { stauts = 429 }", 2, "unknown field `stauts`"),
            ("\n[[fault]]\nwhen = { pth = \"/\" }\nthen = {}", 3, "unknown field `pth`"),
            ("[[fualt]]\nthen = {}", 1, "unknown field `fualt`"),
            ("[[fault]]\nwhen = { nth = 1, every = 2 }\nthen = {}", 2, "only one of"),
            ("[[fault]]\nwhen = { nth = 0 }\nthen = {}", 2, "count from 1"),
            ("[[fault]]\nwhen = { chance = 101 }\nthen = {}", 2, "number of percent"),
            ("[[fault]]\n[fault.then]\nstatus = 99", 3, "a status is 200 to 599"),
            ("[[fault]]\nthen = { delay_ms = 600001 }", 2, "at most 600000"),
            ("[[fault]]\nthen = { headers = { \"a b\" = \"\" } }", 2, "\"a b\" can not be set to this"),
            ("[[fault]]\nthen = { headers = { a = \"\\n\" } }", 2, "\"a\" can not be set to this"),
            ("[[fault]]\nthen = { headers = { content-length = \"1\" } }", 2, "can not be set to this"),
            ("[[fault]]\nthen = { body_base64 = \"?\" }", 2, "it is not base64"),
            ("[[fault]]\nthen = { pad_bytes = 268435457 }", 2, "at most 268435456"),
            ("[[fault]]\nthen = { status = \"429\" }", 2, "expected u16"),
            ("[[fault]]\nwhen = { path = \"/\" }", 1, "missing field `then`"),
            ("fault = 1", 1, "invalid type"),
            ("[[fault]", 1, ""),
        ] {
            let error = faults(script).unwrap_err().to_string();
            assert!(error.contains(&format!("line {line}")) && error.contains(told), "{script}\n{error}");
        }
        let error = manners::<Manners>("[manners]\nlnik = 1").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("expected `link`"), "{error}");
    }
}
