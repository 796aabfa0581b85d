//! Reading a body: every byte as it came, never more than allowed, never slower than allowed.

use std::io::{self, Write};
use std::time::Duration;

use actix_web::web::{Bytes, Payload};
use flate2::write::MultiGzDecoder;
use futures_util::{FutureExt as _, StreamExt as _};

use super::budget::{Busy, Reservation};
use super::pace::{Pace, TooSlow};

/// Why there is no body to work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// Larger than the source allows, as sent or after decompression.
    TooLarge,
    /// It came too slowly.
    TimedOut,
    /// It ended too early, or is no valid HTTP.
    Incomplete,
    /// Too many bytes of other requests are in memory.
    Busy,
}

impl From<Busy> for BodyError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl From<TooSlow> for BodyError {
    fn from(_: TooSlow) -> Self {
        Self::TimedOut
    }
}

/// How large a body may be, and how slow.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes, as sent and after decompression.
    pub bytes: usize,
    /// The time in which the sender must have brought something worth while.
    pub read_timeout: Duration,
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
    limits: Limits,
    reservation: &mut Reservation<'_>,
) -> Result<Body, BodyError> {
    if declared_bytes.is_some_and(|bytes| bytes > limits.bytes) {
        return Err(BodyError::TooLarge);
    }
    let most = declared_bytes.unwrap_or(limits.bytes);
    let raw = collect(payload, Limits { bytes: most, ..limits }, reservation).await?;
    if gzip { decompress(raw, limits.bytes, reservation) } else { Ok(Body { bytes: raw, undecodable: false }) }
}

/// More pieces of a body that nobody wants are not waited for.
const DROPPED_PIECES: usize = 16;

/// Drops what has come of a body that nobody wants, and tells whether that was all. A short one, which came
/// with its head, is gone then, and the connection can be used again; otherwise it is closed after the answer.
pub async fn drop_what_is_here(mut payload: Payload) -> bool {
    // The head is handed over before what has come behind it.
    tokio::task::yield_now().await;
    for _ in 0..DROPPED_PIECES {
        match payload.next().now_or_never() {
            Some(None) => return true,
            Some(Some(Ok(_))) => {}
            Some(Some(Err(_))) | None => return false,
        }
    }
    false
}

/// Most bodies come in one piece, which is then used without copying.
async fn collect(mut payload: Payload, limits: Limits, reservation: &mut Reservation<'_>) -> Result<Bytes, BodyError> {
    let mut pace = Pace::rate(limits.read_timeout);
    let Some(first) = next(&mut payload, &mut pace).await? else { return Ok(Bytes::new()) };
    let mut whole = Growing { bytes: Vec::new(), most: limits.bytes, reservation };
    whole.expect(first.len())?;
    whole.reservation.grow(first.len())?;
    let Some(mut chunk) = next(&mut payload, &mut pace).await? else { return Ok(first) };
    whole.push(&first)?;
    whole.reservation.shrink(first.len());
    drop(first);
    loop {
        // The piece itself is in memory beside its copy.
        whole.reservation.grow(chunk.len())?;
        whole.push(&chunk)?;
        whole.reservation.shrink(chunk.len());
        match next(&mut payload, &mut pace).await? {
            Some(next) => chunk = next,
            None => return Ok(whole.bytes.into()),
        }
    }
}

/// Waits for a piece for as long as the sender keeps its pace.
async fn next(payload: &mut Payload, pace: &mut Pace) -> Result<Option<Bytes>, BodyError> {
    loop {
        tokio::select! {
            biased;
            chunk = payload.next() => {
                let chunk = chunk.transpose().map_err(|_| BodyError::Incomplete)?;
                pace.came(chunk.as_ref().map_or(0, Bytes::len));
                return Ok(chunk);
            }
            () = tokio::time::sleep(pace.slice()) => pace.slice_over()?,
        }
    }
}

/// A body that grows. What it will hold is reserved before, and counted with what it holds while it is moved.
struct Growing<'g, 'b> {
    bytes: Vec<u8>,
    most: usize,
    reservation: &'g mut Reservation<'b>,
}

impl Growing<'_, '_> {
    /// A smaller piece of memory is not worth its moving.
    const LEAST: usize = 8 * 1024;

