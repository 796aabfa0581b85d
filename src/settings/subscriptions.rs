//! How a source's webhooks at the provider are kept complete.

/// The webhooks of one source at its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionsOptions {
    /// Whether they are made right by schedule.
    pub keep: bool,
    /// Seconds from one time to the next.
    pub every_s: u32,
}
