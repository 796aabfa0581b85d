//! Where the requests of a conversation go.

use std::sync::Arc;

use url::Url;

use super::hosts::{Hosts, is_same};
use crate::provider::api::{Ending, Found, Request, Verdict};

/// So often may one host send us to another. Hosts that send us round and round are the provider's fault.
const MAX_REDIRECTIONS: u32 = 3;

/// The host that a conversation talks to, if not that of the requests' bases.
#[derive(Debug)]
pub(super) struct Route {
    hosts: Arc<Hosts>,
    elsewhere: Option<Url>,
    redirections: u32,
}

impl Route {
    /// Begins at the base, or at a region to which an earlier answer has directed. A host that may not be given the
    /// token, since the configuration has changed, is passed over.
    pub(super) fn to(region: Option<&Url>, hosts: &Arc<Hosts>) -> Self {
        let elsewhere = region.filter(|url| hosts.accepts(url)).cloned();
        Self { hosts: Arc::clone(hosts), elsewhere, redirections: 0 }
    }

    /// The same request to the host that the conversation talks to.
    pub(super) fn lead(&self, request: &Request) -> Request {
        Request { elsewhere: self.elsewhere.clone(), ..request.clone() }
    }

    /// Goes on elsewhere, if that is what a verdict says and it is not the end of patience, and tells of it.
    pub(super) fn turns(&mut self, verdict: &Verdict, found: &mut dyn Found) -> bool {
        match verdict {
            Verdict::Elsewhere(url) if self.redirections < MAX_REDIRECTIONS && self.hosts.accepts(url) => {
                self.redirections += 1;
                self.elsewhere = Some(url.clone());
                found.moved(url);
                true
            }
            _ => false,
        }
    }

    /// Whether a URL has the host that a request went to.
    pub(super) fn leads_to(&self, url: &Url, request: &Request) -> bool {
        self.hosts.of(&self.lead(request)).is_some_and(|here| is_same(here, url))
    }
}

/// How a conversation ends with a verdict of which nothing comes.
pub(super) fn ending_of(verdict: &Verdict) -> Ending {
    match verdict {
        Verdict::Narrower => Ending::Narrower,
        Verdict::Expired => Ending::Expired,
        other => Ending::Failed(other.clone()),
    }
}
