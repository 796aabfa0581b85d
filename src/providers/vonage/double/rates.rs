//! How often the API may be asked: ten pages a second, and five times about reports.

use std::collections::BTreeMap;

use super::Refusal;
use crate::event::time::Time;
use crate::provider::double::Request;

const SECOND_MS: i64 = 1000;
const PAGES: usize = 10;
const REPORTS: usize = 5;

/// Requests of the last second, by whether they ask for pages.
#[derive(Debug, Default)]
pub(super) struct Rates {
    asked_at_ms: BTreeMap<bool, Vec<i64>>,
}

impl Rates {
    /// Takes a request, or refuses it.
    pub(super) fn take(&mut self, request: &Request, now: Time) -> Result<(), Refusal> {
        if request.path.starts_with("/v3/media/") {
            return Ok(());
        }
        let is_page = request.path.ends_with("/records");
        let asked_at_ms = self.asked_at_ms.entry(is_page).or_default();
        // A clock that was turned back must not block for longer than a second.
        asked_at_ms.retain(|asked_ms| (0..SECOND_MS).contains(&(now.unix_ms() - asked_ms)));
        if asked_at_ms.len() >= if is_page { PAGES } else { REPORTS } {
            return Err(Refusal::too_many());
        }
        asked_at_ms.push(now.unix_ms());
        Ok(())
    }
}
