//! The spool: finished records on disk, for as long as Kafka has not acknowledged them.
//!
//! A directory holds it, and belongs to one process alone:
//!
//! | File | Holds |
//! | --- | --- |
//! | `spool.db`, `spool.db-wal` | an SQLite database and its write-ahead log |
//! | `spool.witness` | which transaction was synced last, so that a damaged log is noticed |
//! | `spool.lock` | the lock of the process that works here |
//! | `spool.db.damaged-<time>`, `spool.db-wal.damaged-<time>` | damaged files that were set aside; nothing reads them |
//!
//! What it promises:
//!
//! * What [`Store::apply`] has said yes to survives a crash of the process or of the machine. All
//!   changes of a call are in one transaction, which is synced before the call returns.
//! * What it has said no to is not there, and a full or read-only disk damages nothing: the next call
//!   works as soon as the disk lets it.
//! * Each row is kept under a checksum of its own. A damaged database is set aside when the spool is
//!   opened, and every row whose checksum holds is saved into a new one.
//! * Nothing waits and nothing runs by itself: the store is one connection, used by one thread.

mod error;
mod heads;
mod inspect;
mod overview;
mod place;
mod row;
mod salvage;
mod schema;
mod seal;
mod store;
mod witness;

pub use error::SpoolError;
pub use inspect::Verifying;
pub use row::{Change, Counts, Damaged, Effect, Label, Listed, Opened, Options, Row, Salvage, Stored, Verification};
pub use store::{ReadRow, Store};

#[cfg(test)]
mod tests;
