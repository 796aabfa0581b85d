//! How the double behaves where Vonage's own behaviour is disputed or changes, and what it does wrong by itself.
//!
//! The defaults are what Vonage documents, or else what others have seen.

use serde::Deserialize;

use crate::provider::double::manners::{choice, positive};

/// The table `[manners]` of a script.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Manners {
    /// Rows on a page.
    #[serde(deserialize_with = "positive")]
    pub(super) page_rows: usize,
    /// How the next page is told.
    pub(super) link: LinkForm,
    /// Of what the number of items of a page is the number.
    pub(super) items_count: ItemsCount,
    /// Whether stretches that are too wide or too old are refused.
    pub(super) limits: bool,
    /// Whether requests that come too often are refused.
    pub(super) rates: bool,
    /// Whether the account may use the API.
    pub(super) rights: Rights,
    /// How reports are told of.
    pub(super) rendering: Rendering,
    /// Whether ids of reports have something before the UUID.
    pub(super) prefixed_ids: bool,
    /// Seconds until a report is ready.
    pub(super) ready_s: u32,
    /// How reports end.
    pub(super) end: End,
    /// Rows that fit into a file; more make it a truncated one.
    #[serde(deserialize_with = "positive")]
    pub(super) file_rows: usize,
    /// What files are like.
    pub(super) file: FileForm,
    /// Seconds for which a file is kept.
    pub(super) file_s: u32,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            page_rows: 1000,
            link: LinkForm::default(),
            items_count: ItemsCount::default(),
            limits: true,
            rates: true,
            rights: Rights::default(),
            rendering: Rendering::default(),
            prefixed_ids: false,
            ready_s: 0,
            end: End::default(),
            file_rows: 7_000_000,
            file: FileForm::default(),
            file_s: 72 * 3600,
        }
    }
}

choice! {
    /// Where the next page is told to be.
    LinkForm {
        /// At the double, with `cursor` and `iv` in the query.
        Ordinary,
        /// At a host that is none of ours.
        Foreign,
        /// There is no link: `cursor` and `iv` are members of the page.
        Absent,
        /// Where this page was.
        Repeated,
    }
}

choice! {
    /// What `items_count` of a page counts.
    ItemsCount {
        /// The rows of the page.
        Page,
        /// The rows of all pages.
        All,
    }
}

choice! {
    /// The account's rights.
    Rights {
        /// It may use the Reports API.
        Granted,
        /// It may not.
        Refused,
    }
}

choice! {
    /// Two renderings of the reference of Vonage's API.
    Rendering {
        /// `request_status` and `_links`, what was asked for at the top.
        Links,
        /// `status` and `download_url`, what was asked for in `request_params`.
        Flat,
    }
}

choice! {
    /// How reports end.
    End {
        /// With a file.
        Success,
        /// Without one.
        Failed,
        /// Given up.
        Aborted,
        /// Not at all.
        Never,
    }
}

choice! {
    /// What is wrong with files.
    FileForm {
        /// Nothing.
        Whole,
        /// A byte of it is another one.
        Damaged,
        /// There are two tables in it.
        Two,
        /// Its table has other columns.
        OtherColumns,
        /// Its link names a host that is none of ours.
        ForeignLink,
    }
}
