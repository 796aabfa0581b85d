//! Hosts of providers' APIs, as sources configure them: they are given credentials, so nothing is guessed.

use url::{Host, Url};

use crate::section::Section;

/// The host that a key names, or the default one. What is wrong with it is told.
pub(crate) fn read(section: &mut Section<'_>, key: &'static str, default: &str) -> Option<Url> {
    let text = section.text_or(key, default);
    // The section tells what is no URL, and a user in one.
    if section.has_problem(key) { None } else { checked(section, key, &text, "") }
}

/// The host that a text names, which stands at a place of a key. The text is not repeated in a problem: it may hold a
/// password.
pub(crate) fn checked(section: &Section<'_>, key: &str, text: &str, place: &str) -> Option<Url> {
    match parsed(text) {
        Ok(url) => {
            if url.scheme() == "http" {
                section.warning(key, format!("{place}is http: credentials are sent as they are, on this machine"));
            }
            Some(url)
        }
        Err(fault) => {
            section.problem(key, format!("{place}{fault}"));
            None
        }
    }
}

fn parsed(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or("expected a URL such as \"https://api.example.com\"")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user's name or password; leave them out");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("has something behind the host; leave out path and query");
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err("is http, and would show the credentials to everybody on the way; use https");
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
