//! Asking a service that runs on while its configuration is being changed.

use crate::harness::program::Place;
use crate::harness::{TestApp, wait_until};

/// Configurations that would not start, each with the right address of the operators' server.
fn broken(app: &TestApp) -> Vec<String> {
    let admin = format!("[admin]\nlisten = \"{}\"\n", app.admin_url("").replace("http://", ""));
    vec![
        admin.clone(),
        format!("{admin}[kafka]\nacks = 1\n"),
        format!("{admin}[kafka\n"),
        format!("[server]\nlisten = everywhere\n{admin}"),
        format!("{admin}[[sources]]\nname = \"a\"\nprovider = \"vonnage\"\n"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_that_does_not_hold_makes_no_service_unhealthy() {
    let app = TestApp::start().await;
    let place = Place::new();
    for text in broken(&app) {
        place.file("trunkline.toml", &text);
        let healthy = place.run(&["healthcheck"]);
        assert_eq!(healthy.code, Some(0), "{text} {healthy:?}");
        assert!(healthy.stdout.contains("\"ready\""), "{healthy:?}");
        assert!(healthy.stderr.contains("the next start will fail: trunkline.toml"), "{healthy:?}");
        let spool = place.run(&["spool", "list"]);
        assert_eq!(spool.code, Some(0), "{text} {spool:?}");
    }
    app.broker.go_down().unwrap();
    app.wait_for_readiness(false).await;
    assert_eq!(place.run(&["healthcheck"]).code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_variable_counts_also_beside_a_broken_file() {
    let app = TestApp::start().await;
    let place = Place::new();
    place.file("trunkline.toml", "[admin]\nlisten = \"127.0.0.1:1\"\n[kafka");
    let address = app.admin_url("").replace("http://", "");
    wait_until("it is healthy", async || {
        place.run_with(("TRUNKLINE_ADMIN__LISTEN", &address), &["healthcheck"]).code == Some(0)
    })
    .await;
}

#[test]
fn what_is_wrong_with_the_file_is_told_where_nothing_answers() {
    let place = Place::new();
    place.file("trunkline.toml", "[admin]\nlisten = \"127.0.0.1:1\"\n[kafka");
    for command in [&["healthcheck"][..], &["spool", "list"]] {
        let nobody = place.run(command);
        assert_eq!(nobody.code, Some(1));
        for part in ["trunkline.toml:3: is no TOML", "http://127.0.0.1:1"] {
            assert!(nobody.stderr.contains(part), "{part} {nobody:?}");
        }
    }
}
