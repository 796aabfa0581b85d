//! Rows of calls: final records, one a leg.

use super::columns::{Columns, Unnamed};
use super::{Fault, Mapped};
use crate::event::Fact;
use crate::event::address::Address;
use crate::event::call::{AnsweredBy, CallOutcome, CallRecord, CallUser, Cause, RecordScope, RecordState, RelatedId};
use crate::event::direction::Direction;
use crate::event::money::PriceScope;
use crate::event::time::Time;
use crate::json::{Members, Text, number};
use crate::providers::vonage::voice::{bare, direction, outcome_of_sip, outcome_of_status};

/// A leg over a network of telephones. Its key is the id that webhooks have as `uuid`, so that it replaces their
/// provisional record; that the row's own id is another is not documented, and it is kept beside.
pub(super) fn of_network<'r>(columns: &Columns<'r>, product: &'static str) -> Result<Mapped<'r>, Fault<'r>> {
    let leg_id = bare(columns.id(&["call_id", "id"])?);
    let own = columns.members.text_or_number("id").map(bare).filter(|own| *own != leg_id);
    let mut record = record(columns, product, leg_id.clone(), Some(leg_id));
    record.fact.related_ids = own.map(|id| RelatedId { rel: "row".into(), id }).into_iter().collect();
    Ok(record.into_mapped())
}

/// A leg over the Internet, of which no webhook makes a record: products number their rows each for itself.
pub(super) fn of_app<'r>(columns: &Columns<'r>, product: &'static str) -> Result<Mapped<'r>, Fault<'r>> {
    let record_id = format!("{product}:{}", columns.id(&["id"])?).to_lowercase();
    let leg_id = columns.id(&["call_id", "leg_id"]).ok().map(bare);
    let mut record = record(columns, product, record_id.into(), leg_id);
    record.fact.session_id = columns.id(&["conversation_id"]).ok();
    let user = columns.members.text_or_number("user_id");
    record.fact.user = user.map(|id| CallUser { id: Some(id), ..CallUser::default() });
    Ok(record.into_mapped())
}

/// A record, and the columns whose word is in no map.
struct Record<'r> {
    fact: CallRecord<'r>,
    unmapped: Vec<&'static str>,
}

impl<'r> Record<'r> {
    fn into_mapped(self) -> Mapped<'r> {
        let occurred_at = self.fact.ended_at;
        let fact = Fact::CallRecord(Box::new(self.fact));
        Mapped { fact, occurred_at, product: None, unmapped: self.unmapped }
    }
}

fn record<'r>(
    columns: &Columns<'r>,
    product: &'static str,
    record_id: Text<'r>,
    leg_id: Option<Text<'r>>,
) -> Record<'r> {
    let members = &columns.members;
    let mut unmapped = Vec::new();
    let ending = Ending::read(members, &mut unmapped);
    let (started_at, ended_at) = (columns.time("date_start"), columns.time("date_end"));
    let fact = CallRecord {
        record_id,
        record_scope: RecordScope::Leg,
        state: RecordState::Final,
        record_version: "".into(),
        session_id: None,
        leg_id,
        related_ids: Vec::new(),
        direction: members.find("direction").map_or(Direction::Unknown, |_| direction(members, &mut unmapped)),
        from: columns.party("from").unwrap_or_else(Address::unknown),
        to: columns.party("to").unwrap_or_else(Address::unknown),
        dialed: None,
        did: None,
        redirected_by: None,
        user: None,
        started_at,
        answered_at: None,
        ended_at,
        talk_ms: ending.talk_ms,
        ring_ms: None,
        hold_ms: None,
        total_ms: started_at.zip(ended_at).and_then(|(from, to)| ms_between(from, to)),
        answered: ending.answered,
        outcome: ending.outcome,
        outcome_raw: ending.words,
        answered_by: ending.answered_by,
        hangup_by: None,
        cause: ending.cause,
        call_type: Some(product.into()),
        network: columns.network(),
        price: columns.money("total_price", PriceScope::Total, Unnamed::Euro),
        rate: columns.money("price", PriceScope::PerMinute, Unnamed::Euro),
        recordings: Vec::new(),
        site: None,
        queue: None,
        transfer: None,
    };
    Record { fact, unmapped }
}

fn ms_between(from: Time, to: Time) -> Option<u64> {
    u64::try_from(to.unix_ms() - from.unix_ms()).ok()
}

/// How a leg ended, as its row tells it.
struct Ending<'r> {
    outcome: CallOutcome,
    answered: Option<bool>,
    answered_by: Option<AnsweredBy>,
    talk_ms: Option<u64>,
    words: Text<'r>,
    cause: Option<Cause<'r>>,
}

impl<'r> Ending<'r> {
    fn read(members: &Members<'r>, unmapped: &mut Vec<&'static str>) -> Self {
        let status = members.text("status");
        let word = status.as_deref().unwrap_or_default().trim().to_ascii_lowercase();
        let duration_ms = members.read("duration", |text| number::thousandths(&text));
        let sip = members.read("status_code", |text| number::whole(&text).filter(|code| (100..700).contains(code)));
        let outcome = outcome_of(&word, duration_ms, sip);
        if outcome.is_none() && status.is_some() {
            unmapped.push("status");
        }
        let outcome = outcome.unwrap_or(CallOutcome::Unknown);
        let answered = (outcome != CallOutcome::Unknown).then_some(outcome == CallOutcome::Answered);
        let description = members.text("status_description");
        let words = [status, description.clone()].into_iter().flatten().collect::<Vec<_>>().join("/");
        let cause = Cause { q850: None, sip, text: description };
        Self {
            outcome,
            answered,
            answered_by: (word == "machine").then_some(AnsweredBy::Machine),
            talk_ms: duration_ms.filter(|_| answered == Some(true)),
            words: words.into(),
            cause: (answered != Some(true) && cause != Cause::default()).then_some(cause),
        }
    }
}

/// What the status says, refined by the code where the call failed. Older rows have the words of webhooks.
fn outcome_of(word: &str, duration_ms: Option<u64>, sip: Option<u16>) -> Option<CallOutcome> {
    match word {
        "answered" | "machine" => Some(CallOutcome::Answered),
        "completed" if duration_ms.is_some_and(|duration_ms| duration_ms > 0) => Some(CallOutcome::Answered),
        "completed" => sip.and_then(outcome_of_sip).or(Some(CallOutcome::Unknown)),
        "error" | "failed" => sip.and_then(outcome_of_sip).or(Some(CallOutcome::Failed)),
        other => outcome_of_status(other),
    }
}
