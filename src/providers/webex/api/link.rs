//! The header `Link` (RFC 8288), read more leniently than it is defined.
//!
//! Cisco's documentation shows the whole value in a second pair of angle brackets, while real answers have an ordinary
//! one. What a link leads to is never made by us: its path and query are asked as they stand.

use url::Url;

use crate::provider::api::Answer;

/// What an answer says of a page after it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There is none.
    Nothing,
    /// It is here.
    At(Url),
    /// There is one, and it can not be told where.
    Unreadable,
}

/// Reads what an answer says of the next page.
pub(super) fn next(answer: &Answer) -> Next {
    let values = answer.headers.iter().filter(|(name, _)| name == "link").map(|(_, value)| value.as_str());
    let mut is_announced = false;
    for value in values {
        if let Some(target) = target(value) {
            return Url::parse(target).map_or(Next::Unreadable, Next::At);
        }
        is_announced |= value.split(['<', '>']).any(is_next);
    }
    if is_announced { Next::Unreadable } else { Next::Nothing }
}

/// From `http` to the next `>`, of the first link behind which the relation is told before another link begins.
fn target(value: &str) -> Option<&str> {
    let mut rest = value;
    loop {
        let link = rest.get(rest.find("http")?..)?;
        let (target, behind) = link.split_once('>')?;
        if behind.split('<').next().is_some_and(is_next) {
            return Some(target);
        }
        rest = behind;
    }
}

/// Whether one of a link's parameters says that it leads to the next page.
fn is_next(parameters: &str) -> bool {
    parameters.split([';', ',']).filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        let value = value.trim_matches(|character: char| character.is_whitespace() || "\"'>".contains(character));
        name.trim().eq_ignore_ascii_case("rel")
            && value.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next_of(values: &[&str]) -> Next {
        let headers = values.iter().map(|value| ("link".to_owned(), (*value).to_owned())).collect();
        next(&Answer { headers, ..Answer::default() })
    }

    #[test]
    fn the_next_page_is_found_in_every_form_of_the_header() {
        let found = || Next::At(Url::parse("https://h.example.com/v1/x?a=1&b=2025-08-15T09:30:00.000Z").unwrap());
        let link = "https://h.example.com/v1/x?a=1&b=2025-08-15T09:30:00.000Z";
        for value in [
            format!("<{link}>; rel=\"next\""),
            format!("<<{link}>;rel=\"next\">"),
            format!("<{link}>;REL=Next"),
            format!("<{link}>; title=\"x\"; rel='next last'"),
            format!("<https://h.example.com/first>; rel=\"first\", <{link}>; rel=\"next\""),
            format!("<{link}>; rel=\"next\", <https://h.example.com/first>; rel=\"first\""),
            format!("{link}>;rel=next"),
        ] {
            assert_eq!(next_of(&[&value]), found(), "{value}");
            assert_eq!(next_of(&["<https://h.example.com/>; rel=self", &value]), found(), "{value}");
        }
    }

    #[test]
    fn other_relations_are_no_next_page() {
        for value in [
            "",
            "<https://h.example.com/>; rel=\"prev\"",
            "<https://h.example.com/?rel=next>; rel=last",
            "<https://h.example.com/>; title=next",
            "<https://h.example.com/>",
        ] {
            assert_eq!(next_of(&[value]), Next::Nothing, "{value}");
        }
        assert_eq!(next_of(&[]), Next::Nothing);
    }

    #[test]
    fn a_page_that_is_announced_and_can_not_be_found_is_not_forgotten() {
        for value in ["</v1/x?page=2>; rel=\"next\"", "<https://[>; rel=next", "<>;rel=next", "https://h;rel=next"] {
            assert_eq!(next_of(&[value]), Next::Unreadable, "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_reading_panic(text in "\\PC{0,60}", shape in "[<>;,=\" ]{0,6}(http|rel=next|rel)[<>;,=\" htp:/]{0,20}") {
            next_of(&[&text, &shape]);
            next_of(&[&format!("{shape}{text}{shape}")]);
        }
    }
}
