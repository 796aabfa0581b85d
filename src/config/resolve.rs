//! From the tables of the configuration to [`Settings`], a module for each of the larger sections.

use std::path::PathBuf;
use std::sync::Arc;

use toml::Table;

use super::{Settings, SpoolSettings};
use crate::event::privacy::{HashKey, NamePolicy, NumberPolicy, Privacy, TextPolicy};
use crate::section::Section;
use crate::section::report::Report;

mod compared;
mod kafka;
mod outbound;
mod reconcile;
mod recordings;
mod server;
mod sources;
mod subscriptions;

use compared::Comparisons;
use kafka::kafka;
use outbound::outbound;
use reconcile::reconcile;
use server::{admin, check_listeners, server};
use sources::sources;

const DAY_MS: i64 = 86_400_000;
const MAX_BODY: i64 = 1 << 30;

/// Resolves everything. What has a problem stands there with its default or not at all, and the report knows it.
pub(super) fn resolve(table: Table, report: &Report<'_>) -> Settings {
    let mut root = Section::root(table, report);
    let (server, max_body_bytes) = server(root.section("server"));
    let admin_listen = admin(root.section("admin"));
    let (kafka, ack_timeout_ms) = kafka(root.section("kafka"));
    let spool = spool(root.section("spool"));
    let reconcile = reconcile(root.section("reconcile"), &kafka, &spool);
    let outbound = outbound(root.section("outbound"));
    let dedup_window = dedup(root.section("dedup"));
    let privacy = privacy(root.section("privacy"), "[privacy]", &Privacy::default());
    let defaults =
        SourceDefaults { max_body_bytes, ack_timeout_ms, privacy, has_public_url: server.public_url.is_some() };
    let comparisons = Comparisons::new(!reconcile.state_keys.is_empty());
    let sources = sources(&mut root, &defaults, comparisons).into_iter().map(Arc::new).collect();
    check_listeners(&root, server.listen, admin_listen);
    root.finish();
    Settings { server, admin_listen, kafka, spool, reconcile, outbound, dedup_window, sources }
}

/// What sources have in common, unless they say otherwise.
struct SourceDefaults {
    max_body_bytes: Option<usize>,
    ack_timeout_ms: i64,
    privacy: Privacy,
    has_public_url: bool,
}

fn spool(mut section: Section<'_>) -> SpoolSettings {
    section.heading("[spool]");
    let dir = PathBuf::from(section.text_or("dir", "./data/spool"));
    let max_bytes = section.number_or("max_bytes", 1_073_741_824_u64, 1..=i64::MAX);
    section.finish();
    SpoolSettings { dir, max_bytes }
}

fn dedup(mut section: Section<'_>) -> usize {
    section.heading("[dedup]");
    let window = section.number_or("window", 100_000, 0..=100_000_000);
    section.finish();
    window
}

fn privacy(mut section: Section<'_>, heading: &str, inherited: &Privacy) -> Privacy {
    section.heading(heading);
    let texts = [("drop", TextPolicy::Drop), ("keep", TextPolicy::Keep), ("hash", TextPolicy::Hash)];
    let numbers = [
        ("keep", NumberPolicy::Keep),
        ("mask", NumberPolicy::Mask),
        ("hash", NumberPolicy::Hash),
        ("drop", NumberPolicy::Drop),
    ];
    let names = [("keep", NamePolicy::Keep), ("drop", NamePolicy::Drop)];
    let key = section.secret("hash_key");
    let privacy = Privacy {
        message_text: inheriting(&mut section, "message_text", &texts, inherited.message_text),
        numbers: inheriting(&mut section, "numbers", &numbers, inherited.numbers),
        names: inheriting(&mut section, "names", &names, inherited.names),
        hash_key: key.as_ref().and_then(|key| HashKey::new(&key.value)).or_else(|| inherited.hash_key.clone()),
        region: inherited.region,
    };
    let hashes = privacy.message_text == TextPolicy::Hash || privacy.numbers == NumberPolicy::Hash;
    if hashes && privacy.hash_key.is_none() {
        section.problem(
            "hash_key",
            "is missing, and \"hash\" needs it; write for instance \"env:TRUNKLINE_HASH_KEY\"".to_owned(),
        );
    }
    if key.is_some_and(|key| key.len() < 16) {
        section.problem("hash_key", "is shorter than 16 bytes; a short key can be found by trying".to_owned());
    }
    section.finish();
    privacy
}

/// A switch, or what it inherits. The inherited choice is put first, where the default is.
fn inheriting<T: Copy + PartialEq>(
    section: &mut Section<'_>,
    key: &'static str,
    choices: &[(&'static str, T)],
    inherited: T,
) -> T {
    let mut choices = choices.to_vec();
    choices.sort_by_key(|(_, value)| *value != inherited);
    section.choice_or_first(key, &choices)
}

#[cfg(test)]
mod tests;
