//! What a comparison comes to: the sums of each cell and window, and whether a window is complete.
//!
//! The sums hold whatever was read: `expected + surplus = held + updated + missing + new + unreadable + unexplained`. And once
//! everything that was to be published has been, `published + withheld = updated + missing + new`.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

pub mod cells;
pub mod digest;

/// Numbers of rows of a cell, a window or a whole run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Distinct rows that the provider listed, or what it counted, if that is more.
    pub expected: u64,
    /// Rows that lie in the topics as they are.
    pub held: u64,
    /// Rows of whose key nothing lies in the topics, though a webhook tells such a thing.
    pub missing: u64,
    /// The same of a stream that no webhook tells.
    #[serde(skip_serializing_if = "is_zero")]
    pub new: u64,
    /// Rows of whose key something else lies in the topics: an earlier status, a record without its price.
    pub updated: u64,
    /// Rows of the last three that were published and acknowledged.
    pub published: u64,
    /// Rows that can not be mapped.
    #[serde(skip_serializing_if = "is_zero")]
    pub unreadable: u64,
    /// Rows that the configuration keeps from being published.
    #[serde(skip_serializing_if = "is_zero")]
    pub withheld: u64,
    /// Rows that the provider counts and that were seen nowhere.
    pub unexplained: u64,
    /// Records in the topics beyond what the provider counts.
    #[serde(skip_serializing_if = "is_zero")]
    pub surplus: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What a row counts as that is not in the topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unseen {
    /// A webhook should have told it.
    Missing,
    /// Only the provider's list tells it.
    New,
}

/// What the topics hold of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing under its key.
    Nothing,
    /// Something under its key, and not this.
    Key,
    /// The row as it is.
    Row,
}

/// What a row counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It is there.
    Held,
    /// Something older of it is there.
    Updated,
    /// It was lost.
    Missing,
    /// It is told here first.
    New,
    /// It can not be mapped.
    Unreadable,
}

impl Class {
    /// What a row counts as by what was found of it.
    pub fn of(found: Found, unseen: Unseen) -> Self {
        match (found, unseen) {
            (Found::Row, _) => Self::Held,
            (Found::Key, _) => Self::Updated,
            (Found::Nothing, Unseen::Missing) => Self::Missing,
            (Found::Nothing, Unseen::New) => Self::New,
        }
    }
}

impl Counts {
    /// Rows that the topics lacked.
    pub fn unseen(&self) -> u64 {
        self.updated + self.missing + self.new
    }

    /// Whether nothing is left to do and nothing is left unexplained. Rows that can not be mapped are kept as dead letters, and
    /// hold nothing up.
    pub fn is_settled(&self) -> bool {
        self.unexplained == 0 && self.published + self.withheld == self.unseen()
    }

    /// Whether there is something that people want to know: all but what simply is there.
    pub fn is_worth_telling(&self) -> bool {
        self.unseen() + self.unreadable + self.unexplained + self.surplus > 0
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { expected, held, missing, new, updated, published, unreadable, withheld, unexplained, surplus } =
            other;
        for (sum, number) in [
            (&mut self.expected, expected),
            (&mut self.held, held),
            (&mut self.missing, missing),
            (&mut self.new, new),
            (&mut self.updated, updated),
            (&mut self.published, published),
            (&mut self.unreadable, unreadable),
            (&mut self.withheld, withheld),
            (&mut self.unexplained, unexplained),
            (&mut self.surplus, surplus),
        ] {
            *sum = sum.saturating_add(number);
        }
    }
}

#[cfg(test)]
mod tests;
