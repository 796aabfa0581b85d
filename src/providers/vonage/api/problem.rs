//! What Vonage says of a refusal, and as much of it as may be shown.

use crate::json::{Members, Value, items_of};
use crate::provider::api::{Answer, Request};

/// As much of it is shown.
const MAX_SHOWN_CHARS: usize = 400;

/// A value of the query that is shorter tells nothing of anybody.
const MIN_VALUE_CHARS: usize = 4;

/// An RFC 7807 object, as far as Vonage fills it in.
#[derive(Debug, Default)]
pub(super) struct Problem {
    title: String,
    detail: String,
    /// Names and reasons.
    parameters: Vec<(String, String)>,
}

impl Problem {
    /// Reads an answer's body, which may be anything.
    pub(super) fn of(answer: &Answer) -> Self {
        let text = answer.text();
        let Ok(members) = Members::parse(&text) else { return Self::default() };
        let of = |members: &Members<'_>, name: &str| members.text(name).unwrap_or_default().into_owned();
        let list = members.find("invalid_parameters").and_then(|member| match member.value {
            Value::Json(raw) => items_of(raw),
            Value::Field(_) => None,
        });
        let parameter = |item: &&serde_json::value::RawValue| {
            let members = Members::parse(item.get()).ok()?;
            Some((of(&members, "name"), of(&members, "reason")))
        };
        let parameters = list.iter().flatten().filter_map(parameter).collect();
        Self { title: of(&members, "title"), detail: of(&members, "detail"), parameters }
    }

    /// Whether a parameter of time is not accepted, or something that is not named.
    pub(super) fn is_of_dates(&self) -> bool {
        let is_date = |(name, _): &(String, String)| name.to_lowercase().contains("date");
        self.parameters.is_empty() || self.parameters.iter().any(is_date)
    }

    /// Whether one of these is said, which are in lower case.
    pub(super) fn says(&self, any: &[&str]) -> bool {
        let text = self.text().to_lowercase();
        any.iter().any(|words| text.contains(words))
    }

    fn text(&self) -> String {
        let named = self.parameters.iter().map(|(name, reason)| format!("{name}: {reason}"));
        let told = [self.title.clone(), self.detail.clone()].into_iter().chain(named);
        told.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
    }

    /// What may be shown of it in a message about the request: no value that was asked with, and no link.
    pub(super) fn shown(&self, request: &Request) -> String {
        let values = request.query.iter().map(|(_, value)| value).filter(|value| value.len() >= MIN_VALUE_CHARS);
        let printable = self.text().replace(char::is_control, " ");
        let text = values.fold(printable, |text, value| text.replace(value, "***"));
        let words = text.split_whitespace().map(|word| if word.contains("://") { "***" } else { word });
        let shown: String = words.collect::<Vec<_>>().join(" ").chars().take(MAX_SHOWN_CHARS).collect();
        if shown.is_empty() { "nothing".to_owned() } else { shown }
    }
}
