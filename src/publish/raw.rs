//! Raw requests: what was authentic, exactly as it came, for those who keep evidence or map it anew.

use super::kept::KeptRequest;
use crate::event::envelope::Record;
use crate::event::kind::RAW_TOPIC;
use crate::verify::Verified;

/// Makes the raw record of a request. `raw_id` is what its events name in `ingest.raw_id`.
///
/// # Errors
/// Only if it could not be written as JSON, which its types do not allow.
pub fn of_verified(
    verified: &Verified<'_>,
    raw_id: &str,
    source_name: &str,
    provider: &'static str,
) -> Result<Record, serde_json::Error> {
    let mut raw = KeptRequest::new("raw", verified.request(), None, source_name, provider);
    raw.raw_id = Some(raw_id);
    raw.proof = Some(verified.proof());
    raw.into_record(&RAW_TOPIC, raw_id)
}
