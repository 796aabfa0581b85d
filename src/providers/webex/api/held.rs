//! What a comparison has to know of a record that lies in a topic.

use serde::Deserialize;

use crate::json::JsonText;

/// An event, as far as it matters here.
#[derive(Deserialize)]
pub(super) struct HeldEvent<'v> {
    /// When the record was made.
    #[serde(borrow, default)]
    pub(super) record_version: Option<JsonText<'v>>,
    #[serde(borrow, default)]
    user: Option<HeldUser<'v>>,
    #[serde(borrow, default)]
    ingest: Option<HeldIngest<'v>>,
    /// The event itself, where it lies in a CloudEvent.
    #[serde(borrow, default)]
    data: Option<Box<HeldEvent<'v>>>,
}

#[derive(Deserialize)]
struct HeldUser<'v> {
    #[serde(borrow, default)]
    id: Option<JsonText<'v>>,
}

#[derive(Deserialize)]
struct HeldIngest<'v> {
    #[serde(borrow, default)]
    verification: Option<JsonText<'v>>,
}

impl<'v> HeldEvent<'v> {
    /// Reads the value of a record in either layout.
    pub(super) fn read(value: &'v [u8]) -> Option<Self> {
        let mut event: Self = serde_json::from_slice(value).ok()?;
        Some(event.data.take().map_or(event, |data| *data))
    }

    /// The id of the user, unless the event was fetched from the API.
    pub(super) fn user_of_webhook(self) -> Option<String> {
        let is_of_api = self.ingest?.verification?.0 == "api";
        let id = self.user?.id?;
        (!is_of_api).then(|| id.0.into_owned())
    }
}
