//! Access tokens of one trusted application.

use std::collections::VecDeque;

use serde_json::json;

use super::manners::Manners;
use super::{Answered, Refusal};
use crate::event::time::Time;
use crate::provider::double::{Request, Response, dice};

/// Tokens that are remembered; the oldest is forgotten first.
const MOST_TOKENS: usize = 100;

/// All tokens, and whose they are.
#[derive(Debug)]
pub(super) struct Tokens {
    seed: u64,
    issued: u64,
    /// Each with the moment at which it ends.
    tokens: VecDeque<(String, i64)>,
}

impl Tokens {
    /// There is one token from the beginning, which does not end.
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, issued: 0, tokens: VecDeque::from([(text(seed, 0), i64::MAX)]) }
    }

    /// What the client has from the beginning.
    pub(super) fn credentials(&self) -> Vec<(&'static str, String)> {
        let (client_id, client_secret) = self.client();
        vec![("client_id", client_id), ("client_secret", client_secret), ("access_token", text(self.seed, 0))]
    }

    fn client(&self) -> (String, String) {
        let id = |purpose| dice::uuid(self.seed, 0, purpose).replace('-', "");
        (id("application"), id("application secret"))
    }

    /// Whether a token is good.
    pub(super) fn opens(&self, token: &str, now: Time) -> bool {
        self.tokens.iter().any(|(known, until_ms)| known == token && *until_ms > now.unix_ms())
    }

    /// Answers `POST /oauth/token`, whose parameters may stand in the query too.
    pub(super) fn grant(&mut self, request: &Request, manners: &Manners, now: Time) -> Answered {
        if request.method != "POST" {
            return Err(Refusal::new(405, "Method not allowed"));
        }
        let given = |name: &str| request.field(name).or_else(|| request.pair(name)).unwrap_or_default().into_owned();
        if given("grant_type") != "client_credentials" {
            return Err(Refusal::of_grant(400, "unsupported_grant_type"));
        }
        if (given("client_id"), given("client_secret")) != self.client() {
            return Err(Refusal::of_grant(401, "invalid_client"));
        }
        self.issued += 1;
        let token = text(self.seed, self.issued);
        if self.tokens.len() == MOST_TOKENS {
            self.tokens.pop_front();
        }
        self.tokens.push_back((token.clone(), now.unix_ms() + i64::from(manners.token_s) * 1000));
        let mut body = json!({"access_token": token, "token_type": "Bearer", "scope": "all"});
        if manners.tells_token_life {
            body["expires_in"] = manners.token_s.into();
        }
        Ok(Response::json(200, &body))
    }
}

fn text(seed: u64, issued: u64) -> String {
    format!("double-access-{issued}-{}", dice::uuid(seed, issued, "token"))
}
