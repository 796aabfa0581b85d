//! Whom the client believes.

use std::io::BufReader;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

/// Nobody trusts it: it is of these tests alone.
const CA: &[u8] = include_bytes!("ca.pem");
/// Of 127.0.0.1, by that authority.
const HOST: &[u8] = include_bytes!("host.pem");
/// Its key, which guards nothing.
const KEY: &[u8] = include_bytes!("host.key");

/// Answers one connection, if it comes about.
fn start() -> (SocketAddr, JoinHandle<bool>) {
    let chain = CertificateDer::pem_slice_iter(HOST).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        let connection = ServerConnection::new(config).unwrap();
        let mut stream = StreamOwned::new(connection, listener.accept().unwrap().0);
        let mut head = BufReader::new(&mut stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if io::BufRead::read_line(&mut head, &mut line).unwrap_or(0) == 0 {
                return false;
            }
        }
        stream.write_all(&ok()).is_ok()
    };
    (address, run(serve))
}

/// Asks under a name of the host. Whether the server was asked anything is told beside it.
async fn ask(host: &str, settings: &ClientSettings) -> (Result<Answer, Trouble>, bool) {
    let (address, server) = start();
    let base = Url::parse(&format!("https://{host}:{}", address.port())).unwrap();
    let api = TestApi { access: basic(), bases: vec![("api", base)] };
    let client = Client::new(settings).unwrap();
    let answer = client.exchange(&api, &Request::get("api", "rows", "/v1/rows"), &"Basic x".into(), None).await;
    (answer, over(server).await)
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_refused_with_what_helps() {
    let (answer, was_asked) = ask("127.0.0.1", &ClientSettings::default()).await;
    let Err(Trouble::Refused { word, mend }) = answer else { panic!("{answer:?}") };
    assert_eq!(word, "tls");
    assert!(mend.contains("outbound.ca_file") && !mend.contains("rows"), "{mend}");
    assert!(!was_asked, "it has seen no credentials");
}

#[tokio::test]
async fn more_authorities_can_be_trusted() {
    let settings = ClientSettings { ca_pem: Some(CA.to_vec()), ..ClientSettings::default() };
    let (answer, was_asked) = ask("127.0.0.1", &settings).await;
    assert_eq!((answer.unwrap().body, was_asked), (b"[1]".to_vec(), true));
}

#[tokio::test]
async fn a_trusted_certificate_of_another_host_is_refused() {
    let settings = ClientSettings { ca_pem: Some(CA.to_vec()), ..ClientSettings::default() };
    let (answer, was_asked) = ask("localhost", &settings).await;
    assert_eq!((answer.unwrap_err().word(), was_asked), ("tls", false));
}

#[tokio::test]
async fn a_host_that_speaks_no_tls_is_out_of_reach_and_may_be_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = Url::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
    let server = run(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.write_all(&answer(400, "", b"plain")).unwrap();
        while stream.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
    });
    let api = TestApi { access: basic(), bases: vec![("api", base)] };
    let client = Client::new(&ClientSettings::default()).unwrap();
    let trouble = client.exchange(&api, &Request::get("api", "rows", "/v1/rows"), &"Basic x".into(), None).await;
    assert_eq!(trouble.unwrap_err(), Trouble::Failed { word: "unreachable", was_sent: false });
    over(server).await;
}

#[test]
fn what_is_no_certificate_is_told_without_repeating_it() {
    for pem in [&b""[..], b"hunter2", b"-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n", KEY] {
        let settings = ClientSettings { ca_pem: Some(pem.to_vec()), ..ClientSettings::default() };
        let error = Client::new(&settings).unwrap_err();
        assert!(matches!(error, ClientError::NoCertificate), "{error:?}");
    }
}
