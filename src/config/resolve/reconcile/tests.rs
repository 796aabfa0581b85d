use super::*;
use crate::config::tests::{load_with, problems};

/// A source with an API that can be asked.
const SOURCE: &str = r#"
[[sources]]
name = "vonage-eu"
provider = "vonage"
account_id = "abcd1234"
api_secret = "env:VONAGE_SECRET"
signature_secrets = ["env:VONAGE_SECRET"]
"#;

fn options(keys: &str) -> ReconcileOptions {
    let loaded = load_with(&format!("{SOURCE}[sources.reconcile]\n{keys}"), &[]).unwrap();
    loaded.settings.sources.into_iter().find_map(|source| source.reconcile.clone()).unwrap()
}

fn refused(keys: &str) -> Vec<String> {
    problems(&format!("{SOURCE}[sources.reconcile]\n{keys}"))
}

#[test]
fn defaults_follow_from_the_topics_and_the_spool() {
    let settings = load_with(SOURCE, &[]).unwrap().settings;
    let reconcile = settings.reconcile;
    assert!(reconcile.enabled && reconcile.state_keys.is_empty() && settings.sources[0].reconcile.is_none());
    assert_eq!((reconcile.group.as_str(), reconcile.max_memory_bytes), ("telecom.reconcile", 134_217_728));
    assert_eq!((reconcile.work_dir, reconcile.max_work_bytes), (PathBuf::from("./data/spool/work"), 4_294_967_296));
    let elsewhere = format!("[kafka]\ntopic_prefix = \"t.\"\n[spool]\ndir = \"/var/lib/t\"\n{SOURCE}");
    let reconcile = load_with(&elsewhere, &[]).unwrap().settings.reconcile;
    assert_eq!((reconcile.group.as_str(), reconcile.work_dir), ("t.reconcile", PathBuf::from("/var/lib/t/work")));
}

#[test]
fn keys_of_the_state_are_long_and_never_shown() {
    let keys = |list: &str| format!("[reconcile]\nstate_keys = [{list}]\n{SOURCE}");
    let loaded = load_with(&keys("\"env:URL_TOKEN\", \"env:OLD_SECRET\""), &[]).unwrap();
    assert_eq!(loaded.settings.reconcile.state_keys.len(), 2);
    assert!(!loaded.redacted.contains("hunter2") && !format!("{:?}", loaded.settings).contains("hunter2"));
    let short = load_with(&keys("\"env:SHORT\""), &[("SHORT", "fifteen-bytes!!")]).unwrap_err().to_string();
    assert!(short.contains("reconcile.state_keys: the secret from env:SHORT is shorter than 16 bytes"), "{short}");
}

#[test]
fn what_a_source_leaves_out_is_the_providers_to_decide() {
    let expected = ReconcileOptions {
        enabled: true,
        products: None,
        every_s: None,
        ages: Ages::default(),
        lookback_s: None,
        concurrency: None,
        publish_missing: None,
        audit_cells: 1,
    };
    assert_eq!(options(""), expected);
    assert_eq!(options("products = []").products, Some(Vec::new()), "nothing is asked for");
}

#[test]
fn every_key_of_a_source_is_read() {
    let given = options(
        "enabled = false\nproducts = [\"SMS\", \"MESSAGES\"]\nevery_s = 60\ndelay_s = 0\nagain_s = [1, 345600]\n\
         lookback_s = 34214400\nconcurrency = 2\npublish_missing = \"none\"\naudit_cells = 0",
    );
    let expected = ReconcileOptions {
        enabled: false,
        products: Some(vec!["SMS".to_owned(), "MESSAGES".to_owned()]),
        every_s: Some(60),
        ages: Ages { delay_s: Some(0), again_s: Some(vec![1, 345_600]) },
        lookback_s: Some(34_214_400),
        concurrency: Some(2),
        publish_missing: Some(PublishMissing::None),
        audit_cells: 0,
    };
    assert_eq!(given, expected);
}

#[test]
fn lists_can_come_from_the_environment() {
    let text = format!("{SOURCE}[sources.reconcile]\n");
    let variables = [
        ("TRUNKLINE_SOURCES__0__RECONCILE__AGAIN_S", "43200, 144000"),
        ("TRUNKLINE_SOURCES__0__RECONCILE__PRODUCTS", "SMS"),
        ("TRUNKLINE_RECONCILE__ENABLED", "false"),
    ];
    let settings = load_with(&text, &variables).unwrap().settings;
    let options = settings.sources[0].reconcile.clone().unwrap();
    assert_eq!(options.ages.again_s, Some(vec![43_200, 144_000]));
    assert_eq!((options.products, settings.reconcile.enabled), (Some(vec!["SMS".to_owned()]), false));
    let wrong = load_with(&text, &[("TRUNKLINE_SOURCES__0__RECONCILE__AGAIN_S", "43200, soon")]).unwrap_err();
    assert!(wrong.to_string().starts_with("TRUNKLINE_SOURCES__0__RECONCILE__AGAIN_S: sources.0.reconcile.again_s"));
}

#[test]
fn every_problem_names_its_key() {
    for (keys, words) in [
        ("again_s = [2, 1]", "again_s: has to ascend"),
        ("again_s = [2, 2]", "again_s: has to ascend"),
        ("delay_s = 3600\nagain_s = [3600]", "again_s: has to ascend"),
        ("again_s = [1, 2, 3, 4, 5, 6, 7, 8, 9]", "again_s: has more than 8 ages"),
        ("again_s = [0]", "again_s: expected a list of whole numbers from 1 to 34214400"),
        ("again_s = [\"soon\"]", "again_s: expected a list of whole numbers"),
        ("again_s = 5", "again_s: expected a list"),
        ("products = [\"SMS\", \"sms\"]", "products: \"sms\" is there twice"),
        ("products = \"SMS\"", "products: expected a list"),
        ("every_s = 9", "every_s: expected a whole number from 10 to 86400"),
        ("delay_s = 604801", "delay_s: expected a whole number"),
        ("lookback_s = 3599", "lookback_s: expected a whole number"),
        ("concurrency = 9", "concurrency: expected a whole number from 1 to 8"),
        ("audit_cells = 101", "audit_cells: expected a whole number"),
        ("publish_missing = \"some\"", "publish_missing: expected \"all\""),
        ("overlap = 5", "overlap: unknown key; the keys here are: enabled, products, every_s"),
    ] {
        let told = refused(keys);
        let is_told = |problem: &String| problem.contains(&format!("sources.0.reconcile.{words}"));
        assert!(told.iter().any(is_told), "{keys}: {told:#?}");
    }
    for (keys, words) in [
        ("max_memory_bytes = 1", "reconcile.max_memory_bytes: expected a whole number from 16777216 to 17179869184"),
        ("max_work_bytes = 1", "reconcile.max_work_bytes: expected a whole number from 67108864 to 1099511627776"),
        ("group = \"\"", "reconcile.group: is empty"),
        ("colour = 1", "reconcile.colour: unknown key"),
    ] {
        let told = problems(&format!("[reconcile]\n{keys}\n{SOURCE}"));
        assert!(told.len() == 1 && told[0].contains(words), "{keys}: {told:#?}");
    }
}
