//! Comparison with the providers' own lists: `[reconcile]`, and `[sources.reconcile]` as far as it does not hang on
//! what a provider offers.

use std::path::PathBuf;

use crate::config::{KafkaSettings, SpoolSettings};
use crate::section::Section;
use crate::settings::reconcile::{Ages, PublishMissing, ReconcileOptions, ReconcileSettings};

/// A key that can be guessed protects no token.
const LEAST_KEY_BYTES: usize = 16;

/// A week.
const GREATEST_AGE_S: i64 = 604_800;

/// As long as any provider keeps rows: 13 months.
const GREATEST_LOOKBACK_S: i64 = 34_214_400;

/// Further ages of a source.
const AGES_AT_MOST: usize = 8;

pub(super) fn reconcile(mut section: Section<'_>, kafka: &KafkaSettings, spool: &SpoolSettings) -> ReconcileSettings {
    section.heading("[reconcile]");
    let group = format!("{}reconcile", kafka.topic_prefix);
    let work_dir = spool.dir.join("work");
    let settings = ReconcileSettings {
        enabled: section.flag_or("enabled", true),
        group: section.text_or("group", &group),
        state_keys: state_keys(&mut section),
        max_memory_bytes: section.number_or("max_memory_bytes", 128 << 20, 16 << 20..=16 << 30),
        work_dir: PathBuf::from(section.text_or("work_dir", &work_dir.to_string_lossy())),
        max_work_bytes: section.number_or("max_work_bytes", 4 << 30, 64 << 20..=1 << 40),
    };
    section.finish();
    settings
}

fn state_keys(section: &mut Section<'_>) -> Vec<secrecy::SecretString> {
    let keys = section.secrets("state_keys");
    for key in keys.iter().filter(|key| key.len() < LEAST_KEY_BYTES) {
        let message = "is shorter than 16 bytes; make one with `openssl rand -hex 32`";
        section.problem("state_keys", format!("the secret from {} {message}", key.origin));
    }
    keys.into_iter().map(|key| key.value).collect()
}

/// `check` adds what hangs on the provider.
pub(super) fn source_reconcile(
    mut section: Section<'_>,
    check: impl FnOnce(&Section<'_>, &ReconcileOptions),
) -> ReconcileOptions {
    section.heading("[sources.reconcile]");
    let missing =
        [("all", PublishMissing::All), ("known_users", PublishMissing::KnownUsers), ("none", PublishMissing::None)];
    let options = ReconcileOptions {
        enabled: section.flag_or("enabled", true),
        products: products(&mut section),
        every_s: section.number("every_s", 10..=86_400),
        ages: ages(&mut section),
        lookback_s: section.number("lookback_s", 3600..=GREATEST_LOOKBACK_S),
        concurrency: section.number("concurrency", 1..=8),
        publish_missing: section.choice("publish_missing", &missing),
        audit_cells: section.number_or("audit_cells", 1, 0..=100),
    };
    check(&section, &options);
    section.finish();
    options
}

/// An empty list asks for nothing. It is something else than none, which asks for what most want.
fn products(section: &mut Section<'_>) -> Option<Vec<String>> {
    let products = section.list_if_present("products")?;
    for (index, product) in products.iter().enumerate() {
        if products[..index].iter().any(|other| other.eq_ignore_ascii_case(product)) {
            let product = section.shown("products", product);
            section.problem("products", format!("{product} is there twice, and would be asked for twice"));
        }
    }
    Some(products)
}

fn ages(section: &mut Section<'_>) -> Ages {
    let delay_s = section.number("delay_s", 0..=GREATEST_AGE_S);
    let again_s: Option<Vec<u32>> = section.numbers_if_present("again_s", 1..=GREATEST_LOOKBACK_S);
    let all: Vec<u32> = delay_s.into_iter().chain(again_s.iter().flatten().copied()).collect();
    if !all.is_sorted_by(|age_s, next_s| age_s < next_s) {
        let message = "has to ascend, each age being greater than the one before it and than delay_s";
        section.problem("again_s", message.to_owned());
    }
    if again_s.as_ref().is_some_and(|ages_s| ages_s.len() > AGES_AT_MOST) {
        section.problem("again_s", format!("has more than {AGES_AT_MOST} ages"));
    }
    Ages { delay_s, again_s }
}

#[cfg(test)]
mod tests;
