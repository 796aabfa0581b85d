//! Sets of words that the schema publishes.

/// Declares a set of words: an enum whose values know the word that is published for them.
macro_rules! words {
    (
        $(#[$about:meta])*
        pub enum $name:ident { $($(#[$meaning:meta])* $value:ident = $word:literal,)+ }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$meaning])* $value,)+
        }

        impl $name {
            /// Every value, in the order of the schema.
            pub const ALL: &'static [Self] = &[$(Self::$value,)+];

            /// The word that is published.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

pub(super) use words;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::event::call::{AnsweredBy, CallEventKind, CallOutcome, HangupBy, RecordScope, RecordState};
    use crate::event::direction::Direction;
    use crate::event::kind::Kind;
    use crate::event::message::{Channel, ErrorCategory, Status};

    fn description(kind: Kind, pointer: &str) -> String {
        let schema: Value = serde_json::from_str(kind.info().schema).unwrap();
        schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}"))["description"].as_str().unwrap().to_owned()
    }

    fn assert_told(kind: Kind, pointer: &str, words: &[&str]) {
        let description = description(kind, pointer);
        let told: Vec<&str> =
            description.split(|character: char| !character.is_alphanumeric() && character != '_').collect();
        for word in words {
            assert!(told.contains(word), "{word} is not in the description of {pointer}");
        }
    }

    macro_rules! words_of {
        ($set:ty) => {
            &<$set>::ALL.iter().map(|value| value.as_str()).collect::<Vec<_>>()
        };
    }

    #[test]
    fn every_word_is_told_by_the_schema() {
        assert_told(Kind::MessageStatus, "/properties/status", words_of!(Status));
        assert_told(Kind::MessageStatus, "/$defs/error/properties/category", words_of!(ErrorCategory));
        for kind in [Kind::MessageStatus, Kind::InboundMessage] {
            assert_told(kind, "/properties/channel", words_of!(Channel));
        }
        for kind in [Kind::CallEvent, Kind::CallRecord] {
            assert_told(kind, "/properties/direction", words_of!(Direction));
            assert_told(kind, "/properties/outcome", words_of!(CallOutcome));
        }
        assert_told(Kind::CallEvent, "/properties/event", words_of!(CallEventKind));
        assert_told(Kind::CallRecord, "/properties/record_scope", words_of!(RecordScope));
        assert_told(Kind::CallRecord, "/properties/state", words_of!(RecordState));
        assert_told(Kind::CallRecord, "/properties/answered_by", words_of!(AnsweredBy));
        assert_told(Kind::CallRecord, "/properties/hangup_by", words_of!(HangupBy));
    }
}
