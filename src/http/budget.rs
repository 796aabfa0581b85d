//! The memory for bodies: one budget for all requests, of which no sender gets so much that others get none.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};

use prometheus_client::metrics::gauge::Gauge;

/// The budget is used up, or the sender's share of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// Senders are counted in so many slots, so that no number of them costs memory. Two that share a slot
/// share what one would get.
const SLOTS: usize = 4096;

/// The bytes of bodies that may be in memory at the same time, over all requests.
#[derive(Debug)]
pub struct Budget {
    most: i64,
    /// What is taken, which operators see too.
    taken: Gauge,
    taken_by_senders: Box<[AtomicI64]>,
    /// Random, so that nobody can choose whose slot to share.
    hasher: RandomState,
}

impl Budget {
    /// A budget of this many bytes. The gauge is the budget's own from now on.
    pub fn new(most: usize, taken: Gauge) -> Self {
        let taken_by_senders = (0..SLOTS).map(|_| AtomicI64::new(0)).collect();
        Self { most: to_gauge(most), taken, taken_by_senders, hasher: RandomState::new() }
    }

    /// Starts with nothing taken.
    pub fn reserve(&self, sender: Option<IpAddr>) -> Reservation<'_> {
        Reservation { budget: self, taken_by_sender: self.slot_of(sender), bytes: 0 }
    }

    fn slot_of(&self, sender: Option<IpAddr>) -> &AtomicI64 {
        let hash = self.hasher.hash_one(sender.map(network_of));
        let slot = usize::try_from(hash % SLOTS as u64).unwrap_or_default();
        &self.taken_by_senders[slot]
    }
}

/// Whoever has an IPv6 address has the 64 bits behind its network too.
fn network_of(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).unwrap_or_default(),
    }
}

/// One request's part of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Reservation<'b> {
    budget: &'b Budget,
    taken_by_sender: &'b AtomicI64,
    bytes: i64,
}

impl Reservation<'_> {
    /// Takes more, before it is used. A sender may hold as much as is left free for others.
    ///
    /// # Errors
    /// [`Busy`], when there is not so much.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Busy> {
        let bytes = to_gauge(bytes);
        let taken = self.budget.taken.inc_by(bytes).saturating_add(bytes);
        let by_sender = self.taken_by_sender.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.bytes += bytes;
        // A lone request always has room, or a limit below one body would refuse it for ever.
        let alone = taken == self.bytes;
        let free = self.budget.most.saturating_sub(taken);
        if alone || by_sender <= free { Ok(()) } else { Err(Busy) }
    }

    /// Gives back a part.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = to_gauge(bytes).min(self.bytes);
        self.bytes -= bytes;
        self.taken_by_sender.fetch_sub(bytes, Ordering::Relaxed);
        self.budget.taken.dec_by(bytes);
    }

    /// What is taken now.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        usize::try_from(self.bytes).unwrap()
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.taken_by_sender.fetch_sub(self.bytes, Ordering::Relaxed);
        self.budget.taken.dec_by(self.bytes);
    }
}

fn to_gauge(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap())
    }

    #[test]
    fn the_budget_is_shared_and_given_back() {
        let budget = Budget::new(100, Gauge::default());
        let mut first = budget.reserve(sender("203.0.113.1"));
        assert_eq!(first.grow(80), Ok(()));
        let mut second = budget.reserve(sender("203.0.113.2"));
        assert_eq!(second.grow(30), Err(Busy));
        first.shrink(50);
        assert_eq!(budget.taken.get(), 60);
        drop((first, second));
        assert_eq!(budget.reserve(None).grow(500), Ok(()), "a lone request always fits");
        assert_eq!(budget.taken.get(), 0);
        assert!(budget.taken_by_senders.iter().all(|slot| slot.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn a_sender_holds_no_more_than_it_leaves_however_many_requests_it_makes() {
        let budget = Budget::new(1000, Gauge::default());
        let mut greedy: Vec<_> = (0..10).map(|_| budget.reserve(sender("2001:db8::1"))).collect();
        let taken: Vec<bool> = greedy.iter_mut().map(|request| request.grow(100).is_ok()).collect();
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 5, "{taken:?}");
        greedy.truncate(5);
        assert_eq!(budget.reserve(sender("2001:db8::ffff:2")).grow(100), Err(Busy), "it is the same network");
        assert_eq!(budget.reserve(sender("2001:db8:0:1::1")).grow(100), Ok(()));
        assert_eq!(budget.reserve(sender("203.0.113.1")).grow(100), Ok(()));
    }

    #[test]
    fn addresses_of_ipv4_are_one_sender_each_however_they_are_written() {
        let network = |address: &str| network_of(address.parse().unwrap());
        assert_eq!(network("203.0.113.7"), network("::ffff:203.0.113.7"));
        assert_ne!(network("203.0.113.7"), network("203.0.113.8"));
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    }
}
