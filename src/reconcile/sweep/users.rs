//! Whose rows are published where a provider's list tells of more users than its webhooks do.
//!
//! A webhook that is set up for billing leaves out the calls of users whom the partner has not sold to, and the list does
//! not. Published, those calls would be billed; with everything withheld, lost deliveries would stay lost. So what a webhook
//! has told of a user lately decides about the user's other rows.

use std::collections::HashSet;
use std::sync::Arc;

use super::parts::Part;
use super::state::State;
use super::{CompareError, Comparing};
use crate::event::time::Time;
use crate::provider::api::Api;
use crate::publish::scan::{ScannedRecord, Start, Visitor};
use crate::reconcile::sought::{Print, key_print};
use crate::settings::reconcile::PublishMissing;

/// A user of whom no webhook has told for so long is taken to be none of those that webhooks tell of.
const LATELY_S: i64 = 48 * 3600;

/// Hashes of the users, eight bytes each: also those of a large partner take little.
#[derive(Debug, Default)]
pub(super) struct Users(HashSet<u64>);

impl Users {
    fn note(&mut self, account: &str, user: &str) {
        self.0.insert(hash(account, user));
    }

    fn has(&self, account: &str, user: &str) -> bool {
        self.0.contains(&hash(account, user))
    }
}

fn hash(account: &str, user: &str) -> u64 {
    key_print(&format!("{account}:{user}"))
}

impl Comparing<'_> {
    /// Withholds what is not to be published.
    pub(super) async fn withhold(&self, state: &mut State, part: &mut Part) -> Result<(), CompareError> {
        let withheld = match self.publish_missing {
            PublishMissing::All => Vec::new(),
            PublishMissing::None => part.sought.rows().filter(|row| row.is_waiting()).map(|row| row.print).collect(),
            PublishMissing::KnownUsers => self.of_unknown_users(state, part).await?,
        };
        withheld.into_iter().for_each(|print| part.sought.withhold(print));
        Ok(())
    }

    async fn of_unknown_users(&self, state: &mut State, part: &Part) -> Result<Vec<Print>, CompareError> {
        let waiting = part.sought.waiting();
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let users = match state.users.take() {
            Some(users) => users,
            None => self.note_users(state).await?,
        };
        let mut unknown = Vec::new();
        let mut reading = state.rows.read_from(part.first)?;
        while let Some((number, text, _)) = reading.next_row()?.filter(|(number, ..)| *number < part.end.row()) {
            if waiting.contains(number) {
                unknown.extend(self.unknown_in(&users, text));
            }
        }
        state.users = Some(users);
        Ok(unknown)
    }

    /// The events of a row that are of a user who is not known, or of none.
    fn unknown_in(&self, users: &Users, text: &str) -> impl Iterator<Item = Print> {
        let user = self.mapper.user(text);
        let is_known = |account: &str| user.as_deref().is_some_and(|user| users.has(account, user));
        let unknown = self.mapper.prints(text).events.into_iter().filter(|(account, _)| !is_known(account));
        unknown.map(|(_, print)| print).collect::<Vec<_>>().into_iter()
    }

    /// Looks for the users of whom webhooks have told. If the topics go back less far, fewer users are known, and more
    /// is withheld: nothing false comes of it.
    async fn note_users(&self, state: &mut State) -> Result<Users, CompareError> {
        let from = state.scan_from().min(Time::now().plus_s(-LATELY_S));
        let visitor = Noting { prefix: self.prefix(), api: Arc::clone(self.mapper.api), users: Users::default() };
        let ended = self
            .scanner
            .scan(self.wanted(self.topics(), Start::At(from)), visitor)
            .await
            .ok_or(CompareError::Stopping)?;
        let outcome = ended.outcome?;
        state.scanned_records += outcome.read;
        state.scanned_for += outcome.elapsed;
        Ok(ended.visitor.users)
    }
}

/// Notes users.
struct Noting {
    prefix: String,
    api: Arc<dyn Api>,
    users: Users,
}

impl Visitor for Noting {
    fn visit(&mut self, record: &ScannedRecord<'_>) {
        let account = record.key.strip_prefix(&self.prefix).and_then(|rest| rest.split_once(':'));
        let Some((account, _)) = account else { return };
        if let Some(user) = self.api.user_told(record.data) {
            self.users.note(account, &user);
        }
    }
}
