//! What the compiler does not check about the shape of the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Files below `src/` that contain a text, relative to it.
fn files_with(text: &str) -> Vec<String> {
    let source = root().join("src");
    let contains = |path: &PathBuf| std::fs::read_to_string(path).unwrap().contains(text);
    let relative = |path: PathBuf| path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
    sources(&source).into_iter().filter(contains).map(relative).collect()
}

#[test]
fn each_outside_world_has_one_owner() {
    for (text, owners) in [
        ("actix_web", &["http.rs", "http/"][..]),
        ("rdkafka::", &["publish/"]),
        (
            "reqwest::",
            &[
                "outbound/exchange.rs",
                "outbound/fetch.rs",
                "outbound/link.rs",
                "cli/double/",
                "cli/send.rs",
                "cli/healthcheck.rs",
                "cli/spool/",
            ],
        ),
        ("env::var", &["config.rs"]),
        ("Timestamp::now", &["event/time.rs"]),
        ("SystemTime", &[]),
        ("rusqlite", &["spool.rs", "spool/"]),
        (
            "std::fs::",
            &[
                "config/",
                "section/",
                "cli/",
                "spool/",
                "outbound/exchange.rs",
                "outbound/work.rs",
                "reconcile/rows.rs",
                "recordings/store.rs",
            ],
        ),
        ("process::exit", &["cli/"]),
        ("accept_again", &["verify.rs", "replay/"]),
        // Whoever starts a thread has to notice its end.
        ("thread::Builder", &["publish/vitals.rs", "publish/embedded.rs"]),
        ("thread::spawn", &["publish/waking/model.rs"]),
    ] {
        let others: Vec<String> = files_with(text)
            .into_iter()
            .filter(|file| !file.ends_with("tests.rs") && !owners.iter().any(|owner| file.starts_with(owner)))
            .collect();
        assert!(others.is_empty(), "{text} is used in {others:?}");
    }
}

/// Which modules each one may know: those below it. None of them is above itself.
const ARROWS: [(&str, &[&str]); 21] = [
    ("json", &[]),
    ("event", &["json"]),
    ("build", &["event"]),
    ("section", &[]),
    ("spool", &["event"]),
    ("request", &["event"]),
    ("verify", &["event", "request"]),
    ("telemetry", &["build", "event", "verify"]),
    ("provider", &["event", "json", "request", "section", "verify"]),
    ("providers", &["event", "json", "provider", "request", "section", "verify"]),
    ("outbound", &["build", "event", "provider", "telemetry"]),
    ("settings", &["event", "outbound", "provider", "section", "verify"]),
    ("subscriptions", &["outbound", "provider", "settings"]),
    ("recordings", &["event", "outbound", "provider", "settings"]),
    ("publish", &["event", "provider", "request", "section", "settings", "spool", "telemetry", "verify"]),
    ("ingest", &["event", "provider", "publish", "request", "settings", "telemetry", "verify"]),
    ("replay", &["event", "provider", "publish", "request", "settings", "telemetry", "verify"]),
    (
        "reconcile",
        &[
            "event",
            "outbound",
            "provider",
            "publish",
            "recordings",
            "request",
            "settings",
            "subscriptions",
            "telemetry",
            "verify",
        ],
    ),
    ("http", &["event", "ingest", "provider", "publish", "reconcile", "request", "settings", "spool", "telemetry"]),
    (
        "config",
        &["event", "outbound", "provider", "providers", "publish", "reconcile", "section", "settings", "verify"],
    ),
    ("app", &["event", "http", "ingest", "outbound", "publish", "reconcile", "settings", "telemetry"]),
];

/// The module of the crate that a file belongs to.
fn module_of(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

/// What a text names of the crate.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let ends = |character: char| !(character.is_ascii_alphanumeric() || character == '_');
    text.split("crate::").skip(1).map(move |rest| rest.split(ends).next().unwrap())
}

#[test]
fn modules_know_only_those_that_they_may_know() {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files_with("crate::").iter().filter(|file| !file.ends_with("tests.rs")) {
        let module = module_of(file);
        let text = without_tests(file);
        let others = named(&text).filter(|other| *other != module && ARROWS.iter().any(|(known, _)| known == other));
        found.entry(module.to_owned()).or_default().extend(others.map(ToOwned::to_owned));
    }
    for (place, (module, may_know)) in ARROWS.iter().enumerate() {
        let known: Vec<&str> = found.get(*module).into_iter().flatten().map(String::as_str).collect();
        assert_eq!(known, *may_know, "{module}");
        let is_below = |other: &&str| ARROWS[..place].iter().any(|(earlier, _)| earlier == other);
        assert!(may_know.iter().all(is_below), "{module} knows one that is above it");
    }
    // The command line knows everything, and nobody knows it.
    let modules: BTreeSet<&str> = ARROWS.iter().map(|(module, _)| *module).chain(["cli", "lib", "main"]).collect();
    let all = files_with("");
    assert_eq!(all.iter().map(|file| module_of(file)).collect::<BTreeSet<_>>(), modules);
}

