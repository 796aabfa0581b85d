//! How what webhooks brought is compared with the providers' own lists.

use std::path::PathBuf;

use secrecy::SecretString;

/// What all comparisons of a process have in common.
#[derive(Debug)]
pub struct ReconcileSettings {
    /// Whether this process compares anything.
    pub enabled: bool,
    /// Consumer group whose members share the sources.
    pub group: String,
    /// Keys that seal tokens in the state topic: the first seals, all open.
    pub state_keys: Vec<SecretString>,
    /// Memory for rows, all comparisons together, in bytes.
    pub max_memory_bytes: usize,
    /// Where rows and files lie while they are compared.
    pub work_dir: PathBuf,
    /// What they may take there together, in bytes.
    pub max_work_bytes: u64,
}

/// How one source is compared. What is left out is as the provider's streams need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconcileOptions {
    /// Whether it is compared by schedule.
    pub enabled: bool,
    /// What is asked of the provider.
    pub products: Option<Vec<String>>,
    /// Seconds from one sweep to the next.
    pub every_s: Option<u32>,
    /// At which ages windows are read.
    pub ages: Ages,
    /// How far back the first sweep begins, in seconds.
    pub lookback_s: Option<u32>,
    /// Requests for rows at a time.
    pub concurrency: Option<u32>,
    /// What is done with rows that no webhook told.
    pub publish_missing: Option<PublishMissing>,
    /// Cells of a sweep whose rows are asked for although their numbers agree.
    pub audit_cells: u32,
}

/// Ages at which windows are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ages {
    /// Age of the first reading, in seconds.
    pub delay_s: Option<u32>,
    /// Ages of the further readings, in seconds, ascending.
    pub again_s: Option<Vec<u32>>,
}

/// What is done with rows that no webhook told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishMissing {
    /// They are published.
    All,
    /// Those of users of whom webhooks told are published.
    KnownUsers,
    /// They are told and not published.
    None,
}
