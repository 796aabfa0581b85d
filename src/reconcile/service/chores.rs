//! What is done for a source beside comparing: copies of its recordings, and its webhooks at the provider.

use super::Desk;
use crate::event::time::Time;
use crate::reconcile::command::copying::CopyCommandError;
use crate::subscriptions::{self, Kept};

/// Recordings of calls are looked for so far back, since one that is not ready yet may be so a day later.
const COPIED_S: i64 = 90_000;

/// No further back, however long a stop was.
const COPIED_AT_MOST_S: i64 = 2_592_000;

/// What has been done when.
#[derive(Debug, Default)]
pub(super) struct Chores {
    kept_at: Option<Time>,
}

impl Chores {
    /// Does what is due. Calls since `read_to` had not been read before this sweep.
    pub(super) async fn run(&mut self, desk: &Desk, read_to: Option<Time>) {
        if desk.tools.source.recordings.is_some() {
            copy(desk, read_to).await;
        }
        let every_s = desk.tools.source.subscriptions.filter(|options| options.keep).map(|options| options.every_s);
        let now = desk.now();
        let is_due = |every_s: u32| self.kept_at.is_none_or(|kept_at| kept_at.plus_s(i64::from(every_s)) <= now);
        if every_s.is_some_and(is_due) && keep(desk).await {
            self.kept_at = Some(now);
        }
    }
}

async fn copy(desk: &Desk, read_to: Option<Time>) {
    let (now, source) = (desk.now(), &*desk.source_name);
    let from = read_to.map_or(now, |read_to| read_to.min(now)).min(now.plus_s(-COPIED_S));
    match desk.tools.copy_recordings(from.max(now.plus_s(-COPIED_AT_MOST_S)), now).await {
        Ok(copied) if copied.copied + copied.failed > 0 => {
            let (copies, failed, not_ready) = (copied.copied, copied.failed, copied.not_ready);
            tracing::info!(source.name = %source, copies, failed, not_ready, "copied recordings");
        }
        Ok(_) => {}
        Err(error @ CopyCommandError::Copy(_)) => {
            tracing::warn!(source.name = %source, %error, "recordings are not copied now");
        }
        Err(error) => tracing::error!(source.name = %source, %error, "recordings are not copied"),
    }
}

/// Tells whether it came to an end. What has not is tried again by the next sweep.
async fn keep(desk: &Desk) -> bool {
    let Some((subscriptions, public_url)) = desk.tools.api.subscriptions().zip(desk.public_url.as_deref()) else {
        return true;
    };
    let destination = subscriptions::destination_of(&desk.tools.source, public_url);
    let source = &*desk.source_name;
    match subscriptions::keep(desk.tools.line(), subscriptions, destination).await {
        Ok(Kept { mended: 0, failed: 0, right }) => {
            tracing::debug!(source.name = %source, right, "the webhooks at the provider are right");
            true
        }
        Ok(Kept { mended, failed, right }) => {
            tracing::info!(source.name = %source, right, mended, failed, "made webhooks at the provider right");
            failed == 0
        }
        Err(error) => {
            tracing::warn!(source.name = %source, %error, "the webhooks at the provider can not be made right now");
            false
        }
    }
}
