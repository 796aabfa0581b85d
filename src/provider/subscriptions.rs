//! Webhooks at a provider, as far as it can be told without a network: which there are, which are needed, and what makes
//! the one of the other.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::api::{Answer, Request};

/// Where a source's webhooks are to go, and with what they are proven.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The URL, without a token.
    pub url: String,
    /// What ends the URL, where that proves them.
    pub token: Option<SecretString>,
    /// What they are signed with, where they are.
    pub secret: Option<SecretString>,
}

impl Destination {
    /// The URL with its token.
    pub fn whole_url(&self) -> String {
        match &self.token {
            Some(token) => format!("{}/{}", self.url, token.expose_secret()),
            None => self.url.clone(),
        }
    }

    /// Whether a webhook is one of ours: at exactly this URL, or with one more segment, which is a token of then or now.
    /// Nothing else is ever touched.
    pub fn is_ours(&self, url: &str) -> bool {
        let (Ok(ours), Ok(theirs)) = (Url::parse(&self.url), Url::parse(url)) else { return false };
        let behind = theirs.path().strip_prefix(ours.path()).map(|rest| rest.strip_prefix('/').unwrap_or(rest));
        let is_below = theirs.path() == ours.path() || theirs.path().starts_with(&format!("{}/", ours.path()));
        is_below && ours.origin() == theirs.origin() && behind.is_some_and(|token| !token.contains('/'))
    }
}

/// What is wished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Those that the source needs.
    Complete,
    /// The same, with the secret that is configured now: where the provider does not show which one it has.
    Renewed,
    /// None of ours.
    Removed,
}

/// What happens to one webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It is as it should be.
    Keep,
    /// It is not there.
    Add,
    /// It is there and is not right.
    Repair,
    /// It is not needed.
    Remove,
}

impl Deed {
    /// Its word in the output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Add => "add",
            Self::Repair => "repair",
            Self::Remove => "remove",
        }
    }
}

/// One webhook, and the requests that make it right: a new one is made before an old one goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happens.
    pub deed: Deed,
    /// Which webhook, in words that hold no secret.
    pub what: String,
    /// How.
    pub requests: Vec<Request>,
}

/// What a survey says next.
#[derive(Debug)]
pub enum Survey {
    /// This is to be asked.
    Ask(Request),
    /// All is known, and this is to be done.
    Plan(Vec<Change>),
    /// It can not be found out: the reason.
    Stop {
        /// A short word.
        word: &'static str,
        /// What is to be done.
        mend: String,
    },
}

/// A conversation that finds out which webhooks there are.
pub trait Surveyor: Send {
    /// Hears the answer to what was asked last, if anything was.
    fn next(&mut self, heard: Option<&Answer>) -> Survey;
}

/// A provider's webhooks as one source uses them.
pub trait Subscriptions: fmt::Debug + Send + Sync {
    /// Begins to find out what is to be done.
    fn survey(&self, destination: Destination, wish: Wish) -> Box<dyn Surveyor>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_are_those_at_exactly_our_path_or_with_a_token_behind_it() {
        let destination = Destination {
            url: "https://hooks.example.com/webhooks/telphin".to_owned(),
            token: Some("a-token".into()),
            secret: None,
        };
        assert_eq!(destination.whole_url(), "https://hooks.example.com/webhooks/telphin/a-token");
        for (url, is_ours) in [
            ("https://hooks.example.com/webhooks/telphin", true),
            ("https://hooks.example.com:443/webhooks/telphin/an-old-token", true),
            ("https://hooks.example.com/webhooks/telphin/a/b", false),
            ("https://hooks.example.com/webhooks/telphin-2/a", false),
            ("https://hooks.example.com/webhooks/telphin2", false),
            ("https://hooks.example.com/webhooks", false),
            ("https://other.example.com/webhooks/telphin/a", false),
            ("http://hooks.example.com/webhooks/telphin/a", false),
            ("https://hooks.example.com:8443/webhooks/telphin/a", false),
            ("nonsense", false),
        ] {
            assert_eq!(destination.is_ours(url), is_ours, "{url}");
        }
    }
}
