//! The keys of a source that its API needs.

use url::Url;

use super::Section;
use super::hosts::Hosts;
use super::requests::{ANALYTICS, API, FEED};
use crate::event::id::is_id;
use crate::json::Text;
use crate::provider::api::{Access, OAuth};
use crate::provider::host;
use crate::providers::webex::ids;

/// Where Webex itself has its APIs, for the United States.
const API_URL: &str = "https://webexapis.com";
const ANALYTICS_URL: &str = "https://analytics.webexapis.com";
const FEED_URL: &str = "https://analytics-calling.webexapis.com";

/// How long a token is taken to last where the answer does not say.
const DEFAULT_LIFETIME: std::time::Duration = std::time::Duration::from_secs(600);

/// What the keys say.
#[derive(Debug)]
pub(super) struct Keys {
    /// None where there are no credentials, or not all of them.
    pub(super) access: Option<Access>,
    /// None where one is not acceptable.
    pub(super) hosts: Option<Hosts>,
    /// Whether the webhook brings only calls of users whose licence the partner sold.
    pub(super) is_billing: bool,
    /// Whose records are meant, where a partner's token asks for those of a customer.
    pub(super) organisation: Option<String>,
}

/// Reads them, and tells everything that is wrong with them.
pub(super) fn read(section: &mut Section<'_>) -> Keys {
    Keys {
        access: access(section),
        hosts: hosts(section),
        is_billing: section.choice_or_first("feed", &[("analytics", false), ("billing", true)]),
        organisation: organisation(section),
    }
}

fn access(section: &mut Section<'_>) -> Option<Access> {
    let client_id = section.text("client_id");
    let client_secret = section.secret("client_secret").map(|secret| secret.value);
    let refresh_token = section.secret("refresh_token").map(|secret| secret.value);
    let access_token = section.secret("access_token").map(|secret| secret.value);
    let given = [
        ("client_id", client_id.is_some()),
        ("client_secret", client_secret.is_some()),
        ("refresh_token", refresh_token.is_some()),
    ];
    let given = given.map(|(key, is_given)| (key, is_given || section.has_problem(key)));
    if access_token.is_some() {
        check_personal(section, given);
        return access_token.map(Access::Bearer);
    }
    check_application(section, given);
    Some(Access::OAuth(OAuth {
        base: API,
        path: "/v1/access_token",
        client_id: client_id?,
        client_secret: client_secret?,
        refresh_token: Some(refresh_token?),
        default_lifetime: DEFAULT_LIFETIME,
        spared: std::time::Duration::ZERO,
    }))
}

fn check_personal(section: &Section<'_>, given: [(&str, bool); 3]) {
    if given.iter().any(|(_, is_given)| *is_given) {
        let mend = "stands in the place of client_id, client_secret and refresh_token; remove it or those";
        section.problem("access_token", mend.to_owned());
    } else {
        let advice = "is a personal token, which ends after 12 hours and is not renewed: for trying out only";
        section.warning("access_token", advice.to_owned());
    }
}

/// Of `client_id` and `client_secret` the section itself tells when one is there without the other.
fn check_application(section: &Section<'_>, given: [(&str, bool); 3]) {
    let [id, secret, token] = given.map(|(_, is_given)| is_given);
    let missing = |key: &str| {
        let mend = "is missing; Webex's API takes client_id, client_secret and refresh_token together";
        section.problem(key, mend.to_owned());
    };
    if (id || secret) && !token {
        missing("refresh_token");
    }
    if token && !id && !secret {
        missing("client_id");
        missing("client_secret");
    }
}

fn hosts(section: &mut Section<'_>) -> Option<Hosts> {
    // All are read before one of them may end it, so that all problems are told.
    let api = host::base(section, "api_url", API_URL);
    let analytics = host::base(section, "analytics_url", ANALYTICS_URL);
    let feed = host::base(section, "feed_url", FEED_URL);
    let regions = regions(section);
    Some(Hosts::new(vec![(API, api?), (ANALYTICS, analytics?), (FEED, feed?)], regions?))
}

fn regions(section: &mut Section<'_>) -> Option<Vec<Url>> {
    let texts = section.list("region_urls");
    let urls: Vec<Option<Url>> = (1..)
        .zip(&texts)
        .map(|(number, text)| host::named(section, "region_urls", text, &format!("number {number} of the list: ")))
        .collect();
    urls.into_iter().collect()
}

fn organisation(section: &mut Section<'_>) -> Option<String> {
    let id = ids::organisation(Text::Owned(section.text("org_id")?)).trim().to_owned();
    if !is_id(&id) {
        section.problem("org_id", "is no id of an organisation".to_owned());
    }
    Some(id)
}

#[cfg(test)]
mod tests;
