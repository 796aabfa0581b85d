//! What a key that ends with `_url` may hold.

use url::Url;

/// What keeps a text from being a URL that requests can be sent to and that may be printed.
pub(super) fn url_fault(text: &str) -> Option<&'static str> {
    let Ok(url) = Url::parse(text) else { return Some(NO_URL) };
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    if !is_web || url.query().is_some() || url.fragment().is_some() {
        return Some(NO_URL);
    }
    let is_anonymous = url.username().is_empty() && url.password().is_none();
    (!is_anonymous).then_some("holds a user's name or password, which would be printed with it; leave them out")
}

const NO_URL: &str = "expected a URL such as \"https://hooks.example.com\", without a query";
