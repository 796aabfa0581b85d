//! Webhooks at the provider: compared with what a source needs, and made so, through its [`Line`].

use thiserror::Error;

use crate::outbound::Line;
use crate::provider::api::{Answer, Request, Verdict};
use crate::provider::subscriptions::{Change, Deed, Destination, Subscriptions, Survey, Wish};
use crate::settings::Source;

/// Why nothing came of it.
#[derive(Debug, Error)]
pub enum SubscriptionsError {
    /// The operator has something to do.
    #[error("{word}: {mend}")]
    Misconfigured {
        /// A short word.
        word: &'static str,
        /// What is to be done.
        mend: String,
    },
    /// The provider wants to be left alone.
    #[error("the provider wants to be asked again in {0} s")]
    Throttled(u64),
    /// It failed for now.
    #[error("it failed for now: {0}")]
    Failed(&'static str),
}

/// Where the webhooks of a source go.
pub fn destination_of(source: &Source, public_url: &str) -> Destination {
    Destination {
        url: format!("{public_url}/webhooks/{}", source.name),
        token: source.url_token.clone(),
        secret: source.signature_secret.clone(),
    }
}

/// Finds out what is to be done. Nothing is changed.
///
/// # Errors
/// When that can not be found out.
pub async fn survey(
    line: &Line,
    subscriptions: &dyn Subscriptions,
    destination: Destination,
    wish: Wish,
) -> Result<Vec<Change>, SubscriptionsError> {
    let mut surveyor = subscriptions.survey(destination, wish);
    let mut heard = None;
    loop {
        match surveyor.next(heard.as_ref()) {
            Survey::Ask(request) => heard = Some(ask(line, &request).await?),
            Survey::Plan(plan) => return Ok(plan),
            Survey::Stop { word, mend } => return Err(SubscriptionsError::Misconfigured { word, mend }),
        }
    }
}

/// Makes one webhook right. What fails ends it, so that an old one goes only after its new one was made.
///
/// # Errors
/// When it is not right yet.
pub async fn carry_out(line: &Line, change: &Change) -> Result<(), SubscriptionsError> {
    for request in &change.requests {
        ask(line, request).await?;
    }
    Ok(())
}

/// What was done to keep webhooks complete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// They were right.
    pub right: usize,
    /// They were made right.
    pub mended: usize,
    /// They failed for now.
    pub failed: usize,
}

/// Makes all webhooks right, one after the other. It keeps no place: what a quota has stopped is gone on with by the next
/// time, since what is right by then takes no request.
///
/// # Errors
/// When nothing more can be done now. What was mended until then is.
pub async fn keep(
    line: &Line,
    subscriptions: &dyn Subscriptions,
    destination: Destination,
) -> Result<Kept, SubscriptionsError> {
    let mut kept = Kept::default();
    for change in survey(line, subscriptions, destination, Wish::Complete).await? {
        if change.deed == Deed::Keep {
            kept.right += 1;
            continue;
        }
        match carry_out(line, &change).await {
            Ok(()) => kept.mended += 1,
            Err(SubscriptionsError::Failed(word)) => {
                tracing::warn!(webhook = %change.what, word, "a webhook at the provider is not right");
                kept.failed += 1;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(kept)
}

async fn ask(line: &Line, request: &Request) -> Result<Answer, SubscriptionsError> {
    match line.request(request).await {
        Ok(answer) => Ok(answer),
        Err(Verdict::Misconfigured { word, mend }) => Err(SubscriptionsError::Misconfigured { word, mend }),
        Err(Verdict::Throttled { otherwise }) => Err(SubscriptionsError::Throttled(otherwise.as_secs())),
        Err(verdict) => Err(SubscriptionsError::Failed(verdict.word())),
    }
}
