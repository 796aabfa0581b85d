//! How the double behaves where Telphin's own behaviour is not documented, and what it does wrong by itself.
//!
//! The defaults are what is documented, or else the stricter of two ways.

use serde::Deserialize;

use crate::provider::double::manners::{choice, positive};

/// The table `[manners]` of a script.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Manners {
    /// Whether answers are refused to clients that take none compressed.
    pub(super) gzip_demanded: bool,
    /// Requests an hour of all programs of the client.
    pub(super) quota_per_hour: u64,
    /// Of them used by others.
    pub(super) used_by_others: u64,
    /// Whether a second question for statistics at the same time is refused.
    pub(super) rates: bool,
    /// The zone in which asked times are read, in minutes from UTC.
    pub(super) zone_min: i64,
    /// Whether windows that are too wide are refused.
    pub(super) limits: bool,
    /// Most calls of a page, whatever is asked for.
    #[serde(deserialize_with = "positive")]
    pub(super) page_calls: usize,
    /// The order of legs.
    pub(super) legs: Legs,
    /// In which bytes names are written.
    pub(super) charset: Charset,
    /// How long after its call a recording can be fetched.
    pub(super) files_ready_s: i64,
    /// Where recordings are stored.
    pub(super) store: Store,
    /// Whose credentials these are.
    pub(super) client_id: u64,
    /// Life of a token.
    pub(super) token_s: u32,
    /// Whether that is told.
    pub(super) tells_token_life: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            gzip_demanded: true,
            quota_per_hour: 1000,
            used_by_others: 0,
            rates: true,
            zone_min: 0,
            limits: true,
            page_calls: 100,
            legs: Legs::default(),
            charset: Charset::default(),
            files_ready_s: 30,
            store: Store::default(),
            client_id: super::CLIENT_ID,
            token_s: 3600,
            tells_token_life: true,
        }
    }
}

choice! {
    /// The order of legs in a call.
    Legs {
        /// By their beginning.
        Sorted,
        /// The other way round.
        Reversed,
    }
}

choice! {
    /// Bytes of Cyrillic names.
    Charset {
        /// As everywhere.
        Utf8,
        /// As old versions of Windows have them, which is no UTF-8.
        Cp1251,
    }
}

choice! {
    /// A store of recordings.
    Store {
        /// At the second door.
        Second,
        /// There is none.
        None,
        /// Links lead back into the API.
        First,
    }
}
