//! Fetching what a provider links to: without credentials, without redirects, and from no address of a network of ours.

use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::exchange::{Client, Trouble};
use super::fetch::{Fetching, File, Target};
use super::wait::delays;
use super::{Line, fetched};
use crate::provider::api::{Request, Verdict};
use crate::provider::host::is_loopback;

/// A link that fails is tried so often.
const TRIES: usize = 3;

/// What is refused of a link, for the log. The link itself is a secret.
const REFUSED: &str = "foreign_host";

/// Finds addresses that are everybody's.
#[derive(Debug)]
pub(super) struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            let none = || std::io::Error::other("the link's host has no address that is everybody's");
            if public.is_empty() { Err(none().into()) } else { Ok(Box::new(public.into_iter()) as Addrs) }
        })
    }
}

/// Whether an address is one of the internet at large (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            let is_special = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || address.is_broadcast()
                || address.is_multicast();
            !(is_special || is_shared || first == 0 || first >= 240)
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public(mapped.into()),
            None => {
                let is_special = address.is_loopback() || address.is_unspecified() || address.is_multicast();
                !(is_special || address.is_unique_local() || address.is_unicast_link_local())
            }
        },
    }
}

/// Whether a link may be followed. Where the API is on this machine, its store may be here too.
fn is_acceptable(link: &Url, is_api_here: bool) -> bool {
    let is_anonymous = link.username().is_empty() && link.password().is_none();
    let is_public = match link.host() {
        Some(Host::Ipv4(address)) => is_public(address.into()),
        Some(Host::Ipv6(address)) => is_public(address.into()),
        Some(Host::Domain(_)) => !is_loopback(link),
        None => false,
    };
    let is_here = is_api_here && is_loopback(link) && matches!(link.scheme(), "http" | "https");
    is_anonymous && ((link.scheme() == "https" && is_public) || is_here)
}

impl Line {
    /// Fetches what a link of the provider leads to, of so many bytes at most. `class` names it in metrics.
    pub async fn fetch_link(
        &self,
        link: &Url,
        class: &'static str,
        target: &mut dyn Target,
        max_bytes: u64,
    ) -> Fetching {
        let is_here = self.api.bases().iter().any(|(_, base)| is_loopback(base));
        if !is_acceptable(link, is_here) {
            tracing::error!(source.name = %self.source_name, class, "the provider's link leads to a host that is not asked");
            self.metrics.request(class, REFUSED);
            return Fetching::Judged(Verdict::Again { word: REFUSED });
        }
        let request = Request::get("link", class, "/");
        let mut file = File { target, max_bytes, written_bytes: 0 };
        let mut pauses = delays().take(TRIES - 1);
        loop {
            let verdict = match self.client.follow_link(link, is_here, &mut file).await {
                Ok(200) => {
                    self.metrics.request(class, "ok");
                    let fetched = std::sync::Arc::new(fetched(&request));
                    return Fetching::Whole { fetched, bytes: file.written_bytes };
                }
                Ok(404 | 410) => Verdict::Empty,
                Ok(500..=599) => Verdict::Again { word: "server_error" },
                Ok(300..=399) => Verdict::Again { word: "redirect_refused" },
                Ok(_) => Verdict::NotUnderstood,
                Err(Trouble::TooLarge) => Verdict::Narrower,
                Err(trouble) => Verdict::Again { word: trouble.word() },
            };
            self.metrics.request(class, verdict.word());
            let may_mend = matches!(verdict, Verdict::Again { word } if word != "redirect_refused");
            match pauses.next().filter(|_| may_mend) {
                Some(pause) => (self.sleep)(pause).await,
                None => return Fetching::Judged(verdict),
            }
        }
    }
}

impl Client {
    /// Asks for a link with nothing of ours, and tells the status. The body of a 200 is in `file`.
    async fn follow_link(&self, link: &Url, is_here: bool, file: &mut File<'_>) -> Result<u16, Trouble> {
        let http = if is_here { self.files() } else { self.links() };
        let builder = http.get(link.clone()).header(reqwest::header::ACCEPT_ENCODING, "identity");
        let mut response = builder.send().await.map_err(|error| super::exchange::trouble_of(&error))?;
        let status = response.status().as_u16();
        if status == 200 {
            file.take(&mut response).await?;
        }
        Ok(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_everybody_are_acceptable() {
        for (link, away, here) in [
            ("https://storage.example.com/1.mp3", true, true),
            ("http://storage.example.com/1.mp3", false, false),
            ("https://user@storage.example.com/1.mp3", false, false),
            ("https://93.184.216.34/1", true, true),
            ("https://10.0.0.1/1", false, false),
            ("https://169.254.169.254/latest", false, false),
            ("https://100.64.0.1/1", false, false),
            ("https://[::1]/1", false, true),
            ("https://[::ffff:10.0.0.1]/1", false, false),
            ("https://[fd00::1]/1", false, false),
            ("http://127.0.0.1:9201/1", false, true),
            ("https://localhost/1", false, true),
            ("ftp://127.0.0.1/1", false, false),
            ("file:///etc/passwd", false, false),
        ] {
            let link = Url::parse(link).unwrap();
            assert_eq!((is_acceptable(&link, false), is_acceptable(&link, true)), (away, here), "{link}");
        }
    }
}
