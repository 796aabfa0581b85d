//! What a lane does when the spool was opened anew: damage may have cost it rows, and revived others.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Copy, Lane, Mode, Outside, RowFacts, Way};

impl<P, R> Lane<P, R> {
    /// Forgets the rows that the spool has lost, and tells how many. Those that are being read are missed when the
    /// answer comes; those in flight are in Kafka's hands still, and lost only if it fails them.
    pub fn forget_lost(&mut self, there: &BTreeMap<u64, RowFacts>) -> usize {
        let before = self.rows.len();
        self.rows.retain(|number, _| there.contains_key(number));
        before - self.rows.len()
    }

    /// Whether a row of the spool is one that the lane knows, or the copy of an event that it has.
    pub fn knows(&self, number: u64) -> bool {
        let copied = |copy: Copy| matches!(copy, Copy::Appending | Copy::Stored);
        self.rows.contains_key(&number)
            || self.loading.contains_key(&number)
            || self.appending.contains_key(&number)
            || self.burying.get(&number).is_some_and(|burying| copied(burying.copy))
            || self.in_flight.get(&number).is_some_and(|flight| copied(flight.copy))
    }

    /// Takes in a row that it does not know. If that turns out to be an event whose copy was thought to be lost, the
    /// event has its copy now.
    pub fn adopt(&mut self, number: u64, facts: RowFacts, now: Instant, out: &mut impl Outside<P, R>) {
        if let Some(flight) = self.in_flight.get_mut(&number) {
            flight.copy = Copy::Stored;
            out.durable(&mut flight.payload, Way::Spooled);
            return;
        }
        if let Some(burying) = self.burying.get_mut(&number) {
            burying.copy = Copy::Stored;
            out.durable(&mut burying.payload, Way::Spooled);
            return;
        }
        if let Some(mut suspect) = self.suspects.remove(&number) {
            out.durable(&mut suspect.payload, Way::Spooled);
        }
        self.rows.insert(number, facts);
        if self.mode == Mode::Live {
            self.spool_from_now_on(now, out);
        }
        self.progress(now, out);
    }
}
