//! Parameters as they stand in a query or a form (URL Standard, `application/x-www-form-urlencoded`).

use std::borrow::Cow;
use std::ops::Range;

/// So many parameters are read at most, and one more, which shows that there are more.
pub const MAX_FIELDS: usize = 4096;

/// The parameters of one text, decoded. It borrows nothing, so that a request can keep its own.
#[derive(Debug)]
pub(super) struct Fields(Vec<(Piece, Piece)>);

/// A name or a value.
#[derive(Debug)]
enum Piece {
    /// It stands in the text as it is.
    Plain(Range<usize>),
    /// It had to be decoded.
    Decoded(String),
}

impl Fields {
    pub(super) fn read(text: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(text).take(MAX_FIELDS + 1);
        Self(pairs.map(|(name, value)| (Piece::of(name, text), Piece::of(value, text))).collect())
    }

    /// The parameters of the text that they were read from.
    pub(super) fn iter<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = (&'t str, &'t str)> {
        self.0.iter().map(|(name, value)| (name.text(text), value.text(text)))
    }
}

impl Piece {
    fn of(part: Cow<'_, str>, text: &[u8]) -> Self {
        match part {
            Cow::Borrowed(part) => match place(part.as_bytes(), text) {
                Some(place) => Self::Plain(place),
                None => Self::Decoded(part.to_owned()),
            },
            Cow::Owned(part) => Self::Decoded(part),
        }
    }

    fn text<'t>(&'t self, text: &'t [u8]) -> &'t str {
        match self {
            Self::Plain(place) => {
                text.get(place.clone()).and_then(|part| str::from_utf8(part).ok()).unwrap_or_default()
            }
            Self::Decoded(text) => text,
        }
    }
}

/// Where a part of a text stands in it.
fn place(part: &[u8], text: &[u8]) -> Option<Range<usize>> {
    let begin = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let place = begin..begin.checked_add(part.len())?;
    (text.get(place.clone()) == Some(part)).then_some(place)
}
