//! A double of Webex's API: partner counts and records, the two feeds, tokens and webhooks.
//!
//! It is written from what Cisco documents and what others have seen, as `docs/providers/webex.md` tells it, and not from
//! our client. Where sources disagree, [`manners`] has both ways.
//!
//! The second door is the analytics host of another region. It serves call records and nothing else.

use serde_json::Value;

mod bounds;
mod calls;
mod counts;
mod deliveries;
mod links;
mod lists;
mod manners;
mod rates;
mod refusal;
mod subscriptions;
mod tokens;

use crate::event::time::Time;
use crate::provider::double::script::{self, ScriptError};
use crate::provider::double::world::World;
use crate::provider::double::{Bases, Delivery, Door, Double, DoubleInfo, Entrance, Recipient, Request, Response};
use calls::Calls;
use deliveries::Deliveries;
use lists::Feed;
use manners::{Manners, Rights};
use rates::Rates;
use refusal::Refusal;
use subscriptions::Subscriptions;
use tokens::Tokens;

/// What is known of the double.
pub(super) static INFO: DoubleInfo = DoubleInfo {
    summary: "tokens, partner counts and records, cdr_feed, cdr_stream, webhooks; the partner's batches every 5 minutes",
    open: |world, bases| Box::new(Webex::new(world, bases)),
};

/// A request that is understood and allowed gets a response, any other one a refusal.
type Answered = Result<Response, Refusal>;

/// The double.
#[derive(Debug)]
struct Webex {
    bases: Bases,
    calls: Calls,
    manners: Manners,
    tokens: Tokens,
    rates: Rates,
    subscriptions: Subscriptions,
    deliveries: Deliveries,
    asked: u64,
}

impl Webex {
    fn new(world: World, bases: Bases) -> Self {
        Self {
            bases,
            calls: Calls::new(world),
            manners: Manners::default(),
            tokens: Tokens::new(world.seed),
            rates: Rates::default(),
            subscriptions: Subscriptions::new(world.seed),
            deliveries: Deliveries::new(world),
            asked: 0,
        }
    }

    fn route(&mut self, request: &Request, now: Time) -> Answered {
        match (request.door, request.path.as_str()) {
            (_, "/v1/partners/cdrcountbyorg") => self.read_calls(request, now, Self::counts),
            (_, "/v1/partners/cdrsbyorg") => self.read_calls(request, now, Self::records),
            (_, "/v1/cdr_feed") => self.read_calls(request, now, |it, asked, now| it.feed(Feed::Feed, asked, now)),
            (_, "/v1/cdr_stream") => self.read_calls(request, now, |it, asked, now| it.feed(Feed::Stream, asked, now)),
            (Door::First, "/v1/access_token") => {
                allow(request, "POST")?;
                self.tokens.grant(request, &self.manners, now)
            }
            (Door::First, path) if path == "/v1/webhooks" || path.starts_with("/v1/webhooks/") => {
                self.authorize(request, now)?;
                self.subscriptions.answer(request, &self.bases, now)
            }
            _ => Err(Refusal::new(404, "The requested resource could not be found.")),
        }
    }

    /// Asks for the right to read call records before anything else is looked at.
    fn read_calls(
        &mut self,
        request: &Request,
        now: Time,
        answer: impl FnOnce(&mut Self, &Request, Time) -> Answered,
    ) -> Answered {
        allow(request, "GET")?;
        self.authorize(request, now)?;
        if self.manners.rights == Rights::Refused {
            let what = "Access is denied: the scope spark-admin:calling_cdr_read or the admin role for it is missing.";
            return Err(Refusal::new(403, what));
        }
        answer(self, request, now)
    }

    fn authorize(&self, request: &Request, now: Time) -> Result<(), Refusal> {
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let known = token.is_some_and(|token| self.tokens.opens(token, now));
        let what = "The request requires a valid access token set in the Authorization request header.";
        if known { Ok(()) } else { Err(Refusal::new(401, what)) }
    }
}

fn allow(request: &Request, allowed: &'static str) -> Result<(), Refusal> {
    let refusal = || Refusal::new(405, "The method is not allowed here.").with_header("Allow", allowed);
    if request.method == allowed { Ok(()) } else { Err(refusal()) }
}

impl Double for Webex {
    fn answer(&mut self, request: &Request, now: Time) -> Response {
        self.asked += 1;
        let tracking_id = format!("DOUBLE_{}", self.asked);
        let answered = self.route(request, now);
        let response = answered.unwrap_or_else(|refusal| refusal.into_response(&tracking_id));
        response.with_header("trackingid", &tracking_id)
    }

    fn behave(&mut self, script: &str) -> Result<(), ScriptError> {
        self.manners = script::manners(script)?;
        self.subscriptions.set_status(self.manners.webhooks);
        Ok(())
    }

    fn facts(&self, from: Time, to: Time) -> Vec<Value> {
        let calls = self.calls.reported(from.unix_ms(), to.unix_ms());
        calls.map(|call| self.deliveries.fact(&self.calls, &call)).collect()
    }

    fn due(&mut self, recipient: &Recipient, now: Time) -> Option<Delivery> {
        self.deliveries.due(&self.calls, &self.manners.batch_shape, recipient, now)
    }

    fn delivered(&mut self, delivery_id: u64, taken: bool) {
        self.deliveries.delivered(delivery_id, taken);
    }

    fn entrance(&self) -> Entrance {
        let Bases { first, second } = &self.bases;
        let mut credentials = self.tokens.credentials();
        let keys: String = credentials.iter().take(3).map(|(key, value)| format!("{key} = \"{value}\"\n")).collect();
        let source = format!(
            "{keys}api_url = \"{first}\"\nanalytics_url = \"{first}\"\nfeed_url = \"{first}\"\n\
             region_urls = [\"{second}\"]\n\n[sources.reconcile]\nproducts = [\"cdr\"]\n"
        );
        credentials.push(("org_id", self.calls.organisation(0)));
        Entrance { credentials, source }
    }
}

#[cfg(test)]
mod tests;
