//! Lets a user do something, by a request of Kafka's protocol: the client library can not.

use std::io;

use super::probe::{Fields, exchange};

const API_CREATE_ACLS: i16 = 30;
const ANY_HOST: &str = "*";
const ALLOW: u8 = 3;

/// What something is allowed on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum On<'n> {
    /// Every topic whose name begins so.
    TopicsFrom(&'n str),
    /// One topic.
    Topic(&'n str),
}

impl On<'_> {
    /// Kind of resource, name, and whether the name is whole or a beginning, in Kafka's numbers.
    fn parts(&self) -> (u8, &str, u8) {
        const TOPIC: u8 = 2;
        const WHOLE: u8 = 3;
        const BEGINNING: u8 = 4;
        match self {
            Self::TopicsFrom(name) => (TOPIC, name, BEGINNING),
            Self::Topic(name) => (TOPIC, name, WHOLE),
        }
    }
}

/// What is allowed, in Kafka's numbers.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(crate) enum To {
    Write = 4,
    Create = 5,
    Describe = 8,
}

/// Asks on a listener whose clients may do everything.
pub(super) fn allow(port: u16, user: &str, to: To, on: On<'_>) -> io::Result<()> {
    let (kind, name, pattern) = on.parts();
    let mut body = 1_i32.to_be_bytes().to_vec();
    body.push(kind);
    push_text(&mut body, name)?;
    body.push(pattern);
    push_text(&mut body, &format!("User:{user}"))?;
    push_text(&mut body, ANY_HOST)?;
    body.extend([to as u8, ALLOW]);
    let answer = exchange(port, API_CREATE_ACLS, 1, &body)?;
    let mut fields = Fields(&answer);
    let (_throttle_ms, _count) = (fields.int32()?, fields.int32()?);
    match fields.int16()? {
        0 => Ok(()),
        code => Err(io::Error::other(format!("the broker answers with error code {code}"))),
    }
}

fn push_text(body: &mut Vec<u8>, text: &str) -> io::Result<()> {
    body.extend(i16::try_from(text.len()).map_err(io::Error::other)?.to_be_bytes());
    body.extend(text.as_bytes());
    Ok(())
}
