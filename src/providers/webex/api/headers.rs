//! The headers that tell of pages, whose names are documented nowhere.
//!
//! Cisco's page prints three labels only: number of pages, total number of organisations, current page. So a header is
//! known by the words in its name and by a whole number as its value.

/// What the name of a header with the number of pages has beside `page`.
const NUMBERS: [&str; 4] = ["total", "count", "num", "pages"];

/// What has totals of its own and tells nothing of organisations.
const OTHER_TOTALS: [&str; 3] = ["limit", "time", "length"];

/// What an answer tells of all its pages.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// The number of pages.
    pub(super) pages: Option<u64>,
    /// The number of organisations on all pages.
    pub(super) organisations: Option<u64>,
}

/// Reads what an answer's headers tell.
pub(super) fn told(headers: &[(String, String)]) -> Told {
    let value_of = |is_meant: fn(&str) -> bool| {
        let mut meant = headers.iter().filter(|(name, _)| is_meant(&letters(name)));
        meant.find_map(|(_, value)| value.trim().parse().ok())
    };
    Told {
        pages: value_of(is_number_of_pages),
        organisations: value_of(is_number_of_organisations).or_else(|| value_of(is_any_total)),
    }
}

fn is_number_of_pages(letters: &str) -> bool {
    letters.contains("page") && !letters.contains("current") && has_any(letters, &NUMBERS)
}

fn is_number_of_organisations(letters: &str) -> bool {
    letters.contains("org") && !letters.contains("page") && !letters.contains("current")
}

fn is_any_total(letters: &str) -> bool {
    letters.contains("total") && !letters.contains("page") && !has_any(letters, &OTHER_TOTALS)
}

fn has_any(letters: &str, words: &[&str]) -> bool {
    words.iter().any(|word| letters.contains(word))
}

fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphabetic).map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told_by(headers: &[(&str, &str)]) -> (Option<u64>, Option<u64>) {
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let told = told(&headers);
        (told.pages, told.organisations)
    }

    #[test]
    fn every_spelling_tells_the_same() {
        for (pages, organisations, current) in [
            ("number-of-pages", "total-number-of-organizations", "current-page"),
            ("x-total-pages", "x-total-orgs", "x-page"),
            ("numPages", "totalOrganisations", "currentPage"),
            ("page_count", "org_count", "page"),
            ("pages", "total", "x-current-page-number"),
            ("X-PAGE-TOTAL", "X-TOTAL-COUNT", "X-CURRENT"),
        ] {
            let told = told_by(&[(current, "1"), (pages, " 2 "), (organisations, "283"), ("content-length", "9")]);
            assert_eq!(told, (Some(2), Some(283)), "{pages}");
        }
    }

    #[test]
    fn what_is_no_whole_number_or_means_something_else_tells_nothing() {
        for header in [
            ("total-pages", "many"),
            ("total-pages", "-1"),
            ("total-orgs", "1.5"),
            ("current-page", "1"),
            ("x-per-page", "200"),
            ("x-total-time", "12"),
            ("x-ratelimit-total", "300"),
            ("access-control-allow-origin", "1"),
        ] {
            assert_eq!(told_by(&[header]), (None, None), "{header:?}");
        }
        assert_eq!(told_by(&[("x-total", "9"), ("x-org-total", "3")]), (None, Some(3)));
    }

    proptest! {
        #[test]
        fn no_header_makes_reading_panic(name in "\\PC{0,20}(page|total|org|current)?\\PC{0,9}", value in "\\PC{0,24}") {
            told(&[(name, value)]);
        }
    }
}
