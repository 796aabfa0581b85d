//! The keys of a source that its API needs.

use url::Url;

use crate::provider::SourceOptions;
use crate::provider::api::Access;
use crate::provider::host;
use crate::section::Section;

/// Where Vonage itself has its reports and their files.
const API_URL: &str = "https://api.nexmo.com";

/// By what rows are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Pages for a day or less, files for more.
    Auto,
    /// Pages alone.
    Records,
    /// Files alone.
    Reports,
}

/// What the keys say.
#[derive(Debug)]
pub(super) struct Keys {
    /// None where there are no credentials.
    pub(super) access: Option<Access>,
    /// Whose rows are asked for.
    pub(super) account_id: Option<String>,
    /// None where it is not acceptable.
    pub(super) url: Option<Url>,
    /// Accounts below are in files alone.
    pub(super) mode: Mode,
    pub(super) with_subaccounts: bool,
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
    let with_subaccounts = section.flag_or("include_subaccounts", false);
    let modes = [("auto", Mode::Auto), ("records", Mode::Records), ("reports", Mode::Reports)];
    let told = section.choice_or_first("report_mode", &modes);
    if with_subaccounts && told == Mode::Records {
        let mend = "\"records\" lists rows of the account alone; with include_subaccounts leave it out";
        section.problem("report_mode", mend.to_owned());
    }
    let mode = if with_subaccounts { Mode::Reports } else { told };
    let access = user.zip(api_secret).map(|(user, secret)| Access::Basic { user, password: secret.value });
    Keys { access, account_id, url, mode, with_subaccounts }
}
