//! Hosts of a provider's API, as the configuration names them.
//!
//! A host that is named here is given credentials. So it has nothing behind it, nobody in front of it, and is reached
//! by https, unless it is on this machine.

use url::{Host, Url};

use crate::section::Section;

/// The host that a key names, or a default one. Every fault of it is told.
pub fn base(section: &mut Section<'_>, key: &'static str, default: &str) -> Option<Url> {
    let text = section.text_or(key, default);
    // The section tells what is no URL, and a user in one.
    if section.has_problem(key) { None } else { named(section, key, &text, "") }
}

/// The host that a text of a key names; `place` says which one of several. The text is not repeated in a problem: it may
/// hold a password.
pub fn named(section: &Section<'_>, key: &str, text: &str, place: &str) -> Option<Url> {
    match parsed(text) {
        Ok(url) => {
            if url.scheme() == "http" {
                section.warning(key, format!("{place}is http: the token is sent as it is, on this machine"));
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
        return Err("is http, and would show the token to everybody on the way; use https");
    }
    Ok(url)
}

/// Whether a URL names this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
