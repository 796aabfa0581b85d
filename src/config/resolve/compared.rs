//! What a comparison with the provider's own list needs of the rest of the configuration.

use std::collections::HashMap;

use crate::provider::ProviderInfo;
use crate::provider::api::{Access, Api, StreamInfo};
use crate::reconcile::schedule::rules::AgeFault;
use crate::section::Section;
use crate::settings::reconcile::{PublishMissing, ReconcileOptions};

/// What is known of all sources' comparisons so far.
pub(super) struct Comparisons {
    has_state_keys: bool,
    /// Which source asks as which client of which provider for which stream.
    asking: HashMap<(&'static str, String, &'static str), String>,
}

/// The source that asks.
pub(super) struct Asking<'a> {
    pub(super) name: &'a str,
    pub(super) info: &'static ProviderInfo,
    pub(super) api: Option<&'a dyn Api>,
}

impl Comparisons {
    pub(super) fn new(has_state_keys: bool) -> Self {
        Self { has_state_keys, asking: HashMap::new() }
    }

    /// A provider may end a refresh token when it gives the next one. One that is not kept is then lost for good.
    pub(super) fn check_tokens(&self, section: &Section<'_>, api: Option<&dyn Api>) {
        let Some(Access::OAuth(oauth)) = api.map(Api::access) else { return };
        if oauth.refresh_token.is_some() && !self.has_state_keys {
            let mend =
                "add state_keys = [\"env:TRUNKLINE_STATE_KEY\"] to [reconcile]; `openssl rand -hex 32` makes a key";
            let why =
                "is renewed, and the newest one has to be kept, sealed with a key, or it is lost with the process";
            section.problem("refresh_token", format!("{why}; {mend}"));
        }
    }

    /// Tells of everything in `[sources.reconcile]` that the provider does not allow.
    pub(super) fn check(&mut self, section: &Section<'_>, asking: &Asking<'_>, options: &ReconcileOptions) {
        let Asking { info, api, .. } = asking;
        if info.streams.is_empty() || !options.enabled {
            return;
        }
        let Some(api) = api else {
            let page = info.documentation;
            section.problem(
                "",
                format!("asks the provider's API, and the source has no credentials for it; {page} names the keys"),
            );
            return;
        };
        if options.publish_missing == Some(PublishMissing::KnownUsers) && !api.names_users() {
            section.problem(
                "publish_missing",
                format!("\"known_users\" is nothing for {}, whose rows name no users", info.title),
            );
        }
        match info.streams_of(options.products.as_deref()) {
            Ok(streams) => self.check_streams(section, asking, &streams, options),
            Err(product) => {
                let known = info.products();
                let product = section.shown("products", product);
                section.problem(
                    "products",
                    format!("{product} is nothing that {} is asked for; that are: {known}", info.title),
                );
            }
        }
    }

    fn check_streams(
        &mut self,
        section: &Section<'_>,
        asking: &Asking<'_>,
        streams: &[&'static StreamInfo],
        options: &ReconcileOptions,
    ) {
        check_company(section, streams);
        for stream in streams {
            check_ages(section, stream, options);
            if stream.counted && options.concurrency.is_some_and(|requests| requests > 1) {
                let why = "whose numbers the provider tells to one who asks at a time";
                section.problem("concurrency", format!("has to be 1 for {}, {why}", stream.name));
            }
            self.check_once(section, asking, stream);
        }
    }

    fn check_once(&mut self, section: &Section<'_>, asking: &Asking<'_>, stream: &'static StreamInfo) {
        let Some(client) = asking.api.and_then(|api| client_of(api.access())) else { return };
        let key = (asking.info.name, client.to_owned(), stream.name);
        if let Some(other) = self.asking.insert(key, asking.name.to_owned()) {
            let why = "the same facts would be asked for and counted twice";
            section.problem(
                "products",
                format!("{} is asked for by the source {other} too, as the same client: {why}", stream.name),
            );
        }
    }
}

/// By whom the provider knows who asks.
fn client_of(access: &Access) -> Option<&str> {
    match access {
        Access::Basic { user, .. } => Some(user),
        Access::OAuth(oauth) => Some(&oauth.client_id),
        Access::Bearer(_) => None,
    }
}

/// Numbers of all customers are a partner's, and what no webhook tells is a customer's own.
fn check_company(section: &Section<'_>, streams: &[&'static StreamInfo]) {
    let counted = streams.iter().find(|stream| stream.counted);
    let primary = streams.iter().find(|stream| stream.primary);
    if let (Some(counted), Some(primary)) = (counted, primary) {
        let (counted, primary) = (counted.product, primary.product);
        section.problem(
            "products",
            format!("{counted} is for a partner and {primary} for a customer; make a source for each"),
        );
    }
}

fn check_ages(section: &Section<'_>, stream: &StreamInfo, options: &ReconcileOptions) {
    let Err(faults) = stream.timing(&options.ages, 0) else { return };
    for fault in faults {
        // Ages that do not ascend by themselves are told where they are read.
        if options.ages.delay_s.is_none() || !matches!(fault, AgeFault::NotAscending { .. }) {
            section.problem(fault.key(&options.ages), format!("{fault} (of {})", stream.name));
        }
    }
}

#[cfg(test)]
mod tests;
