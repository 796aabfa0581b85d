//! Reading a body: every byte as it came, never more than allowed, never longer than allowed.

use std::io::{self, Write};
use std::time::Duration;

use actix_web::web::{Bytes, BytesMut, Payload};
use flate2::write::MultiGzDecoder;
use futures_util::StreamExt as _;
use prometheus_client::metrics::gauge::Gauge;

/// Why there is no body to work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// Larger than the source allows, as sent or after decompression.
    TooLarge,
    /// It did not arrive in time.
    TimedOut,
    /// It ended too early, or is no valid HTTP.
    Incomplete,
    /// Too many bytes of other requests are in memory.
    Busy,
}

/// The bytes of bodies that may be in memory at the same time, over all requests.
#[derive(Debug)]
pub struct Budget {
    most: i64,
    /// What is taken, which operators see too.
    taken: Gauge,
}

impl Budget {
    /// A budget of this many bytes. The gauge is the budget's own from now on.
    pub fn new(most: usize, taken: Gauge) -> Self {
        Self { most: to_gauge(most), taken }
    }

    /// Starts with nothing taken.
    pub fn reserve(&self) -> Reservation<'_> {
        Reservation { budget: self, bytes: 0 }
    }
}

/// One request's part of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Reservation<'b> {
    budget: &'b Budget,
    bytes: i64,
}

impl Reservation<'_> {
    fn grow(&mut self, bytes: usize) -> Result<(), BodyError> {
        let bytes = to_gauge(bytes);
        let before = self.budget.taken.inc_by(bytes);
        // A lone request always has room, or a limit below one body would refuse it for ever.
        let alone = before == self.bytes;
        self.bytes += bytes;
        if before + bytes > self.budget.most && !alone { Err(BodyError::Busy) } else { Ok(()) }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.budget.taken.dec_by(self.bytes);
    }
}

fn to_gauge(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Body {
    /// The bytes, decompressed where they were compressed.
    pub bytes: Bytes,
    /// They claim to be compressed and are not: these are the bytes as they came.
    pub undecodable: bool,
}

/// Reads a body to its end.
///
/// # Errors
/// [`BodyError`]; the rest of the body is then not read.
pub async fn read(
    payload: Payload,
    declared_bytes: Option<usize>,
    gzip: bool,
    limit: usize,
    timeout: Duration,
    reservation: &mut Reservation<'_>,
) -> Result<Body, BodyError> {
    if declared_bytes.is_some_and(|bytes| bytes > limit) {
        return Err(BodyError::TooLarge);
    }
    let raw = tokio::time::timeout(timeout, collect(payload, limit, reservation)).await;
    let raw = raw.map_err(|_| BodyError::TimedOut)??;
    if gzip { decompress(raw, limit, reservation) } else { Ok(Body { bytes: raw, undecodable: false }) }
}

/// Most bodies come in one piece, which is then used without copying.
async fn collect(mut payload: Payload, limit: usize, reservation: &mut Reservation<'_>) -> Result<Bytes, BodyError> {
    let mut whole: Option<Bytes> = None;
    let mut parts = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| BodyError::Incomplete)?;
        let so_far = whole.as_ref().map_or(parts.len(), Bytes::len);
        if so_far + chunk.len() > limit {
            return Err(BodyError::TooLarge);
        }
        reservation.grow(chunk.len())?;
        if whole.is_none() && parts.is_empty() {
            whole = Some(chunk);
            continue;
        }
        if let Some(first) = whole.take() {
            parts.extend_from_slice(&first);
        }
        parts.extend_from_slice(&chunk);
    }
    Ok(whole.unwrap_or_else(|| parts.freeze()))
}

/// Undoes gzip (RFC 1952), several members included, and stops at the limit however much is to come.
fn decompress(raw: Bytes, limit: usize, reservation: &mut Reservation<'_>) -> Result<Body, BodyError> {
    if raw.is_empty() {
        return Ok(Body { bytes: raw, undecodable: false });
    }
    let mut decoder = MultiGzDecoder::new(Capped { out: Vec::new(), limit, exceeded: false });
    let decoded = decoder.write_all(&raw).and_then(|()| decoder.try_finish());
    let capped = decoder.get_ref();
    match decoded {
        _ if capped.exceeded => Err(BodyError::TooLarge),
        Ok(()) => {
            reservation.grow(capped.out.len())?;
            let out = std::mem::take(&mut decoder.get_mut().out);
            Ok(Body { bytes: out.into(), undecodable: false })
        }
        Err(_) => Ok(Body { bytes: raw, undecodable: true }),
    }
}

struct Capped {
    out: Vec<u8>,
    limit: usize,
    exceeded: bool,
}

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.out.len() + bytes.len() > self.limit {
            self.exceeded = true;
            return Err(io::Error::other("larger than the limit"));
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decompressed(raw: Vec<u8>, limit: usize) -> Result<Body, BodyError> {
        let budget = Budget::new(1 << 20, Gauge::default());
        decompress(raw.into(), limit, &mut budget.reserve())
    }

    #[test]
    fn gzip_is_undone_also_in_several_members() {
        let mut twice = gzipped(b"hello ");
        twice.extend(gzipped(b"world"));
        assert_eq!(decompressed(twice, 100).unwrap().bytes, "hello world");
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        assert_eq!(decompressed(gzipped(&vec![0; 10_000_000]), 1000), Err(BodyError::TooLarge));
    }

    #[test]
    fn what_is_no_gzip_or_is_cut_short_is_kept_as_it_came() {
        let whole = gzipped(b"hello world, hello world");
        for raw in [b"{}".to_vec(), whole[..whole.len() - 4].to_vec(), whole[..12].to_vec()] {
            let body = decompressed(raw.clone(), 100).unwrap();
            assert_eq!((body.undecodable, body.bytes.to_vec()), (true, raw));
        }
        assert_eq!(decompressed(Vec::new(), 100).unwrap(), Body { bytes: Bytes::new(), undecodable: false });
    }

    #[test]
    fn the_budget_is_shared_and_given_back() {
        let budget = Budget::new(100, Gauge::default());
        let mut first = budget.reserve();
        assert_eq!(first.grow(80), Ok(()));
        let mut second = budget.reserve();
        assert_eq!(second.grow(30), Err(BodyError::Busy));
        drop((first, second));
        assert_eq!(budget.reserve().grow(500), Ok(()), "a lone request always fits");
        assert_eq!(budget.taken.get(), 0);
    }
}
