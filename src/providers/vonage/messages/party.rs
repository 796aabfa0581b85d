//! Who the parties of a message are.

use super::Body;
use crate::event::address::{Address, AddressRules};
use crate::event::country;
use crate::event::message::Channel;
use crate::json::{Members, Text};

/// Whose side of a message an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Side {
    /// The account's: the sender of what it sent, the recipient of what it got.
    Own,
    /// Somebody else's.
    Other,
}

impl<'r> Body<'r> {
    /// A party: text in version 1, an object with `number` or `id` in version 0.1.
    pub(in super::super) fn party(&self, name: &str, channel: Channel, side: Side) -> Option<Address<'r>> {
        if let Some(text) = self.members.text_or_number(name) {
            return Some(self.address(text, channel, side));
        }
        let object = self.members.object(name)?;
        if let Some(number) = object.text_or_number("number") {
            return Some(self.address(number, channel, side));
        }
        object
            .text_or_number("id")
            .map(|id| Address::read(id, &AddressRules { user_ids: true, ..rules(Channel::Other, side, self.region) }))
    }

    /// A user of WhatsApp as `object` tells it: by the id under which the account knows him, else by his number.
    pub(in super::super) fn whatsapp_user(&self, object: &str) -> Option<Address<'r>> {
        let user: &Members<'r> = self.members.object("whatsapp")?.object(object)?;
        let number = || user.text_or_number("wa_id").map(|number| self.address(number, Channel::Whatsapp, Side::Other));
        user.text("user_id").map(Address::user_id).or_else(number)
    }

    fn address(&self, text: Text<'r>, channel: Channel, side: Side) -> Address<'r> {
        party(text, channel, side, self.region)
    }
}

/// Reads a party of a message by its side and channel.
pub(in super::super) fn party(
    text: Text<'_>,
    channel: Channel,
    side: Side,
    region: Option<country::Id>,
) -> Address<'_> {
    Address::read(text, &rules(channel, side, region))
}

fn rules(channel: Channel, side: Side, region: Option<country::Id>) -> AddressRules {
    let is_service = channel == Channel::Viber && side == Side::Own;
    AddressRules {
        international_digits: matches!(
            channel,
            Channel::Sms | Channel::Mms | Channel::Rcs | Channel::Whatsapp | Channel::Viber
        ),
        // Letters are a name where the account chose them, and an id of a user anywhere else.
        message_sender: side == Side::Own && channel != Channel::Whatsapp,
        message_person: side == Side::Other || channel == Channel::Whatsapp,
        // Viber shows a service by an id of its own, which may look like a number.
        user_ids: channel == Channel::Messenger || is_service,
        email: channel == Channel::Email,
        call: false,
        region,
    }
}
