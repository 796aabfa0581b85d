//! The two servers: `[server]` and `[admin]`.

use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::MAX_BODY;
use crate::config::{DEFAULT_ADMIN_LISTEN, ServerSettings, TlsFiles};
use crate::section::Section;

pub(super) fn server(mut section: Section<'_>) -> (ServerSettings, Option<usize>) {
    section.heading("[server]");
    let settings = ServerSettings {
        listen: section.parsed_or(
            "listen",
            SocketAddr::from(([0, 0, 0, 0], 8080)),
            "an address and port such as 0.0.0.0:8080",
        ),
        public_url: section.text("public_url").map(|url| url.trim_end_matches('/').to_owned()),
        trusted_proxies: networks(&mut section, "trusted_proxies"),
        read_timeout: Duration::from_millis(section.number_or("read_timeout_ms", 10_000, 100..=600_000)),
        max_in_flight_bytes: section.number_or("max_in_flight_bytes", 256 << 20, 1..=1 << 40),
        max_connections: section.number_or("max_connections", 4096, 16..=1_000_000),
        workers: section.number_or("workers", 0, 0..=512),
        shutdown_timeout: Duration::from_millis(section.number_or("shutdown_timeout_ms", 15_000, 0..=600_000)),
        tls: None,
    };
    let max_body_bytes = section.number("max_body_bytes", 1..=MAX_BODY);
    let tls = section.section_if_present("tls").and_then(tls);
    section.finish();
    (ServerSettings { tls, ..settings }, max_body_bytes)
}

/// Two servers can not listen at one port, not even if one of them names an address and the other all of them.
pub(super) fn check_listeners(root: &Section<'_>, server: SocketAddr, admin: SocketAddr) {
    let overlap = server.ip() == admin.ip() || server.ip().is_unspecified() || admin.ip().is_unspecified();
    if overlap && server.port() == admin.port() && server.port() != 0 {
        let message = "is taken by server.listen; webhooks and operators need a port each".to_owned();
        root.problem("admin.listen", message);
    }
}

fn tls(mut section: Section<'_>) -> Option<TlsFiles> {
    section.heading("[server.tls]");
    let mut file = |key| {
        let path = section.text(key).map(PathBuf::from);
        if path.is_none() {
            section.problem(key, "is missing; TLS needs `cert` and `key`, both files in PEM".to_owned());
        }
        if let Some(error) = path.as_ref().and_then(|path| File::open(path).err()) {
            section.problem(key, format!("the file can not be read ({error})"));
        }
        path
    };
    let (cert, key) = (file("cert"), file("key"));
    section.finish();
    Some(TlsFiles { cert: cert?, key: key? })
}

/// Networks in CIDR notation; a bare address is a network of one.
pub(super) fn networks(section: &mut Section<'_>, key: &'static str) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for text in section.list(key) {
        match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
            Ok(network) => networks.push(network),
            Err(_) => section
                .problem(key, format!("{} is not a network such as \"203.0.113.0/24\"", section.shown(key, &text))),
        }
    }
    networks
}

pub(super) fn admin(mut section: Section<'_>) -> SocketAddr {
    section.heading("[admin]");
    let form = "an address and port such as 127.0.0.1:9100";
    let listen = section.parsed_or("listen", DEFAULT_ADMIN_LISTEN, form);
    section.finish();
    listen
}

#[cfg(test)]
mod tests;
