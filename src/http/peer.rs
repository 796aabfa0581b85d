//! Who sent a request: the peer, or whom a trusted proxy reports.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// The sender's address. `X-Forwarded-For` is read from its end, and only as far as trusted proxies
/// wrote it: the part before that is whatever the sender wants it to be.
pub fn remote_addr<'h>(
    peer: Option<IpAddr>,
    forwarded_for: impl DoubleEndedIterator<Item = &'h [u8]>,
    trusted: &[IpNet],
) -> Option<IpAddr> {
    let peer = peer?.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    if !is_trusted(&peer) {
        return Some(peer);
    }
    let mut nearest = peer;
    for value in forwarded_for.rev() {
        for hop in String::from_utf8_lossy(value).rsplit(',') {
            let Some(address) = parse_hop(hop.trim()) else { return Some(nearest) };
            nearest = address.to_canonical();
            if !is_trusted(&nearest) {
                return Some(nearest);
            }
        }
    }
    Some(nearest)
}

/// An address, with or without a port.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let headers = forwarded.iter().map(|value| value.as_bytes());
        remote_addr(Some(peer.parse().unwrap()), headers, &trusted).unwrap().to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(sender("198.51.100.9", &["203.0.113.7"]), "198.51.100.9");
        assert_eq!(sender("10.0.0.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(sender("::ffff:10.0.0.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(sender("10.0.0.1", &["1.2.3.4, 203.0.113.7, 10.0.0.2"]), "203.0.113.7");
        assert_eq!(sender("10.0.0.1", &["203.0.113.7", "10.0.0.3"]), "203.0.113.7");
        assert_eq!(sender("10.0.0.1", &["1.2.3.4, nonsense"]), "10.0.0.1");
        assert_eq!(sender("10.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(sender("10.0.0.1", &[]), "10.0.0.1");
    }
}
