//! The keys of a source that its API needs.

use std::time::Duration;

use url::Url;

use super::requests::API;
use crate::provider::api::{Access, OAuth};
use crate::provider::host;
use crate::section::Section;

/// Where Telphin itself has its API; other operators of the platform have hosts of their own.
const API_URL: &str = "https://apiproxy.telphin.ru";

/// How long a token is taken to last where the answer does not say.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);

/// So long before its end a token is not relied upon.
const SPARED: Duration = Duration::from_secs(400);

/// What the keys say.
#[derive(Debug)]
pub(super) struct Keys {
    /// None where there are no credentials, or not all of them.
    pub(super) access: Option<Access>,
    /// None where it is not acceptable.
    pub(super) api_url: Option<Url>,
    /// None where it is no id of a client.
    pub(super) account_id: Option<String>,
    /// The zone in which the API reads times.
    pub(super) utc_offset_min: i64,
    /// The share of the quota that is left to the client's other programs.
    pub(super) quota_reserve_percent: u32,
}

/// Reads them, and tells everything that is wrong with them.
pub(super) fn read(section: &mut Section<'_>, account_id: Option<&str>) -> Keys {
    let access = access(section);
    Keys {
        api_url: host::base(section, "api_url", API_URL),
        utc_offset_min: section.number_or("api_utc_offset_min", 0, -840..=840),
        quota_reserve_percent: section.number_or("quota_reserve_percent", 20, 0..=90),
        account_id: client(section, account_id, access.is_some()),
        access,
    }
}

/// Of the two the section itself tells when one is there without the other.
fn access(section: &mut Section<'_>) -> Option<Access> {
    let client_id = section.text("client_id");
    let client_secret = section.secret("client_secret").map(|secret| secret.value);
    Some(Access::OAuth(OAuth {
        base: API,
        path: "/oauth/token",
        client_id: client_id?,
        client_secret: client_secret?,
        refresh_token: None,
        default_lifetime: DEFAULT_LIFETIME,
        spared: SPARED,
    }))
}

/// The account stands in paths.
fn client(section: &Section<'_>, account_id: Option<&str>, is_asked: bool) -> Option<String> {
    let account_id = account_id?;
    let is_client = account_id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_asked && !is_client {
        let mend = "is no id of a client: with client_id and client_secret it has to be the number that Telphin's API \
                    calls client_id";
        section.problem("account_id", mend.to_owned());
    }
    is_client.then(|| account_id.to_owned())
}

#[cfg(test)]
mod tests;
