//! The provisional call record made of the end of a leg.

use crate::event::country;

use super::event::{Facts, id_of, publish, yes_or_no};
use super::form::{peek, told, word};
use super::outcome::Ending;
use super::party;
use crate::event::address::Address;
use crate::event::call::{
    AnsweredBy, CallOutcome, CallRecord, CallUser, RecordScope, RecordState, RelatedId, Site, Transfer,
};
use crate::event::direction::Direction;
use crate::event::{Event, Fact};
use crate::json::{Members, Text};

/// Makes the record. It is keyed by the call, so that the call's final record replaces it; the legs of
/// a transferred call share the key.
pub(super) fn make<'r>(
    facts: Facts<'r>,
    ending: Ending,
    members: Members<'r>,
    account_id: &'r str,
    region: Option<country::Id>,
) -> Event<'r> {
    let at = facts.at;
    let extras = Extras::read(&members, &facts, region);
    let record = record(facts, ending, extras);
    publish(Fact::CallRecord(Box::new(record)), at, members, account_id)
}

/// What only a record has room for.
struct Extras<'r> {
    redirected_by: Option<Address<'r>>,
    user: Option<CallUser<'r>>,
    site: Option<Site<'r>>,
    transfer: Option<Transfer<'r>>,
    related_ids: Vec<RelatedId<'r>>,
}

impl<'r> Extras<'r> {
    fn read(members: &Members<'r>, facts: &Facts<'r>, region: Option<country::Id>) -> Self {
        let passed_on = facts.parties.is_passed_on;
        let api_id = members.read("CallAPIID", id_of);
        let (user, site) = user(members, facts.flow, region);
        Self {
            redirected_by: passed_on.then(|| party::caller(members, region)).flatten(),
            user,
            site,
            transfer: transfer(members),
            related_ids: api_id.map(|id| RelatedId { rel: "call_api".into(), id }).into_iter().collect(),
        }
    }
}

fn record<'r>(facts: Facts<'r>, ending: Ending, extras: Extras<'r>) -> CallRecord<'r> {
    CallRecord {
        record_id: facts.call_id.clone(),
        record_scope: RecordScope::Leg,
        state: RecordState::Provisional,
        record_version: "".into(),
        session_id: Some(facts.call_id.clone()),
        related_ids: extras.related_ids,
        direction: facts.parties.direction(facts.flow),
        dialed: None,
        redirected_by: extras.redirected_by,
        user: extras.user,
        started_at: None,
        answered_at: facts.at.zip(facts.talk_us).and_then(|(end, talk)| end.minus_us(talk)),
        ended_at: facts.at,
        talk_ms: facts.talk_ms(),
        ring_ms: None,
        hold_ms: None,
        total_ms: None,
        answered: ending.answered,
        outcome: ending.outcome,
        answered_by: (ending.outcome == CallOutcome::Voicemail).then_some(AnsweredBy::Voicemail),
        hangup_by: None,
        cause: None,
        call_type: None,
        network: None,
        price: None,
        rate: None,
        site: extras.site,
        queue: None,
        transfer: extras.transfer,
        leg_id: Some(facts.leg_id),
        from: facts.parties.from,
        to: facts.parties.to,
        did: facts.parties.did,
        outcome_raw: facts.status.unwrap_or_default(),
        recordings: facts.recording.into_iter().collect(),
    }
}

/// The extension whose leg it is: the called one of an inbound leg, the calling one of an outbound leg.
/// Its domain becomes the site.
fn user<'r>(
    members: &Members<'r>,
    flow: Direction,
    region: Option<country::Id>,
) -> (Option<CallUser<'r>>, Option<Site<'r>>) {
    let (extension, id) = match flow {
        Direction::Inbound => ("CalledExtension", "CalledExtensionID"),
        Direction::Outbound => ("CallerExtension", "CallerExtensionID"),
        Direction::Internal | Direction::Unknown => return (None, None),
    };
    let domain = peek(members, extension).and_then(domain);
    let number = told(members, extension).map(|text| party::address(text, region));
    let id = members.read(id, id_of);
    let user = CallUser { id, number, ..CallUser::default() };
    let site = domain.map(|name| Site { name: Some(name), ..Site::default() });
    ((user != CallUser::default()).then_some(user), site)
}

pub(super) fn domain(extension: Text<'_>) -> Option<Text<'_>> {
    let (_, domain) = extension.split_once('@')?;
    (!domain.is_empty()).then(|| domain.to_owned().into())
}

fn transfer<'r>(members: &Members<'r>) -> Option<Transfer<'r>> {
    let transferred = word(members, "Transfered", yes_or_no)?;
    transferred.then(|| Transfer { sort: Some("transfer".into()), ..Transfer::default() })
}
