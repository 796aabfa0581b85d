//! A double of Vonage's Reports API: pages of rows, reports and their files, and the webhooks of the same facts.
//!
//! It is written from what Vonage documents and what others have seen, as `docs/providers/vonage.md` tells it, and not
//! from our client. Where sources disagree, [`manners`] has both ways.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

mod deliveries;
mod files;
mod manners;
mod query;
mod rates;
mod records;
mod refusal;
mod reports;
mod rows;
mod traffic;
mod webhooks;

use crate::event::time::Time;
use crate::provider::double::script::{self, ScriptError};
use crate::provider::double::world::World;
use crate::provider::double::{
    Bases, Delivery, Door, Double, DoubleInfo, Entrance, Recipient, Request, Response, dice,
};
use deliveries::Deliveries;
use manners::{Manners, Rights};
use rates::Rates;
use refusal::Refusal;
use reports::Reports;
use traffic::Traffic;

/// What is known of the double.
pub(super) static INFO: DoubleInfo = DoubleInfo {
    summary: "pages, reports and files of the Reports API; webhooks of messages and calls",
    open: |world, bases| Box::new(Vonage::new(world, bases)),
};

/// A request that is understood and allowed gets a response, any other one a refusal.
type Answered = Result<Response, Refusal>;

/// The double.
#[derive(Debug)]
struct Vonage {
    bases: Bases,
    traffic: Traffic,
    manners: Manners,
    rates: Rates,
    reports: Reports,
    deliveries: Deliveries,
    asked: u64,
}

impl Vonage {
    fn new(world: World, bases: Bases) -> Self {
        Self {
            bases,
            traffic: Traffic::new(world),
            manners: Manners::default(),
            rates: Rates::default(),
            reports: Reports::default(),
            deliveries: Deliveries::new(world),
            asked: 0,
        }
    }

    fn route(&mut self, request: &Request, now: Time) -> Answered {
        if request.door != Door::First {
            return Err(Refusal::not_found());
        }
        self.authorize(request)?;
        if self.manners.rates {
            self.rates.take(request, now)?;
        }
        if let Some(file) = request.path.strip_prefix("/v3/media/") {
            return self.media(file, now);
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/v2/reports/records") => self.records(request, now),
            ("GET", "/v2/reports") => self.list(request, now),
            ("POST", "/v2/reports") => self.create(request, now),
            (method, path) => match path.strip_prefix("/v2/reports/") {
                Some(id) => self.one_report(method, id, now),
                None => Err(Refusal::not_found()),
            },
        }
    }

    fn authorize(&self, request: &Request) -> Result<(), Refusal> {
        let [key, secret] = [self.traffic.account(0), self.api_secret()];
        let expected = format!("Basic {}", STANDARD.encode(format!("{key}:{secret}")));
        if request.header("authorization") != Some(&expected) {
            return Err(Refusal::new(401, "Unauthorized", "You did not provide correct credentials."));
        }
        match self.manners.rights {
            Rights::Granted => Ok(()),
            Rights::Refused => {
                Err(Refusal::new(403, "Forbidden", "Your account is not permitted to perform this action"))
            }
        }
    }

    fn api_secret(&self) -> String {
        dice::uuid(self.traffic.world().seed, 0, "api secret")
    }
}

impl Double for Vonage {
    fn answer(&mut self, request: &Request, now: Time) -> Response {
        self.asked += 1;
        let request_id = dice::uuid(self.traffic.world().seed, self.asked, "request");
        let answered = self.route(request, now);
        let response = answered.unwrap_or_else(|refusal| refusal.into_response(&request_id));
        response.with_header("X-Request-Id", &request_id)
    }

    fn behave(&mut self, script: &str) -> Result<(), ScriptError> {
        self.manners = script::manners(script)?;
        Ok(())
    }

    fn facts(&self, from: Time, to: Time) -> Vec<Value> {
        let items = self.traffic.items(from.unix_ms(), to.unix_ms());
        items.map(|item| self.deliveries.fact(&self.traffic, &item)).collect()
    }

    fn due(&mut self, recipient: &Recipient, now: Time) -> Option<Delivery> {
        self.deliveries.due(&self.traffic, recipient, now)
    }

    fn delivered(&mut self, delivery_id: u64, taken: bool) {
        self.deliveries.delivered(delivery_id, taken);
    }

    fn entrance(&self) -> Entrance {
        let (api_key, api_secret) = (self.traffic.account(0), self.api_secret());
        let source = format!(
            "api_key = \"{api_key}\"\napi_secret = \"{api_secret}\"\napi_url = \"{}\"\n\n[sources.reconcile]\n\
             products = [\"MESSAGES\", \"SMS\", \"VOICE-CALL\"]\n",
            self.bases.first
        );
        Entrance { credentials: vec![("api_key", api_key), ("api_secret", api_secret)], source }
    }
}

#[cfg(test)]
mod tests;
