//! The call event made of a webhook.

use super::facts::{CLASSES, Facts};
use crate::event::call::{CallEvent, CallEventIdentity};
use crate::event::time::Time;
use crate::event::{Event, Fact, Leftovers, Occurrence};
use crate::json::Members;
use crate::request::RawRequest;

/// Makes the event, and tells the members whose word is in no map.
pub(super) fn make<'r>(
    facts: Facts<'r>,
    members: Members<'r>,
    account_id: &'r str,
    request: &RawRequest<'_>,
) -> (Event<'r>, Vec<&'static str>) {
    let identity = CallEventIdentity { event: facts.word.to_lowercase().into(), occurrence: facts.occurrence(request) };
    let call_id = facts.call_id();
    let (outcome, answered) = facts.ending.as_ref().map(|ending| (ending.outcome, ending.answered)).unzip();
    let (cause, talk_ms, price) =
        facts.ending.map_or((None, None, None), |ending| (ending.cause, ending.talk_ms, ending.price));
    let fact = CallEvent {
        recording: None,
        call_id,
        leg_id: facts.leg_id,
        event: facts.kind,
        event_rank: facts.kind.rank(),
        event_raw: facts.word,
        sequence: None,
        direction: facts.direction,
        from: facts.from,
        to: facts.to,
        did: None,
        outcome,
        answered: answered.flatten(),
        cause,
        talk_ms,
        price,
        recording_id: facts.recording_id,
        identity,
    };
    (publish(Fact::CallEvent(Box::new(fact)), facts.at, members, account_id), facts.unmapped)
}

/// An event of the account, with what its mapping left over.
pub(super) fn publish<'r>(fact: Fact<'r>, at: Option<Time>, members: Members<'r>, account_id: &'r str) -> Event<'r> {
    members.settle_nothing();
    Event {
        product: "voice".into(),
        account_id: account_id.into(),
        parent_account_id: None,
        provider_event_id: None,
        occurred: Occurrence::by_provider(at),
        fact,
        leftovers: Leftovers { members, classes: &CLASSES },
    }
}
