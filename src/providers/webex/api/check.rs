//! Whether credentials and rights are there: one request of the kind that the stream needs.

use std::sync::Arc;

use super::hosts::Hosts;
use super::requests;
use super::route::{Route, ending_of};
use crate::provider::api::{Asked, Ending, Found, Heard, Request, Say, Talk};

/// A conversation of one answer.
#[derive(Debug)]
pub(super) struct Check {
    request: Request,
    route: Route,
}

impl Check {
    pub(super) fn about(asked: &Asked, organisation: Option<&str>, hosts: &Arc<Hosts>) -> Self {
        Self { request: requests::check(asked, organisation), route: Route::to(asked.region.as_ref(), hosts) }
    }
}

impl Talk for Check {
    fn next(&mut self, heard: Heard<'_>, found: &mut dyn Found) -> Say {
        match heard {
            Heard::Answer(_) => Say::Done(Ending::Whole),
            Heard::Judged(verdict) if !self.route.turns(verdict, found) => Say::Done(ending_of(verdict)),
            Heard::Begin | Heard::Judged(_) | Heard::Waited | Heard::File(_) => {
                Say::Send(self.route.lead(&self.request))
            }
        }
    }
}
