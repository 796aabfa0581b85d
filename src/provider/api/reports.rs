//! Reports that somebody asks for by hand, where a provider makes such.

use super::{Answer, Request};
use crate::event::time::Time;

/// What is ordered.
#[derive(Debug, Clone)]
pub struct Order {
    /// The provider's product.
    pub product: String,
    /// Which way, where the product has two.
    pub direction: Option<String>,
    /// Its first instant.
    pub from: Time,
    /// The first instant after it.
    pub to: Time,
    /// Whether texts of messages are wanted.
    pub with_texts: bool,
    /// Further parameters of the provider, as they stand.
    pub more: Vec<(String, String)>,
}

/// How far a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is being made, or in a state that nobody has heard of.
    Pending,
    /// It is whole.
    Ready,
    /// Not all rows fitted.
    Truncated,
    /// There is none, and will be none.
    Failed,
}

/// What is told of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its id.
    pub id: String,
    /// How far it is.
    pub progress: Progress,
    /// The provider's word for that.
    pub word: String,
    /// On what it reports.
    pub product: Option<String>,
    /// From when.
    pub from: Option<Time>,
    /// Until when.
    pub to: Option<Time>,
    /// How many rows it has.
    pub rows: Option<u64>,
    /// Asks for its file, if there is one.
    pub file: Option<Request>,
}

/// A provider's reports. Everything in it is a function of what it is given.
pub trait Reports {
    /// Asks for a report to be made.
    fn create(&self, order: &Order) -> Request;

    /// Asks how far one is; nothing if this can be no id.
    fn state(&self, id: &str) -> Option<Request>;

    /// Has one given up; nothing if this can be no id.
    fn cancel(&self, id: &str) -> Option<Request>;

    /// Asks for those of the account, in some states or in all, asked for in a stretch of time.
    fn list(&self, states: &[String], from: Option<Time>, to: Option<Time>) -> Request;

    /// What an answer tells of one report.
    fn told(&self, answer: &Answer) -> Option<Told>;

    /// What an answer tells of all.
    fn all_told(&self, answer: &Answer) -> Option<Vec<Told>>;

    /// Whether an answer to a request to give one up says that it had ended before.
    fn had_ended(&self, answer: &Answer) -> bool;
}
