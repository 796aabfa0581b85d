//! Asks a broker whether it is there.
//!
//! Two requests of Kafka's protocol, written by hand: readiness must not be judged by the client
//! that is tested.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

const API_METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
const CORRELATION_ID: i32 = 1;

const TIMEOUT: Duration = Duration::from_secs(2);

/// Far above what a few brokers need, and small enough to allocate on the word of whoever listens
/// there.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Checks that a Kafka broker listens on the port. This request needs no authentication on any
/// listener.
pub(super) fn check_answers(port: u16) -> io::Result<()> {
    let answer = exchange(port, API_VERSIONS, 0, &[])?;
    match Fields(&answer).int16()? {
        0 => Ok(()),
        code => Err(io::Error::other(format!("the broker answers with error code {code}"))),
    }
}

/// The ids of the brokers which the broker on this port, a listener without security, believes to
/// be alive.
pub(super) fn live_brokers(port: u16) -> io::Result<Vec<i32>> {
    // No topics, and none created.
    let no_topics = [0, 0, 0, 0, 0];
    let answer = exchange(port, API_METADATA, 4, &no_topics)?;
    let mut fields = Fields(&answer);
    let _throttle_ms = fields.int32()?;
    let count = fields.int32()?;
    (0..count).map(|_| broker_id(&mut fields)).collect()
}

fn broker_id(fields: &mut Fields<'_>) -> io::Result<i32> {
    let id = fields.int32()?;
    fields.skip_string()?; // host
    fields.int32()?; // port
    fields.skip_string()?; // rack
    Ok(id)
}

pub(super) fn exchange(port: u16, api: i16, version: i16, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(&frame(api, version, body)?)?;
    read_answer(&mut stream)
}

fn frame(api: i16, version: i16, body: &[u8]) -> io::Result<Vec<u8>> {
    let no_client_id: i16 = -1;
    let mut request = Vec::new();
    request.extend(api.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(CORRELATION_ID.to_be_bytes());
    request.extend(no_client_id.to_be_bytes());
    request.extend(body);
    let size = i32::try_from(request.len()).map_err(io::Error::other)?;
    Ok([&size.to_be_bytes(), request.as_slice()].concat())
}

fn read_answer(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = usize::try_from(i32::from_be_bytes(size)).map_err(io::Error::other)?;
    if size > MAX_ANSWER_BYTES {
        return Err(io::Error::other("whoever listens there does not speak Kafka's protocol"));
    }
    let mut answer = vec![0; size];
    stream.read_exact(&mut answer)?;
    let mut fields = Fields(&answer);
    if fields.int32()? != CORRELATION_ID {
        return Err(io::Error::other("an answer to a request that was not sent"));
    }
    Ok(fields.0.to_vec())
}

/// What is left of an answer, read from the front.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> io::Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn int16(&mut self) -> io::Result<i16> {
        let bytes = self.take(2)?.try_into().map_err(io::Error::other)?;
        Ok(i16::from_be_bytes(bytes))
    }

    pub(super) fn int32(&mut self) -> io::Result<i32> {
        let bytes = self.take(4)?.try_into().map_err(io::Error::other)?;
        Ok(i32::from_be_bytes(bytes))
    }

    /// Skips a string; a negative length stands for none.
    fn skip_string(&mut self) -> io::Result<()> {
        let length = usize::try_from(self.int16()?).unwrap_or(0);
        self.take(length).map(drop)
    }
}
