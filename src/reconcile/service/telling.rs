//! What the log tells of a stream.

use super::Desk;
use super::stream::Stream;
use crate::reconcile::schedule::{Expired, Warning};
use crate::reconcile::standing::SweepSums;

impl Stream {
    pub(super) fn tell_expired(&self, desk: &Desk, expired: &Expired) {
        let Expired { window, why, tries, counts, .. } = expired;
        self.metrics().window("expired");
        tracing::error!(
            source.name = %desk.source_name,
            stream = self.name(),
            from = %window.from(),
            to = %window.to(),
            why,
            tries,
            expected = counts.expected,
            held = counts.held,
            unexplained = counts.unexplained,
            "a time has expired that was not compared whole"
        );
    }

    pub(super) fn tell_warnings(&self, desk: &Desk, warnings: &[Warning]) {
        for Warning { window, why, horizon } in warnings {
            tracing::warn!(
                source.name = %desk.source_name,
                stream = self.name(),
                from = %window.from(),
                why,
                until = %horizon,
                "an hour is still open, and leaves the provider soon"
            );
        }
    }

    pub(super) fn tell_sums(&self, desk: &Desk, sums: SweepSums) {
        let SweepSums { windows, counts, requests, scanned_records, seconds } = sums;
        tracing::info!(
            source.name = %desk.source_name,
            stream = self.name(),
            windows = windows.all(),
            open = windows.open,
            expected = counts.expected,
            held = counts.held,
            missing = counts.missing + counts.new + counts.updated,
            published = counts.published,
            unexplained = counts.unexplained,
            requests,
            scanned_records,
            seconds = (seconds * 10.0).round() / 10.0,
            "compared"
        );
        let now = desk.now();
        desk.show(self.name(), |standing| standing.swept(now, sums));
    }
}
