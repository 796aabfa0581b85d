//! Whether credentials and rights are there: the list of reports, which costs nothing.

use super::records::ending_of;
use super::requests::{self, Scope};
use crate::provider::api::{Asked, Ending, Found, Heard, Request, Say, Talk};

/// A conversation of one answer.
#[derive(Debug)]
pub(super) struct Check(Request);

impl Check {
    pub(super) fn about(asked: &Asked, scope: &Scope) -> Self {
        Self(requests::list_of(scope, &[], Some(asked.from), Some(asked.to)))
    }
}

impl Talk for Check {
    fn next(&mut self, heard: Heard<'_>, _found: &mut dyn Found) -> Say {
        match heard {
            Heard::Begin | Heard::Waited | Heard::File(_) => Say::Send(self.0.clone()),
            Heard::Answer(_) => Say::Done(Ending::Whole),
            Heard::Judged(verdict) => Say::Done(ending_of(verdict)),
        }
    }
}
