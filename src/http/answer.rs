//! The one mapping from what became of a request to what its sender is told.
//!
//! Bodies are fixed texts (of refusals, RFC 9457 problem details): nothing of a request or an internal error is ever
//! repeated to the sender.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};

use crate::provider::Reply;
use crate::request::Method;

/// Providers repeat a webhook by schedules of their own; those that obey this come back soon.
const RETRY_AFTER_S: &str = "5";

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 200, with what the provider wants to read, if anything.
    Ok(Option<Reply>),
    /// 401, the same whatever the cause.
    Unauthorized,
    /// 404.
    NotFound,
    /// 405 with the methods that are allowed.
    MethodNotAllowed(&'static [Method]),
    /// 408; the connection is closed, since the rest of the request is still to come.
    RequestTimeout,
    /// 413; the connection is closed.
    ContentTooLarge,
    /// 400 for a body that ended before it was complete, or is no valid HTTP. Mostly nobody is there to see it.
    Incomplete,
    /// 503.
    Unavailable,
}

impl Answer {
    /// The response.
    pub fn into_response(self) -> HttpResponse {
        let mut response = match self {
            Self::Ok(None) => return HttpResponse::Ok().finish(),
            Self::Ok(Some(reply)) => return HttpResponse::Ok().content_type(reply.content_type).body(reply.body),
            Self::Unauthorized => {
                problem(StatusCode::UNAUTHORIZED, "Unauthorized", "The webhook could not be authenticated.")
            }
            Self::NotFound => problem(StatusCode::NOT_FOUND, "Not Found", "There is no such webhook."),
            Self::MethodNotAllowed(_) => {
                problem(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", "The webhook does not take this method.")
            }
            Self::RequestTimeout => {
                problem(StatusCode::REQUEST_TIMEOUT, "Request Timeout", "The request did not arrive in time.")
            }
            Self::ContentTooLarge => problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                "Content Too Large",
                "The body is larger than the webhook takes.",
            ),
            Self::Incomplete => {
                problem(StatusCode::BAD_REQUEST, "Bad Request", "The body ended before it was complete.")
            }
            Self::Unavailable => problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "Service Unavailable",
                "The webhook can not be stored now; send it again.",
            ),
        };
        self.add_headers(&mut response);
        response.finish_with_body()
    }

    fn add_headers(self, response: &mut Problem) {
        let builder = &mut response.builder;
        match self {
            Self::Unauthorized => drop(builder.insert_header((WWW_AUTHENTICATE, "Webhook"))),
            Self::MethodNotAllowed(methods) => {
                let names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
                builder.insert_header((ALLOW, names.join(", ")));
            }
            Self::RequestTimeout | Self::ContentTooLarge | Self::Incomplete => {
                builder.insert_header((CONNECTION, "close")).force_close();
            }
            Self::Unavailable => drop(builder.insert_header((RETRY_AFTER, RETRY_AFTER_S))),
            Self::Ok(_) | Self::NotFound => {}
        }
    }
}

struct Problem {
    builder: actix_web::HttpResponseBuilder,
    body: String,
}

impl Problem {
    fn finish_with_body(mut self) -> HttpResponse {
        self.builder.content_type("application/problem+json").insert_header((CACHE_CONTROL, "no-store")).body(self.body)
    }
}

fn problem(status: StatusCode, title: &str, detail: &str) -> Problem {
    let number = status.as_u16();
    let body = format!(r#"{{"type":"about:blank","title":"{title}","status":{number},"detail":"{detail}"}}"#);
    Problem { builder: HttpResponse::build(status), body }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::http::header::CONTENT_TYPE;

    use super::*;

    #[actix_web::test]
    async fn what_a_provider_wants_to_read_is_the_body_of_the_answer() {
        let reply = Reply { content_type: "application/json", body: "[]" };
        let response = Answer::Ok(Some(reply)).into_response();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), reply.content_type);
        assert_eq!(&to_bytes(response.into_body()).await.unwrap_or_default()[..], b"[]");
        assert!(to_bytes(Answer::Ok(None).into_response().into_body()).await.unwrap_or_default().is_empty());
    }
}
