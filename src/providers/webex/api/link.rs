//! The header `Link`, as RFC 8288 has it and as Webex's documentation shows it: with one pair of angle brackets too many.

use url::Url;

/// Where the next page is: path and query, if they are at the same host as the request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There is none.
    None,
    /// At the host that was asked.
    Here(Url),
    /// At another host, which is not followed.
    Foreign,
}

/// Finds the next page. Of several links the one with `rel` next counts.
pub(super) fn next(header: &str, asked: &Url) -> Next {
    let mut rest = header;
    while let Some(start) = rest.find("http") {
        let from = rest.get(start..).unwrap_or_default();
        let end = from.find('>').unwrap_or(from.len());
        let (link, after) = from.split_at(end);
        let parameters = after.trim_start_matches('>');
        let parameters = parameters.split('<').next().unwrap_or_default();
        if is_next(parameters) || (parameters.is_empty() && is_next(link)) {
            return pinned(link, asked);
        }
        rest = after.get(1..).unwrap_or_default();
    }
    Next::None
}

fn is_next(parameters: &str) -> bool {
    let folded: String = parameters.chars().filter(|character| !character.is_whitespace()).collect();
    let folded = folded.to_ascii_lowercase();
    folded.contains("rel=\"next\"") || folded.contains("rel=next")
}

fn pinned(link: &str, asked: &Url) -> Next {
    match Url::parse(link.split(';').next().unwrap_or(link)) {
        Ok(url) if url.origin() == asked.origin() && url.origin().is_tuple() => Next::Here(url),
        _ => Next::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked() -> Url {
        Url::parse("https://analytics-calling.webexapis.com").unwrap()
    }

    fn here(path: &str) -> Next {
        Next::Here(asked().join(path).unwrap())
    }

    #[test]
    fn the_next_page_is_found_however_the_link_is_written() {
        let url = "https://analytics-calling.webexapis.com/v1/cdr_feed?a=b&max=5000";
        for header in [
            format!("<{url}>; rel=\"next\""),
            format!("<{url}>;rel=next"),
            format!("<<{url}>;rel=\"next\">"),
            format!("<https://analytics-calling.webexapis.com/v1/first>; rel=\"first\", <{url}>; rel=\"next\""),
            format!("<{url}>; title=\"x\"; REL=\"NEXT\""),
        ] {
            assert_eq!(next(&header, &asked()), here("/v1/cdr_feed?a=b&max=5000"), "{header}");
        }
        for header in ["", "<>", &format!("<{url}>; rel=\"prev\""), &format!("<{url}>")] {
            assert_eq!(next(header, &asked()), Next::None, "{header}");
        }
    }

    #[test]
    fn a_link_to_another_host_is_none_of_ours() {
        for url in [
            "https://evil.example/v1/cdr_feed",
            "http://analytics-calling.webexapis.com/v1/cdr_feed",
            "https://analytics-calling.webexapis.com:8443/v1/cdr_feed",
            "https://analytics-calling.webexapis.com.evil.example/",
            "https://analytics-calling.webexapis.com@evil.example/",
            "https://[",
        ] {
            assert_eq!(next(&format!("<{url}>; rel=\"next\""), &asked()), Next::Foreign, "{url}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(header in "\\PC{0,80}", tail in "[<>;=\"a-z]{0,20}") {
            next(&header, &asked());
            if let Next::Here(url) = next(&format!("<http{header}{tail}"), &asked()) {
                prop_assert_eq!(url.origin(), asked().origin());
            }
        }
    }
}
