//! What the tables `[manners]` of all doubles are read with.

use serde::{Deserialize, Deserializer};

/// A choice by its name in small letters, of which the first is the default.
macro_rules! choice {
    ($(#[$about:meta])* $name:ident { $(#[$first_about:meta])* $first:ident, $($(#[$other_about:meta])* $other:ident),* $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum $name {
            $(#[$first_about])*
            #[default]
            $first,
            $($(#[$other_about])* $other),*
        }
    };
}

pub(crate) use choice;

/// Reads a number that is at least 1.
pub(crate) fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let number = usize::deserialize(deserializer)?;
    if number > 0 { Ok(number) } else { Err(serde::de::Error::custom("it is at least 1")) }
}
