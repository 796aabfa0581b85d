//! What the pages say of the program.

use std::path::Path;

use trunkline::event::kind::KINDS;

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn how_ids_are_made_is_told_for_every_kind() {
    let page = page("schemas/README.md");
    for info in &KINDS {
        let row = format!("| `{}` | ", info.id_name);
        assert_eq!(page.matches(&row).count(), 1, "{row}");
    }
}

#[test]
fn the_schemas_tell_what_can_be_proven() {
    use trunkline::verify::Verification::{Api, None, Signed, SignedPartial, Token};
    for info in &KINDS {
        for proof in [Signed, SignedPartial, Token, None, Api] {
            let told = format!("{} (", proof.as_str());
            assert!(info.schema.contains(&told), "{}: {told}", info.schema_file);
        }
    }
    assert!(page("schemas/dead-letter/1.0.json").contains("Known words: signed, signed_partial, token, none, api."));
}

#[test]
fn the_page_of_every_provider_names_the_metric_of_refused_webhooks() {
    for info in trunkline::providers::PROVIDERS {
        assert!(page(info.documentation).contains("trunkline_unauthenticated_total"), "{}", info.name);
    }
}

#[test]
fn no_page_has_a_running_service_read_its_configuration() {
    for info in trunkline::providers::PROVIDERS {
        let words: Vec<String> = page(info.documentation).split_whitespace().map(str::to_owned).collect();
        assert!(!words.join(" ").contains("configuration again"), "{}", info.name);
    }
}
