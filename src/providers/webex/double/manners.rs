//! How the double behaves where Webex's own behaviour is disputed or changes, and what it does wrong by itself.
//!
//! The defaults are what Cisco documents, or else the stricter of two ways.

use serde::{Deserialize, Deserializer};

use super::super::simulate::SIMULATIONS;
use crate::provider::double::manners::{choice, positive};

/// The table `[manners]` of a script.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Manners {
    /// Spelling of the headers that tell the pages of the counts. Cisco prints translated labels alone.
    pub(super) page_headers: PageHeaders,
    /// Organisations on a page of the counts.
    #[serde(deserialize_with = "positive")]
    pub(super) orgs_per_page: usize,
    /// What the counts say of organisations without calls.
    pub(super) idle_orgs: IdleOrgs,
    /// By how much each count is wrong.
    pub(super) count_off: i64,
    /// The time by which counts, records and `cdr_feed` choose.
    pub(super) filter: Filter,
    /// What is answered where there is nothing.
    pub(super) empty: Empty,
    /// Records that a list tells twice, of a hundred.
    pub(super) doubled_percent: u8,
    /// How the next page is told.
    pub(super) link: LinkForm,
    /// Whether a page begins with the record that ended the one before.
    pub(super) cursor: Cursor,
    /// Most records of a page, whatever `max` asks for.
    #[serde(deserialize_with = "positive")]
    pub(super) page_records: usize,
    /// Where the records of the customers with odd numbers are.
    pub(super) regions: Regions,
    /// How far back the partner endpoints reach.
    pub(super) partner_reach_h: u32,
    /// Whether windows that are too young, old or wide are refused.
    pub(super) limits: bool,
    /// Whether requests that come too often, or two counts at once, are refused.
    pub(super) rates: bool,
    /// Whether the token may read call records.
    pub(super) rights: Rights,
    /// What a refresh token is worth when it was used.
    pub(super) refresh_token: Rotation,
    /// Life of an access token.
    pub(super) access_token_s: u32,
    /// Status of the webhooks that are there when the script comes.
    pub(super) webhooks: Status,
    /// Shape of the partner's batches, one of those of `trunkline send`.
    #[serde(deserialize_with = "shape")]
    pub(super) batch_shape: String,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            page_headers: PageHeaders::default(),
            orgs_per_page: 200,
            idle_orgs: IdleOrgs::default(),
            count_off: 0,
            filter: Filter::default(),
            empty: Empty::default(),
            doubled_percent: 0,
            link: LinkForm::default(),
            cursor: Cursor::default(),
            page_records: 5000,
            regions: Regions::default(),
            partner_reach_h: 48,
            limits: true,
            rates: true,
            rights: Rights::default(),
            refresh_token: Rotation::default(),
            access_token_s: 1_209_600,
            webhooks: Status::default(),
            batch_shape: "items".to_owned(),
        }
    }
}

choice! {
    /// Names of three headers: number of pages, number of organisations, current page.
    PageHeaders {
        /// `Number-Of-Pages`, `Total-Number-Of-Organizations`, `Current-Page`
        Words,
        /// `totalPages`, `totalOrgs`, `currentPage`
        Camel,
        /// `X-Total-Pages`, `X-Total-Count`, `X-Page`
        Prefixed,
        /// No such headers.
        None,
    }
}

choice! {
    /// Organisations without calls.
    IdleOrgs {
        /// They are left out.
        Absent,
        /// They have a count of 0.
        Zero,
    }
}

choice! {
    /// A time of a record.
    Filter {
        /// `Report time`
        Report,
        /// `Start time`
        Start,
    }
}

choice! {
    /// An answer without records.
    Empty {
        /// 404 with a message of its own.
        NotFound,
        /// 200 with an empty list.
        List,
    }
}

choice! {
    /// Form of the `Link` header.
    LinkForm {
        /// By RFC 8288.
        Ordinary,
        /// All of it in another pair of angle brackets, as in the documentation's example.
        Bracketed,
        /// The first page stands before the next one.
        Several,
        /// The bracket behind the URL is missing.
        Malformed,
        /// The URL is one of the second door.
        Foreign,
        /// The URL is that of this page.
        Repeated,
    }
}

choice! {
    /// Where the next page begins.
    Cursor {
        /// With the first record that was not told.
        Exact,
        /// With the last one that was.
        Overlapping,
    }
}

choice! {
    /// Where records are.
    Regions {
        /// All at each door.
        One,
        /// Those of customers with odd numbers at the second door, the others at the first.
        Two,
        /// Those of customers with odd numbers at a host that is none of ours.
        Foreign,
    }
}

choice! {
    /// The token's rights.
    Rights {
        /// It may read call records.
        Granted,
        /// It may not.
        Refused,
    }
}

choice! {
    /// What becomes of a used refresh token; sources disagree.
    Rotation {
        /// There is a new one, and it is worth nothing any more.
        Void,
        /// There is a new one, and it goes on being good.
        Kept,
        /// It is given out again.
        Same,
    }
}

choice! {
    /// Whether a webhook is called.
    Status {
        /// It is.
        Active,
        /// It was given up after too many failures.
        Inactive,
    }
}

impl Status {
    /// Its name in the API.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
        }
    }
}

fn shape<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let shape = String::deserialize(deserializer)?;
    let shapes = SIMULATIONS.first().map_or(&[][..], |batch| batch.shapes);
    let told = || format!("the shapes are: {}", shapes.join(", "));
    if shapes.contains(&shape.as_str()) { Ok(shape) } else { Err(serde::de::Error::custom(told())) }
}
