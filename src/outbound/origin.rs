//! Which host is which: credentials and redirects go to nobody but whom the configuration names.

use url::Url;

/// Whether two URLs are of one origin: scheme, host and port (RFC 6454).
pub(super) fn is_same(one: &Url, other: &Url) -> bool {
    one.origin().is_tuple() && one.origin() == other.origin()
}

/// Where a redirect leads, if that is the origin it comes from.
pub(super) fn redirected(from: &Url, location: &str) -> Option<Url> {
    let to = from.join(location).ok()?;
    let is_plain = to.username().is_empty() && to.password().is_none();
    (is_plain && is_same(from, &to)).then_some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_at_their_origin() {
        let from = Url::parse("https://api.example.com/a?b=c").unwrap();
        for (location, to) in [
            ("/d", Some("https://api.example.com/d")),
            ("https://api.example.com:443/d", Some("https://api.example.com/d")),
            ("//api.example.com/d", Some("https://api.example.com/d")),
            ("http://api.example.com/d", None),
            ("https://api.example.com:8443/d", None),
            ("https://example.com/d", None),
            ("https://api.example.com.evil.example/d", None),
            ("//evil.example/d", None),
            ("https://user@api.example.com/d", None),
            ("https://[", None),
            ("data:text/plain,x", None),
        ] {
            assert_eq!(redirected(&from, location).as_ref().map(Url::as_str), to, "{location}");
        }
        let data = Url::parse("data:a").unwrap();
        assert!(!is_same(&data, &data));
    }
}
