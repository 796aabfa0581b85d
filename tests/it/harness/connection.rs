//! HTTP written by hand, for what no well-behaved client does.
//!
//! Reading and writing block, which is harmless: the service runs on threads of its own.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::DEADLINE;
use super::answer::Answer;

/// A connection to the receiver. It is closed when it is dropped.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Received, and not yet part of an answer.
    received: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, received: Vec::new() }
    }

    /// A connection on which an answer must come within a time.
    pub(crate) fn open_within(address: SocketAddr, time: Duration) -> Self {
        let connection = Self::open(address);
        connection.stream.set_read_timeout(Some(time)).unwrap();
        connection
    }

    /// The same connection, to write on another thread.
    pub(crate) fn clone(&self) -> Self {
        Self { stream: self.stream.try_clone().unwrap(), received: Vec::new() }
    }

    /// Writes bytes. A receiver that has closed the connection already is no fault here: its answer is
    /// what counts.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        if let Err(error) = self.stream.write_all(bytes.as_ref()) {
            assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
        }
    }

    /// Writes bytes, and tells whether the receiver takes none any more.
    pub(crate) fn is_broken(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_err()
    }

    /// Writes a request and reads its answer.
    pub(crate) fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Answer {
        self.write(bytes);
        self.answer()
    }

    /// Writes a request of some method and reads its answer: that to HEAD has no body.
    pub(crate) fn ask_by(&mut self, method: &str, bytes: impl AsRef<[u8]>) -> Answer {
        self.write(bytes);
        self.answer_to(method)
    }

    /// Reads one answer. `100 Continue` is none.
    pub(crate) fn answer(&mut self) -> Answer {
        self.answer_to("POST")
    }

    fn answer_to(&mut self, method: &str) -> Answer {
        let (status, headers) = self.head();
        let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let length = if method == "HEAD" { 0 } else { length };
        while self.received.len() < length {
            assert!(self.receive() > 0, "the connection is not closed within an answer");
        }
        let body = self.received.drain(..length).collect();
        let answer = Answer { status, headers, body };
        answer.check_alone();
        answer
    }

    /// Reads an answer's status and headers; also that of an answer that is only `100 Continue`.
    pub(crate) fn head(&mut self) -> (u16, BTreeMap<String, String>) {
        let end = loop {
            if let Some(at) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.receive() > 0, "an answer comes before the connection is closed");
        };
        let head: Vec<u8> = self.received.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        (status, lines.map(header).collect())
    }

    /// Waits until the receiver closes the connection, and checks that it sends nothing more.
    pub(crate) fn assert_closed(&mut self) {
        assert!(self.received.is_empty(), "nothing follows: {:?}", String::from_utf8_lossy(&self.received));
        let count = self.receive();
        assert_eq!(count, 0, "nothing follows: {:?}", String::from_utf8_lossy(&self.received));
    }

    /// Whether the connection is closed, or an answer follows on it.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.received.is_empty() && self.receive() == 0
    }

    /// Tells the receiver that nothing more will be sent.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The number of bytes received; none if the connection is closed.
    fn receive(&mut self) -> usize {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(count) => {
                self.received.extend_from_slice(buffer.get(..count).unwrap());
                count
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("no answer in time: {error}"),
        }
    }
}