/// What an event passes through, from what knows nothing to what knows all of them.
const PUBLISHING: [&str; 12] = [
    "waking",
    "dedup",
    "memory",
    "lane",
    "parcel",
    "cause",
    "client",
    "deliveries",
    "producer",
    "ledger",
    "locked_lane",
    "lanes_by_topic",
];

#[test]
fn the_modules_of_publishing_know_only_those_before_them() {
    for (place, module) in PUBLISHING.iter().enumerate() {
        for later in &PUBLISHING[place + 1..] {
            for text in [format!("super::{later}::"), format!("publish::{later}::"), format!("super::{later};")] {
                let knowing: Vec<String> = files_with(&text)
                    .into_iter()
                    .filter(|file| {
                        let inside = file.strip_prefix("publish/").and_then(|file| file.strip_prefix(module));
                        inside.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
                    })
                    .collect();
                assert!(knowing.is_empty(), "{module} knows {later}: {knowing:?}");
            }
        }
    }
}

/// What depends on its arguments alone.
const PURE: [&str; 14] = [
    "event",
    "verify",
    "providers",
    "json",
    "request",
    "reconcile/compare",
    "reconcile/cursor",
    "reconcile/ownership",
    "reconcile/schedule",
    "reconcile/service/settled",
    "reconcile/sought",
    "reconcile/table",
    "reconcile/tally",
    "reconcile/window",
];

#[test]
fn the_pure_core_reads_no_clock_and_waits_for_nothing() {
    for text in ["Time::now", "Instant::now", "tokio::", ".await"] {
        let impure: Vec<String> =
            files_with(text).into_iter().filter(|file| PURE.iter().any(|pure| file.starts_with(pure))).collect();
        assert!(impure.is_empty(), "{text} is used in {impure:?}");
    }
}

#[test]
fn provider_names_are_written_only_in_their_own_folder() {
    for info in trunkline::providers::PROVIDERS {
        let quoted = format!("\"{}\"", info.name);
        let elsewhere: Vec<String> = files_with(&quoted)
            .into_iter()
            .filter(|file| !file.starts_with(&format!("providers/{}", info.name)))
            .filter(|file| without_tests(file).contains(&quoted))
            .collect();
        assert!(elsewhere.is_empty(), "{quoted} is written in {elsewhere:?}");
    }
}

fn without_tests(file: &str) -> String {
    let text = std::fs::read_to_string(root().join("src").join(file)).unwrap();
    match file.ends_with("tests.rs") {
        true => String::new(),
        false => text.split("#[cfg(test)]").next().unwrap_or_default().to_owned(),
    }
}

/// What stands between two texts in a file of the repository.
fn between(file: &str, before: &str, after: &str) -> String {
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    let rest = text.split_once(before).unwrap_or_else(|| panic!("{before:?} is not in {file}")).1;
    rest.split_once(after).unwrap().0.to_owned()
}

#[test]
fn what_is_built_and_run_by_docker_is_what_is_tested() {
    let rust = between("rust-toolchain.toml", "channel = \"", "\"");
    assert_eq!(between("Dockerfile", "ARG RUST_VERSION=", "\n"), rust);
    let kafka = between("tests/broker/pom.xml", "<kafka.version>", "</kafka.version>");
    assert_eq!(between("docker-compose.yml", "image: apache/kafka:", "\n"), kafka);
    let client = between("examples/consumers/java/pom.xml", "<artifactId>kafka-clients</artifactId>", "</version>");
    assert_eq!(client.trim(), format!("<version>{kafka}"));
}

#[test]
fn the_configuration_that_compose_runs_with_loads() {
    let path = root().join("deploy/compose/trunkline.toml");
    let secrets = ["VONAGE_SECRET", "WEBEX_SECRET", "TELPHIN_URL_TOKEN"]
        .map(|name| (name.to_owned(), between("docker-compose.yml", &format!("${{{name}:-"), "}")));
    let loaded = trunkline::config::load(Some(&path), &secrets.into()).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let providers: Vec<&str> = loaded.settings.sources.iter().map(|source| source.info.name).collect();
    assert!(trunkline::providers::PROVIDERS.iter().all(|info| providers.contains(&info.name)), "{providers:?}");
}

#[test]
fn no_open_ends_are_left_in_the_sources() {
    for mark in ["TODO", "FIXME", "XXX"] {
        assert_eq!(files_with(mark), Vec::<String>::new());
    }
}

#[test]
fn the_example_configuration_loads_and_names_every_key() {
    let path = root().join("config/example.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let variables = text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| {
        line.split("env:").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
    });
    let environment = variables.map(|name| (name, "an-invented-secret".to_owned())).collect();
    let loaded = trunkline::config::load(Some(&path), &environment).unwrap_or_else(|problems| panic!("{problems}"));
    for line in loaded.redacted.lines().filter_map(|line| line.split_once(" = ")) {
        assert!(text.contains(line.0), "{} is not in config/example.toml", line.0);
    }
}
