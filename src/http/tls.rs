//! TLS ended by ourselves.

use std::io;
use std::path::Path;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::settings::TlsFiles;

/// All that is spoken.
const HTTP: &[u8] = b"http/1.1";

/// Reads the files. HTTP/1.1 is all that is offered: the streams and heads of HTTP/2 could not be bounded.
///
/// # Errors
/// When a file can not be read, holds no PEM, or the key does not belong to the certificate.
pub fn server_config(files: &TlsFiles) -> io::Result<ServerConfig> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&files.cert).and_then(Iterator::collect);
    let chain = chain.map_err(|error| unusable("server.tls.cert", &files.cert, &error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key);
    let key = key.map_err(|error| unusable("server.tls.key", &files.key, &error.to_string()))?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let mut config = config.map_err(|error| unusable("server.tls", &files.cert, &error.to_string()))?;
    config.alpn_protocols = vec![HTTP.to_vec()];
    Ok(config)
}

fn unusable(key: &str, path: &Path, error: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{key}: {} can not be used: {error}", path.display()))
}
