//! How often the feeds may be asked: one first request a minute for each token, and ten further pages.

use std::collections::BTreeMap;

use super::Refusal;
use crate::event::time::Time;
use crate::provider::double::Request;

const MINUTE_MS: i64 = 60_000;

/// Further pages a minute.
const PAGES: usize = 10;

/// Requests of the last minute, by path, token and whether they ask for a further page.
#[derive(Debug, Default)]
pub(super) struct Rates {
    asked_at_ms: BTreeMap<(String, String, bool), Vec<i64>>,
}

impl Rates {
    /// Takes a request, or says when it would be taken.
    pub(super) fn take(&mut self, request: &Request, now: Time) -> Result<(), Refusal> {
        let now_ms = now.unix_ms();
        self.forget(now_ms);
        let is_page = request.pair(super::links::CURSOR).is_some();
        let token = request.header("authorization").unwrap_or_default().to_owned();
        let asked_at_ms = self.asked_at_ms.entry((request.path.clone(), token, is_page)).or_default();
        let most = if is_page { PAGES } else { 1 };
        match asked_at_ms.first() {
            Some(first_ms) if asked_at_ms.len() >= most => {
                let wait_ms = (first_ms + MINUTE_MS).saturating_sub(now_ms);
                Err(Refusal::too_many(wait_ms.unsigned_abs().div_ceil(1000)))
            }
            _ => {
                asked_at_ms.push(now_ms);
                Ok(())
            }
        }
    }

    /// A clock that was turned back must not block for longer than a minute.
    fn forget(&mut self, now_ms: i64) {
        self.asked_at_ms.retain(|_, asked_at_ms| {
            asked_at_ms.retain(|asked_ms| (0..MINUTE_MS).contains(&(now_ms - asked_ms)));
            !asked_at_ms.is_empty()
        });
    }
}
