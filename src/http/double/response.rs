//! Sends what a double answers, also as no server should: cut off, or not at all.

use std::io;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::stream::{self, StreamExt as _};

use super::connection::Connection;
use crate::provider::double::Response;

/// What is sent of an answer that is cut off gets so much time to leave.
const LINGER: Duration = Duration::from_millis(100);

/// Makes the response. The time for which it is kept back is over.
pub(super) fn send(response: Response, connection: Option<&Connection>) -> HttpResponse {
    if response.close {
        connection.into_iter().for_each(Connection::close);
    }
    let mut builder =
        HttpResponse::build(StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    for (name, value) in response.headers {
        builder.insert_header((name, value));
    }
    let body = Bytes::from(response.body);
    match response.cut_bytes.filter(|cut_bytes| *cut_bytes < body.len()) {
        Some(cut_bytes) => cut(&mut builder, &body, cut_bytes),
        None => builder.body(body),
    }
}

/// Promises the whole body, sends the beginning, and fails.
fn cut(builder: &mut HttpResponseBuilder, body: &Bytes, cut_bytes: usize) -> HttpResponse {
    let beginning = stream::iter([Ok(body.slice(..cut_bytes))]);
    let failure = stream::once(async {
        tokio::time::sleep(LINGER).await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    builder.body(SizedStream::new(body.len() as u64, beginning.chain(failure).boxed_local()))
}
