//! The keys of a source that its API needs.

use url::Url;

use crate::provider::SourceOptions;
use crate::provider::api::Access;
use crate::provider::host;
use crate::section::Section;

/// Where Vonage itself has its reports and their files.
const API_URL: &str = "https://api.nexmo.com";

/// What the keys say.
#[derive(Debug)]
pub(super) struct Keys {
    /// None where there are no credentials.
    pub(super) access: Option<Access>,
    /// Whose rows are asked for.
    pub(super) account_id: Option<String>,
    /// None where it is not acceptable.
    pub(super) url: Option<Url>,
}

/// Reads them, and tells everything that is wrong with them.
pub(super) fn read(source: &SourceOptions, section: &mut Section<'_>) -> Keys {
    let api_secret = section.secret("api_secret");
    let api_key = section.text("api_key");
    if api_key.is_none() && source.account_id.is_some() && (api_secret.is_some() || section.has_problem("api_secret")) {
        section.is_told("api_key");
    }
    let user = api_key.or_else(|| source.account_id.clone());
    let account_id = source.account_id.clone().or_else(|| user.clone());
    let url = host::base(section, "api_url", API_URL);
    let access = user.zip(api_secret).map(|(user, secret)| Access::Basic { user, password: secret.value });
    Keys { access, account_id, url }
}
