//! The program stopped and continued, short of descriptors, and crowded.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::harness::connection::Connection;
use crate::harness::program::{Place, Running};
use crate::harness::webhook::{Webhook, status};
use crate::harness::{DEADLINE, TestApp};

/// Longer than a sender may be silent.
const STOPPED: Duration = Duration::from_millis(1200);

/// A program of its own on the broker of a service, started by a line of a shell that ends with `exec`.
fn start(place: &Place, app: &TestApp, line: &str) -> (Running, SocketAddr, SocketAddr) {
    place.file(
        "trunkline.toml",
        &format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nread_timeout_ms = 500\nworkers = 1\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [kafka]\nbootstrap_servers = \"{}\"\ncreate_topics = false\nack_timeout_ms = 20000\n\
             [[sources]]\nname = \"vonage-eu\"\nprovider = \"vonage\"\naccount_id = \"abcd1234\"\n\
             signature_secrets = [\"env:VONAGE_SECRET\"]\n",
            app.brokers()
        ),
    );
    let program = env!("CARGO_BIN_EXE_trunkline");
    let running = place.start_line(&format!("{line} exec {program} serve --log-format json"));
    let told = running.stderr.until("\"listening\"").pop().unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let address = |name: &str| told["fields"][name].as_str().unwrap().parse().unwrap();
    let (webhooks, admin) = (address("webhooks"), address("admin"));
    let deadline = Instant::now() + DEADLINE;
    while Connection::open(webhooks).ask(Webhook::signed(&status()).to_http()).status != 200 {
        assert!(Instant::now() < deadline, "it is ready in time");
    }
    (running, webhooks, admin)
}

/// Stops the program for longer than a sender may be silent.
fn pause(running: &Running) {
    running.signal("STOP");
    let stopped = Instant::now();
    while stopped.elapsed() < STOPPED {
        std::thread::sleep(STOPPED.saturating_sub(stopped.elapsed()));
    }
    running.signal("CONT");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_in_which_the_program_did_not_run_counts_for_no_sender() {
    let app = TestApp::start().await;
    let place = Place::new();
    let (running, webhooks, _) = start(&place, &app, "");
    let webhook = Webhook::signed(&status()).to_http();
    let head_end = webhook.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    for (case, at) in [("in a head", 20), ("in a body", head_end + 20)] {
        let mut connection = Connection::open(webhooks);
        connection.write(&webhook[..at]);
        // An answer to another request tells that the first one's bytes have been read.
        assert_eq!(Connection::open(webhooks).ask(Webhook::signed(&status()).to_http()).status, 200);
        pause(&running);
        assert_eq!(connection.ask(&webhook[at..]).status, 200, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_never_keep_others_out() {
    let app = TestApp::start().await;
    let place = Place::new();
    let (_running, webhooks, admin) = start(&place, &app, "ulimit -n 256;");
    let mut idle = Vec::new();
    for _ in 0..400 {
        let mut connection = Connection::open(webhooks);
        connection.write(Webhook::signed(&status()).to_http());
        idle.push(connection);
    }
    let mut admin = Connection::open_within(admin, DEADLINE / 6);
    admin.write("GET /healthz HTTP/1.1\r\nhost: trunkline.test\r\n\r\n");
    assert_eq!(admin.head().0, 200, "operators have connections of their own");
    for _ in 0..20 {
        let mut connection = Connection::open_within(webhooks, DEADLINE / 6);
        assert_eq!(connection.ask(Webhook::signed(&status()).to_http()).status, 200);
        idle.push(connection);
    }
}
