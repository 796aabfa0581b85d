//! Why Kafka is not reached, in words that help.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::connections::{CERTIFICATE, KEY};
use crate::harness::TestApp;
use crate::harness::program::Place;

/// What leads nowhere: servers, properties, and what is told of it.
struct Case {
    servers: String,
    properties: String,
    told: [&'static str; 2],
}

fn case(servers: impl Into<String>, properties: impl Into<String>, told: [&'static str; 2]) -> Case {
    Case { servers: servers.into(), properties: properties.into(), told }
}

/// What a listener of Kafka does to whoever speaks no TLS to it: it closes the connection.
fn deaf_listener() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // Whether anything was said before the end is all the same.
            drop(stream.read(&mut [0; 1024]));
            drop(stream.flush());
        }
    });
    address
}

fn configuration(place: &Place, case: &Case) -> String {
    let (servers, properties) = (&case.servers, &case.properties);
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[spool]\ndir = {:?}\n\
         [kafka]\nbootstrap_servers = \"{servers}\"\n[kafka.properties]\n{properties}\
         [[sources]]\nname = \"vonage-eu\"\nprovider = \"vonage\"\naccount_id = \"abcd1234\"\n\
         signature_secrets = [\"env:VONAGE_SECRET\"]\n",
        place.path("spool")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_brokers_from_being_reached_is_told_with_what_helps_and_once() {
    let files = Place::new();
    let (cert, key) = (files.file("tls.crt", CERTIFICATE), files.file("tls.key", KEY));
    let tls = format!("[server]\nlisten = \"0.0.0.0:0\"\n[server.tls]\ncert = {cert:?}\nkey = {key:?}");
    // Its webhook server stands for a broker that speaks TLS, and its broker for one that does not.
    let app = TestApp::start_with(&tls).await;
    let port = app.webhook_url("").trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    let ssl = "\"security.protocol\" = \"SSL\"\n";
    let ca = format!("{ssl}\"ssl.ca.location\" = {cert:?}\n");
    let cases = [
        // Each of the two says it of itself, in turn.
        case("127.0.0.1:1,127.0.0.1:2", "", ["failed: Connection refused", ""]),
        case("kafka.example.invalid:9092", "", ["Failed to resolve 'kafka.example.invalid:9092'", "is the name right"]),
        case(app.brokers(), ssl, ["connecting to a PLAINTEXT broker listener?", "security.protocol"]),
        case(deaf_listener(), "", ["connection closed by peer", "it wants TLS or SASL: see security.protocol"]),
        case(format!("127.0.0.1:{port}"), ssl, ["certificate verify failed", "ssl.ca.location"]),
        case(format!("127.0.0.2:{port}"), ca, ["certificate verify failed", "another name"]),
    ];
    // Each of them waits for seconds.
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| cases.iter().for_each(|case| drop(scope.spawn(|| assert_told(case)))));
    });
}

fn assert_told(case: &Case) {
    let place = Place::new();
    let file = place.file("trunkline.toml", &configuration(&place, case));
    let checked = place.run(&["check", "--online", "--config", file.to_str().unwrap()]);
    assert_eq!(checked.code, Some(1));
    assert_once(&checked.stderr, case);

    let mut running = place.start(&["serve", "--config", file.to_str().unwrap()]);
    let listening = running.stderr.until("listening").pop().unwrap();
    let told = running.stderr.until("Kafka is not ready").pop().unwrap();
    assert_once(&told, case);
    assert_once(&readyz(listening.rsplit("admin=").next().unwrap()), case);
    running.signal("TERM");
    running.wait();
    let rest = running.stderr.rest();
    assert!(!rest.contains(case.told[0]), "{rest}");
}

fn readyz(admin: &str) -> String {
    let mut stream = TcpStream::connect(admin.trim()).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn assert_once(text: &str, case: &Case) {
    for words in case.told {
        assert!(text.contains(words), "{words:?} is in {text}");
    }
    assert_eq!(text.matches(case.told[0]).count(), 1, "{text}");
    assert_eq!(text.matches("BrokerTransportFailure").count(), 0, "{text}");
}
