//! Access tokens and refresh tokens, of one client.

use std::collections::VecDeque;

use serde_json::json;

use super::manners::{Manners, Rotation};
use super::{Answered, Refusal};
use crate::event::time::Time;
use crate::provider::double::{Request, Response, dice};

/// Tokens of a kind that are remembered; the oldest is forgotten first.
const MOST_TOKENS: usize = 100;

/// Life of a refresh token, from its last use: 90 days.
const REFRESH_TOKEN_S: i64 = 7_776_000;

/// All tokens, and whose they are.
#[derive(Debug)]
pub(super) struct Tokens {
    seed: u64,
    issued: u64,
    access: VecDeque<Token>,
    refresh: VecDeque<Token>,
}

#[derive(Debug)]
struct Token {
    text: String,
    until_ms: i64,
}

impl Tokens {
    /// There are one refresh token and one access token from the beginning, which do not end.
    pub(super) fn new(seed: u64) -> Self {
        let mut tokens = Self { seed, issued: 0, access: VecDeque::new(), refresh: VecDeque::new() };
        tokens.access.push_back(Token { text: tokens.text("access"), until_ms: i64::MAX });
        tokens.refresh.push_back(Token { text: tokens.text("refresh"), until_ms: i64::MAX });
        tokens
    }

    /// What the client has from the beginning: what it renews tokens with, and a token that it may use instead.
    pub(super) fn credentials(&self) -> Vec<(&'static str, String)> {
        let [access, refresh] = ["access", "refresh"].map(|kind| text(self.seed, 0, kind));
        let (client_id, client_secret) = self.client();
        vec![
            ("client_id", client_id),
            ("client_secret", client_secret),
            ("refresh_token", refresh),
            ("access_token", access),
        ]
    }

    fn client(&self) -> (String, String) {
        (format!("C{}", dice::uuid(self.seed, 0, "client")), dice::uuid(self.seed, 0, "client secret"))
    }

    fn text(&self, kind: &str) -> String {
        text(self.seed, self.issued, kind)
    }

    /// Whether an access token is good.
    pub(super) fn opens(&self, token: &str, now: Time) -> bool {
        self.access.iter().any(|known| known.text == token && known.until_ms > now.unix_ms())
    }

    /// Answers `POST /v1/access_token`: the grant of a refresh token.
    pub(super) fn grant(&mut self, request: &Request, manners: &Manners, now: Time) -> Answered {
        let field = |name: &str| request.field(name).unwrap_or_default().into_owned();
        if field("grant_type") != "refresh_token" {
            return Err(Refusal::of_grant(400, "unsupported_grant_type", "The grant type is not supported."));
        }
        if (field("client_id"), field("client_secret")) != self.client() {
            return Err(Refusal::of_grant(401, "invalid_client", "The client is not known, or its secret is wrong."));
        }
        let now_ms = now.unix_ms();
        let given = field("refresh_token");
        if !self.refresh.iter().any(|known| known.text == given && known.until_ms > now_ms) {
            return Err(Refusal::of_grant(400, "invalid_grant", "The refresh token is not valid, or not any more."));
        }
        Ok(self.issue(given, manners, now_ms))
    }

    fn issue(&mut self, given: String, manners: &Manners, now_ms: i64) -> Response {
        self.issued += 1;
        let access = self.text("access");
        let refresh = if manners.refresh_token == Rotation::Same { given.clone() } else { self.text("refresh") };
        if manners.refresh_token != Rotation::Kept {
            self.refresh.retain(|known| known.text != given);
        }
        keep(&mut self.access, access.clone(), now_ms + i64::from(manners.access_token_s) * 1000);
        keep(&mut self.refresh, refresh.clone(), now_ms + REFRESH_TOKEN_S * 1000);
        Response::json(
            200,
            &json!({
                "access_token": access,
                "expires_in": manners.access_token_s,
                "refresh_token": refresh,
                "refresh_token_expires_in": REFRESH_TOKEN_S,
                "token_type": "Bearer",
                "scope": "spark-admin:calling_cdr_read analytics:read_all",
            }),
        )
    }
}

fn text(seed: u64, issued: u64, kind: &str) -> String {
    format!("double-{kind}-{issued}-{}", dice::uuid(seed, issued, kind))
}

fn keep(tokens: &mut VecDeque<Token>, text: String, until_ms: i64) {
    if tokens.len() == MOST_TOKENS {
        tokens.pop_front();
    }
    tokens.push_back(Token { text, until_ms });
}
