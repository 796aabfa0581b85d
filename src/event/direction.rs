//! Which way messages and calls go.

use super::words::words;

words! {
    /// Which way a message, a call or a leg went, seen from the account. A message is never internal.
    pub enum Direction {
        /// Into the account.
        Inbound = "inbound",
        /// Out of the account.
        Outbound = "outbound",
        /// Between two parties of the account.
        Internal = "internal",
        /// Not told.
        Unknown = "unknown",
    }
}
