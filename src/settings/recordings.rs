//! Where recordings of calls are copied to.

use secrecy::SecretString;
use url::Url;

/// The copies of one source's recordings.
#[derive(Debug)]
pub struct RecordingsOptions {
    /// `file:///folder`, or `s3://bucket/prefix`.
    pub copy_to: Url,
    /// How long after the end of a call its recording is copied, in seconds.
    pub delay_s: u32,
    /// How a store that speaks as S3 does is reached.
    pub s3: S3Options,
}

/// A store that speaks as S3 does. What is left out is Amazon's own.
#[derive(Debug, Default)]
pub struct S3Options {
    /// The region.
    pub region: Option<String>,
    /// The URL of another store than Amazon's.
    pub endpoint: Option<Url>,
    /// Name of the key.
    pub access_key_id: Option<String>,
    /// The key.
    pub secret_access_key: Option<SecretString>,
}
