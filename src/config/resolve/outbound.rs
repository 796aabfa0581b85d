//! How the process reaches the providers' APIs: `[outbound]`.

use std::path::PathBuf;

use url::Url;

use crate::outbound::{Client, ClientSettings};
use crate::section::Section;

pub(super) fn outbound(mut section: Section<'_>) -> ClientSettings {
    section.heading("[outbound]");
    let settings = ClientSettings { proxy: proxy(&mut section), ca_pem: certificates(&mut section) };
    check_together(&section, &settings);
    section.finish();
    settings
}

/// A user's name or password is refused, since the value is printed. A path or query would do nothing.
fn proxy(section: &mut Section<'_>) -> Option<Url> {
    let text = section.text("proxy")?;
    let url = Url::parse(&text).ok().filter(is_host_alone);
    if url.is_none() {
        let form = "expected a URL such as \"http://proxy.example.com:3128\", without a user, a path or a query";
        section.problem("proxy", form.to_owned());
    }
    url
}

fn is_host_alone(url: &Url) -> bool {
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let is_anonymous = url.username().is_empty() && url.password().is_none();
    is_web && is_anonymous && url.path() == "/" && url.query().is_none() && url.fragment().is_none()
}

fn certificates(section: &mut Section<'_>) -> Option<Vec<u8>> {
    let path = section.text("ca_file").map(PathBuf::from)?;
    match std::fs::read(&path) {
        Ok(pem) => Some(pem),
        Err(error) => {
            section.problem("ca_file", format!("the file can not be read ({error})"));
            None
        }
    }
}

/// Whether certificates can be used shows when they are. What the client says of them holds nothing of the file.
fn check_together(section: &Section<'_>, settings: &ClientSettings) {
    if settings.ca_pem.is_none() {
        return;
    }
    if let Err(error) = Client::new(settings) {
        section.problem("ca_file", error.to_string());
    }
}

#[cfg(test)]
mod tests;
