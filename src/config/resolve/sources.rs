//! The integrations: each `[[sources]]`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::compared::{Asking, Comparisons};
use super::reconcile::source_reconcile;
use super::recordings::source_recordings;
use super::server::networks;
use super::subscriptions::source_subscriptions;
use super::{DAY_MS, MAX_BODY, SourceDefaults, privacy};
use crate::config::{Secret, Source};
use crate::event::country;
use crate::event::privacy::{Privacy, TextPolicy};
use crate::provider::api::Api;
use crate::provider::{ProviderInfo, SourceOptions};
use crate::providers;
use crate::section::Section;
use crate::settings::Policy;
use crate::verify::{Doors, UrlTokens};

const DEFAULT_MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

pub(super) fn sources(root: &mut Section<'_>, defaults: &SourceDefaults, comparisons: Comparisons) -> Vec<Source> {
    let sections = root.sections("sources");
    if sections.is_empty() {
        let mend = "add a [[sources]] block (see `trunkline providers`) to ./trunkline.toml or the file that --config \
                    names; `trunkline dev` needs none";
        root.problem("sources", format!("there is none; {mend}"));
    }
    let mut known = Known { names: HashSet::new(), comparisons };
    let mut sources = Vec::new();
    for section in sections {
        sources.extend(source(section, defaults, &mut known));
    }
    sources
}

/// What is known of the sources before one.
struct Known {
    names: HashSet<String>,
    comparisons: Comparisons,
}

fn source(mut section: Section<'_>, defaults: &SourceDefaults, known: &mut Known) -> Option<Source> {
    section.heading("[[sources]]");
    let name = source_name(&mut section, &mut known.names);
    let info = source_provider(&mut section);
    let account_id = section.text("account_id");
    let locks = locks(&mut section);
    let options = SourceOptions {
        name: name.clone().unwrap_or_default(),
        account_id: account_id.clone(),
        signature_secrets: values(&locks.secrets),
        region: region(&mut section),
    };
    let doors = Doors {
        url_tokens: UrlTokens::new(&values(&locks.tokens), locks.secrets.len()),
        open: locks.open,
        allowed_ips: networks(&mut section, "allowed_ips"),
        account_id: account_id.clone(),
    };
    let max_body_bytes = section.number_or("max_body_bytes", default_max_body_bytes(info, defaults), 1..=MAX_BODY);
    let ack_timeout_ms = section.number_or("ack_timeout_ms", defaults.ack_timeout_ms, 1..=DAY_MS);
    let on_kafka_down =
        section.choice_or_first("on_kafka_down", &[("spool", Policy::Spool), ("strict", Policy::Strict)]);
    let configured = info.map(|info| (info.configure)(&options, &mut section));
    let proves = configured.as_ref().map_or(!locks.secrets.is_empty(), |configured| configured.proves);
    check_doors(&section, info, proves, &locks, account_id.as_deref());
    let privacy = source_privacy(&mut section, defaults);
    let api = configured.as_ref().and_then(|configured| configured.api.as_deref());
    known.comparisons.check_tokens(&section, api);
    let asking = info.map(|info| Asking { name: name.as_deref().unwrap_or_default(), info, api });
    let reconcile = section.section_if_present("reconcile").map(|section| {
        source_reconcile(section, |section, options| {
            asking.iter().for_each(|asking| known.comparisons.check(section, asking, options));
        })
    });
    let has_recordings = configured.as_ref().and_then(|configured| configured.api.as_deref()?.recordings()).is_some();
    let recordings = section.section_if_present("recordings");
    let recordings = recordings.and_then(|section| source_recordings(section, has_recordings));
    let subscriptions = section.section_if_present("subscriptions");
    let subscriptions = subscriptions.map(|section| source_subscriptions(section, api, defaults.has_public_url));
    // The provider decides which other keys there are, so nothing is said of them where it is not known.
    info.inspect(|_| section.finish());
    let configured = configured?;
    Some(Source {
        name: name?,
        info: info?,
        signature_method: configured.signature_method,
        provider: configured.provider,
        api: configured.api.map(|api| with_texts(api, &privacy)),
        doors,
        account_id,
        signature_secret: locks.secrets.first().map(|secret| secret.value.clone()),
        secrets: locks.secrets.len() + locks.tokens.len(),
        url_token: locks.tokens.first().map(|secret| secret.value.clone()),
        privacy: Privacy { region: options.region, ..privacy },
        max_body_bytes,
        ack_timeout: Duration::from_millis(u64::try_from(ack_timeout_ms).unwrap_or_default()),
        on_kafka_down,
        reconcile,
        recordings,
        subscriptions,
    })
}

/// What is not published is not asked for either.
fn with_texts(mut api: Box<dyn Api>, privacy: &Privacy) -> Arc<dyn Api> {
    if privacy.message_text != TextPolicy::Drop {
        api.want_texts();
    }
    Arc::from(api)
}

/// What a source lets in by.
struct Locks {
    secrets: Vec<Secret>,
    tokens: Vec<Secret>,
    open: bool,
}

