//! Hosts: those that are configured, and those that Webex may name in their place.
//!
//! A request carries the token, so it goes nowhere else. What an answer says about a host is compared with these and
//! never simply followed.

use url::Url;

use crate::provider::api::Request;

/// Below this domain all hosts are Webex's own.
const WEBEX: &str = ".webexapis.com";

/// What may stand at the end of a URL in a sentence and is none of it.
const PUNCTUATION: [char; 6] = ['.', ',', ':', ';', '!', '?'];

/// The hosts of one source.
#[derive(Debug)]
pub(super) struct Hosts {
    bases: Vec<(&'static str, Url)>,
    regions: Vec<Url>,
}

impl Hosts {
    /// Hosts by the names of requests' bases, and those of further regions, each of which counts once.
    pub(super) fn new(bases: Vec<(&'static str, Url)>, configured: Vec<Url>) -> Self {
        let mut regions: Vec<Url> = Vec::new();
        for url in configured {
            if !regions.iter().any(|known| is_same(known, &url)) {
                regions.push(url);
            }
        }
        Self { bases, regions }
    }

    pub(super) fn bases(&self) -> &[(&'static str, Url)] {
        &self.bases
    }

    /// Hosts of further regions.
    pub(super) fn regions(&self) -> &[Url] {
        &self.regions
    }

    /// The host of a base.
    pub(super) fn base(&self, name: &str) -> Option<&Url> {
        self.bases.iter().find(|(known, _)| *known == name).map(|(_, url)| url)
    }

    /// Where a request goes.
    pub(super) fn of<'h>(&'h self, request: &'h Request) -> Option<&'h Url> {
        request.elsewhere.as_ref().or_else(|| self.base(request.base))
    }

    /// Whether a host may be given the token.
    pub(super) fn accepts(&self, url: &Url) -> bool {
        let is_anonymous = url.username().is_empty() && url.password().is_none();
        let mut configured = self.bases.iter().map(|(_, url)| url).chain(&self.regions);
        is_anonymous && (is_of_webex(url) || configured.any(|known| is_same(known, url)))
    }

    /// The first host in a text that may be given the token, without what stands behind it.
    pub(super) fn named_in(&self, text: &str) -> Option<Url> {
        urls_in(text).find(|url| self.accepts(url)).and_then(|url| host_alone(&url))
    }
}

/// Whether scheme, host and port of two URLs are equal.
pub(super) fn is_same(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// Scheme, host and port of a URL.
pub(super) fn host_alone(url: &Url) -> Option<Url> {
    Url::parse(&url.origin().ascii_serialization()).ok()
}

/// The URLs in a sentence.
pub(super) fn urls_in(text: &str) -> impl Iterator<Item = Url> {
    text.split(|character: char| character.is_whitespace() || "<>()[]{}\"'`".contains(character)).filter_map(|word| {
        let start = word.to_ascii_lowercase().find("http")?;
        let url = Url::parse(word.get(start..)?.trim_end_matches(PUNCTUATION)).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
    })
}

fn is_of_webex(url: &Url) -> bool {
    url.scheme() == "https" && url.port().is_none() && url.host_str().is_some_and(|host| host.ends_with(WEBEX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn hosts() -> Hosts {
        let region = || url("http://127.0.0.1:9301");
        Hosts::new(vec![("feed", url("https://calls.example.com"))], vec![region(), region()])
    }

    #[test]
    fn only_configured_hosts_and_webex_s_own_are_accepted() {
        for (text, accepted) in [
            ("https://calls.example.com/x?y", true),
            ("https://calls.example.com:443", true),
            ("http://calls.example.com", false),
            ("https://calls.example.com:8443", false),
            ("http://127.0.0.1:9301", true),
            ("http://127.0.0.1:9302", false),
            ("https://analytics-calling-eu.webexapis.com", true),
            ("https://ANALYTICS.WebexApis.com", true),
            ("http://analytics.webexapis.com", false),
            ("https://analytics.webexapis.com:8443", false),
            ("https://webexapis.com", false),
            ("https://notwebexapis.com", false),
            ("https://analytics.webexapis.com.example.net", false),
            ("https://analytics.webexapis.com@example.net", false),
            ("https://user@analytics.webexapis.com", false),
            ("https://example.net\\.webexapis.com", false),
        ] {
            assert_eq!(hosts().accepts(&url(text)), accepted, "{text}");
        }
        assert_eq!(hosts().regions().len(), 1);
    }

    #[test]
    fn a_host_is_found_in_a_sentence() {
        let eu = "https://analytics-calling-eu.webexapis.com/";
        for text in [
            "should go to URL: https://analytics-calling-eu.webexapis.com...",
            "see https://example.net/451 and URL:https://analytics-calling-eu.webexapis.com/v1/cdr_feed?max=5, please",
            "<HTTPS://Analytics-Calling-EU.webexapis.com>",
        ] {
            assert_eq!(hosts().named_in(text).unwrap().as_str(), eu, "{text}");
        }
        for text in ["", "http", "https://", "go to example.net", "https://example.net", "\u{212a}http\u{212a}"] {
            assert_eq!(hosts().named_in(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_names_a_host_that_is_not_accepted(
            text in "\\PC{0,20}(https?://)?[a-z.@:\\\\/]{0,12}(webexapis\\.com|example\\.com|127\\.0\\.0\\.1)?[:0-9./@a-z]{0,8}\\PC{0,20}"
        ) {
            if let Some(url) = hosts().named_in(&text) {
                prop_assert!(hosts().accepts(&url));
                prop_assert_eq!((url.path(), url.query()), ("/", None));
            }
        }
    }
}
