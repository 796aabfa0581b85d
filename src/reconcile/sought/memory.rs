//! The memory that all comparisons of a process share.
//!
//! A comparison asks before it grows and is refused rather than that the process grows beyond its bound. It then compares
//! what it has, in parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much may be taken, and how much is.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most_bytes: usize,
    taken_bytes: AtomicUsize,
}

/// What one comparison has taken. It is given back when this is dropped.
#[derive(Debug)]
pub struct Lease {
    memory: Memory,
    bytes: usize,
}

impl Memory {
    /// Memory of so many bytes.
    pub fn new(most_bytes: usize) -> Self {
        Self(Arc::new(Shared { most_bytes, taken_bytes: AtomicUsize::new(0) }))
    }

    /// A lease of nothing, which can grow.
    pub fn lease(&self) -> Lease {
        Lease { memory: self.clone(), bytes: 0 }
    }

    /// What all leases have taken, in bytes.
    pub fn taken_bytes(&self) -> usize {
        self.0.taken_bytes.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let Shared { most_bytes, taken_bytes } = &*self.0;
        let fits = |taken: usize| taken.checked_add(bytes).filter(|sum| sum <= most_bytes);
        taken_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }
}

impl Lease {
    /// Takes more, if it is there.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let is_taken = self.memory.take(bytes);
        if is_taken {
            self.bytes += bytes;
        }
        is_taken
    }

    /// Gives back what is beyond so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        let given_back = self.bytes.saturating_sub(bytes);
        self.bytes -= given_back;
        self.memory.0.taken_bytes.fetch_sub(given_back, Ordering::Relaxed);
    }

    /// What it has taken.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shared_bounded_and_given_back() {
        let memory = Memory::new(100);
        let (mut one, mut other) = (memory.lease(), memory.lease());
        assert!(one.grow(60) && !other.grow(41) && other.grow(40));
        assert_eq!((memory.taken_bytes(), one.bytes(), other.bytes()), (100, 60, 40));
        one.shrink_to(10);
        one.shrink_to(20);
        assert_eq!((memory.taken_bytes(), one.bytes()), (50, 10));
        drop(one);
        assert!(other.grow(60) && !other.grow(1) && !other.grow(usize::MAX));
        drop(other);
        assert_eq!(memory.taken_bytes(), 0);
    }
}
