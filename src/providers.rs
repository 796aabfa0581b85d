//! The providers that Trunkline understands, each in a folder of its own.
//!
//! Adding a provider means a folder here and one line in [`PROVIDERS`]. The configuration, the
//! receiver, `trunkline send`, the conformance tests and the documentation checks find it there.

pub mod telphin;
pub mod vonage;
pub mod webex;

use crate::event::time::Time;
use crate::json::Text;
use crate::provider::ProviderInfo;

/// Every provider that Trunkline understands.
pub const PROVIDERS: &[&ProviderInfo] = &[&vonage::INFO, &webex::INFO, &telphin::INFO];

/// Finds a provider by its name in the configuration.
pub fn find(name: &str) -> Option<&'static ProviderInfo> {
    PROVIDERS.iter().find(|info| info.name == name).copied()
}

/// Reads times as the providers write them most often.
pub(crate) fn iso_time(text: Text<'_>) -> Option<Time> {
    Time::parse_iso(&text)
}
