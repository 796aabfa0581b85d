//! The `Link` header, right and wrong.

use form_urlencoded::Serializer;

use super::Webex;
use super::manners::LinkForm;
use crate::provider::double::{Bases, Door, Request};

/// The parameter that a further page is asked with.
pub(super) const CURSOR: &str = "startTimeForNextFetch";

impl Webex {
    /// The header that names the next page, which these parameters ask for in place of the request's own.
    pub(super) fn next_link(&self, request: &Request, changed: &[(&str, String)]) -> String {
        let base = self.bases.of(request.door);
        let page = |base: &str| format!("{base}{}?{}", request.path, with_changed(request, changed));
        let this = format!("{base}{}?{}", request.path, request.query);
        match self.manners.link {
            LinkForm::Ordinary => ordinary(&page(base)),
            LinkForm::Bracketed => format!("<<{}>;rel=\"next\">", page(base)),
            LinkForm::Several => format!("<{this}>; rel=\"first\", {}", ordinary(&page(base))),
            LinkForm::Malformed => format!("<{}; rel=\"next\"", page(base)),
            LinkForm::Foreign => ordinary(&page(other(&self.bases, request.door))),
            LinkForm::Repeated => ordinary(&this),
        }
    }
}

pub(super) fn ordinary(url: &str) -> String {
    format!("<{url}>; rel=\"next\"")
}

fn other(bases: &Bases, door: Door) -> &str {
    match door {
        Door::First => &bases.second,
        Door::Second => &bases.first,
    }
}

/// The query of a request with some parameters changed or added.
pub(super) fn with_changed(request: &Request, changed: &[(&str, String)]) -> String {
    let given = form_urlencoded::parse(request.query.as_bytes());
    let kept = given.filter(|(name, _)| !changed.iter().any(|(other, _)| name == other));
    let mut query = Serializer::new(String::new());
    query.extend_pairs(kept).extend_pairs(changed.iter());
    query.finish()
}
