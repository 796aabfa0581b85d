//! The words that the schema has for messages.

use crate::event::words::words;

words! {
    /// Where a message is on its way. Consumers keep the event with the greatest rank.
    pub enum Status {
        /// The provider's word is not in our map, or says nothing.
        Unknown = "unknown",
        /// The provider took the request.
        Accepted = "accepted",
        /// Waiting at the provider.
        Queued = "queued",
        /// Handed to the carrier or channel.
        Sent = "sent",
        /// The provider says that it will never know.
        NeverKnown = "unknown",
        /// Not delivered in time.
        Expired = "expired",
        /// Attempted and failed.
        Failed = "failed",
        /// Refused before delivery.
        Rejected = "rejected",
        /// Withdrawn.
        Canceled = "canceled",
        /// At the handset or channel, so far as the provider can tell.
        Delivered = "delivered",
        /// Opened or played.
        Read = "read",
    }
}

impl Status {
    /// Order of the statuses: a greater rank is later news.
    pub fn rank(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Accepted => 10,
            Self::Queued => 20,
            Self::Sent => 30,
            Self::NeverKnown => 35,
            Self::Expired | Self::Failed | Self::Rejected | Self::Canceled => 40,
            Self::Delivered => 50,
            Self::Read => 60,
        }
    }

    /// Whether no better news is expected. A `read` may still follow a `delivered`.
    pub fn is_final(self) -> bool {
        self.rank() > Self::Sent.rank()
    }
}

words! {
    /// How a message goes.
    pub enum Channel {
        /// SMS.
        Sms = "sms",
        /// MMS.
        Mms = "mms",
        /// RCS.
        Rcs = "rcs",
        /// WhatsApp.
        Whatsapp = "whatsapp",
        /// Facebook Messenger.
        Messenger = "messenger",
        /// Viber.
        Viber = "viber",
        /// E-mail.
        Email = "email",
        /// Any other; the provider's word stays in `provider_data`.
        Other = "other",
    }
}

words! {
    /// Why a message did not arrive, in terms that all providers share.
    pub enum ErrorCategory {
        /// There is no such recipient.
        InvalidDestination = "invalid_destination",
        /// Absent or busy for now.
        UnreachableTemporary = "unreachable_temporary",
        /// Gone for good.
        UnreachablePermanent = "unreachable_permanent",
        /// The recipient or his operator bars such messages.
        Barred = "barred",
        /// The recipient wants no more of them.
        OptedOut = "opted_out",
        /// A carrier or the provider blocked it.
        BlockedByCarrier = "blocked_by_carrier",
        /// Taken for spam or fraud.
        SpamFiltered = "spam_filtered",
        /// The request or the message itself is at fault.
        ContentRejected = "content_rejected",
        /// The sender may not send it.
        SenderNotAllowed = "sender_not_allowed",
        /// A law or a rule of the channel forbids it.
        Regulation = "regulation",
        /// There is no way to the recipient.
        Unroutable = "unroutable",
        /// A network failed.
        NetworkError = "network_error",
        /// Its time was over.
        Expired = "expired",
        /// Too many at a time.
        Throttled = "throttled",
        /// Nobody pays for it.
        InsufficientFunds = "insufficient_funds",
        /// The account may not do this.
        Authentication = "authentication",
        /// The provider failed.
        ProviderError = "provider_error",
        /// Not told, or told by a code that is in no map.
        Unknown = "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_schema() {
        let ranks = |is_final| {
            let statuses = Status::ALL.iter().filter(move |status| status.is_final() == is_final);
            statuses.map(|status| (status.as_str(), status.rank())).collect::<Vec<_>>()
        };
        assert_eq!(ranks(false), [("unknown", 0), ("accepted", 10), ("queued", 20), ("sent", 30)]);
        let last = [("unknown", 35), ("expired", 40), ("failed", 40), ("rejected", 40), ("canceled", 40)];
        assert_eq!(ranks(true), [&last[..], &[("delivered", 50), ("read", 60)]].concat());
    }
}