    fn push(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        let wanted = self.expect(bytes.len())?;
        if wanted > self.bytes.capacity() {
            self.make_room(wanted)?;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// How long it will be with more.
    fn expect(&self, more: usize) -> Result<usize, BodyError> {
        let wanted = self.bytes.len().saturating_add(more);
        if wanted > self.most { Err(BodyError::TooLarge) } else { Ok(wanted) }
    }

    fn make_room(&mut self, wanted: usize) -> Result<(), BodyError> {
        let before = self.bytes.capacity();
        let capacity = wanted.max(before.saturating_mul(2)).max(Self::LEAST).min(self.most);
        self.reservation.grow(capacity)?;
        self.bytes.reserve_exact(capacity - self.bytes.len());
        self.reservation.shrink(before);
        Ok(())
    }
}

/// Undoes gzip (RFC 1952), several members included, and stops at the limit however much is to come.
fn decompress(raw: Bytes, limit: usize, reservation: &mut Reservation<'_>) -> Result<Body, BodyError> {
    if raw.is_empty() {
        return Ok(Body { bytes: raw, undecodable: false });
    }
    let out = Growing { bytes: Vec::new(), most: limit, reservation };
    let mut decoder = MultiGzDecoder::new(Inflated { out, refused: None });
    let decoded = decoder.write_all(&raw).and_then(|()| decoder.try_finish());
    let inflated = decoder.get_mut();
    match (decoded, inflated.refused) {
        (_, Some(error)) => Err(error),
        (Ok(()), None) => {
            inflated.out.reservation.shrink(raw.len());
            Ok(Body { bytes: std::mem::take(&mut inflated.out.bytes).into(), undecodable: false })
        }
        (Err(_), None) => {
            inflated.out.reservation.shrink(inflated.out.bytes.capacity());
            Ok(Body { bytes: raw, undecodable: true })
        }
    }
}

struct Inflated<'g, 'b> {
    out: Growing<'g, 'b>,
    refused: Option<BodyError>,
}

impl Write for Inflated<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.out.push(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                self.refused = Some(error);
                Err(io::Error::other("there is no room"))
            }
        }
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
    use prometheus_client::metrics::gauge::Gauge;

    use super::super::budget::Budget;

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decompressed(raw: Vec<u8>, limit: usize) -> Result<Body, BodyError> {
        let budget = Budget::new(1 << 20, Gauge::default());
        decompress(raw.into(), limit, &mut budget.reserve(None))
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
    fn room_is_asked_for_before_it_is_used_also_while_inflating() {
        let budget = Budget::new(100_000, Gauge::default());
        let mut other = budget.reserve(Some([203, 0, 113, 1].into()));
        assert_eq!(other.grow(1000), Ok(()));
        let mut cut = gzipped(&vec![0; 10_000_000]);
        cut.truncate(cut.len() - 8);
        let answer = decompress(cut.into(), 10_000_000, &mut budget.reserve(None));
        assert_eq!(answer, Err(BodyError::Busy), "that it is no gzip would show at its end only");
    }

    #[test]
    fn what_is_moved_is_counted_twice_and_what_is_left_once() {
        let budget = Budget::new(1 << 20, Gauge::default());
        let mut reservation = budget.reserve(None);
        let mut growing = Growing { bytes: Vec::new(), most: 100_000, reservation: &mut reservation };
        for _ in 0..100 {
            growing.push(&[7; 1000]).unwrap();
            assert!(growing.reservation.bytes() >= growing.bytes.capacity());
        }
        assert_eq!(growing.push(b"x"), Err(BodyError::TooLarge));
        assert_eq!((growing.bytes.len(), growing.bytes.capacity()), (100_000, 100_000), "no more than there can be");
        assert_eq!(reservation.bytes(), 100_000);
        let full = Budget::new(20_000, Gauge::default());
        let (mut other, mut reservation) = (full.reserve(Some([203, 0, 113, 1].into())), full.reserve(None));
        assert_eq!(other.grow(1), Ok(()));
        let mut growing = Growing { bytes: Vec::new(), most: 100_000, reservation: &mut reservation };
        assert_eq!(growing.push(&[7; 6000]), Ok(()));
        assert_eq!(growing.push(&[7; 6000]), Err(BodyError::Busy), "it would fit, but not beside itself");
    }
}
