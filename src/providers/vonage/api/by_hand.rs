//! Reports that somebody asks for by hand.

use super::VonageApi;
use super::report::{Report, is_name};
use super::requests;
use crate::event::time::Time;
use crate::provider::api::reports::{Order, Reports, Told};
use crate::provider::api::{Answer, Request};

impl Reports for VonageApi {
    fn create(&self, order: &Order) -> Request {
        requests::order(&self.scope, order)
    }

    fn state(&self, id: &str) -> Option<Request> {
        is_name(id).then(|| requests::state(id))
    }

    fn cancel(&self, id: &str) -> Option<Request> {
        is_name(id).then(|| requests::cancel(id))
    }

    fn list(&self, states: &[String], from: Option<Time>, to: Option<Time>) -> Request {
        requests::list_of(&self.scope, states, from, to)
    }

    fn told(&self, answer: &Answer) -> Option<Told> {
        Report::of(answer).map(told)
    }

    fn all_told(&self, answer: &Answer) -> Option<Vec<Told>> {
        Some(Report::list(answer)?.into_iter().map(told).collect())
    }

    fn had_ended(&self, answer: &Answer) -> bool {
        answer.status == 409
    }
}

fn told(report: Report) -> Told {
    let Report { id, progress, word, product, from, to, items_count, file, .. } = report;
    Told { id, progress, word, product, from, to, rows: items_count, file: file.as_deref().map(requests::media) }
}