fn locks(section: &mut Section<'_>) -> Locks {
    let locks = Locks {
        secrets: section.secrets("signature_secrets"),
        tokens: section.secrets("url_tokens"),
        open: section.choice("verification", &[("none", ())]).is_some(),
    };
    check_secrets(section, &locks);
    locks
}

fn values(secrets: &[Secret]) -> Vec<SecretString> {
    secrets.iter().map(|secret| secret.value.clone()).collect()
}

/// A provider that needs more than others keeps that, unless its own source says otherwise.
fn default_max_body_bytes(info: Option<&ProviderInfo>, defaults: &SourceDefaults) -> usize {
    let larger = info.map(|info| info.max_body_bytes).filter(|bytes| *bytes > DEFAULT_MAX_BODY_BYTES);
    larger.or(defaults.max_body_bytes).unwrap_or(DEFAULT_MAX_BODY_BYTES)
}

fn source_privacy(section: &mut Section<'_>, defaults: &SourceDefaults) -> Privacy {
    let own = section.section_if_present("privacy");
    own.map_or_else(|| defaults.privacy.clone(), |section| privacy(section, "[sources.privacy]", &defaults.privacy))
}

fn source_name(section: &mut Section<'_>, names: &mut HashSet<String>) -> Option<String> {
    let Some(name) = section.text("name") else {
        section.problem("name", "is missing; it is part of the webhook's URL".to_owned());
        return None;
    };
    let legal = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if name.len() > 64 || !name.chars().all(legal) || name.starts_with('.') {
        section.problem(
            "name",
            "may have letters, digits, `.`, `_` and `-`, 64 at most, and not begin with `.`".to_owned(),
        );
        return None;
    }
    if !names.insert(name.clone()) {
        let name = section.shown("name", &name);
        section.problem("name", format!("{name} is the name of another source; each needs its own"));
        return None;
    }
    Some(name)
}

fn source_provider(section: &mut Section<'_>) -> Option<&'static ProviderInfo> {
    let known = || providers::PROVIDERS.iter().map(|info| info.name).collect::<Vec<_>>().join(", ");
    let Some(name) = section.text("provider") else {
        section.problem("provider", format!("is missing; the providers are: {}", known()));
        return None;
    };
    let info = providers::find(&name);
    if info.is_none() {
        let name = section.shown("provider", &name);
        section.problem("provider", format!("{name} is not known; the providers are: {}", known()));
    }
    info
}

/// A source that checks nothing has to say so.
fn check_doors(
    section: &Section<'_>,
    info: Option<&ProviderInfo>,
    proves: bool,
    locks: &Locks,
    account_id: Option<&str>,
) {
    let closed = proves || !locks.tokens.is_empty();
    if closed && locks.open {
        section.problem(
            "verification",
            "\"none\" contradicts signature_secrets and url_tokens; remove one or the other".to_owned(),
        );
    }
    if locks.open {
        section.warning("verification", "\"none\": everybody who knows the URL can publish events".to_owned());
    }
    let Some(info) = info else { return };
    let key = info.secret_key();
    let says_nothing = !section.has_problem(key) && !section.has_problem("verification");
    if !closed && !locks.open && says_nothing {
        let mend = format!("give it {key}, or write verification = \"none\" to accept everything from everybody");
        section.problem(key, format!("the source verifies nothing; {mend}"));
    }
    if !info.signs && !locks.secrets.is_empty() {
        section.problem("signature_secrets", format!("{} signs nothing; use url_tokens", info.title));
    }
    if info.signs && account_id.is_none() && (locks.open || !locks.tokens.is_empty()) {
        section.warning(
            "account_id",
            "is missing; unsigned requests name no account and are refused without it".to_owned(),
        );
    }
}

/// A short secret can be guessed. One that is there twice does nothing, and a rotation has been done by halves; one that
/// signs and stands in a URL too is known to whoever sees the URL.
fn check_secrets(section: &Section<'_>, locks: &Locks) {
    let of_secrets = locks.secrets.iter().map(|secret| ("signature_secrets", secret));
    let all: Vec<(&str, &Secret)> = of_secrets.chain(locks.tokens.iter().map(|token| ("url_tokens", token))).collect();
    for (index, (key, secret)) in all.iter().enumerate() {
        if secret.len() < 16 {
            section.warning(key, format!("the secret from {} is shorter than 16 bytes", secret.origin));
        }
        if let Some((_, other)) = all[..index].iter().find(|(_, other)| other.equals(secret)) {
            let message =
                format!("the secrets from {} and {} are equal; each needs its own value", other.origin, secret.origin);
            section.problem(key, message);
        }
    }
}

/// Capitals are what the standard writes, and no country is meant by anything else.
fn region(section: &mut Section<'_>) -> Option<country::Id> {
    let code = section.text("default_region")?;
    let region = code.to_uppercase().parse().ok().map(|country::Known(country)| country);
    if region.is_none() {
        let code = section.shown("default_region", &code);
        section.problem("default_region", format!("{code} is not an ISO 3166-1 code of two letters such as \"GB\""));
    }
    region
}

#[cfg(test)]
mod tests;
