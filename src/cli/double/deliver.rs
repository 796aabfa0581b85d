//! Sends a double's webhooks when they are due.

use std::time::Duration;

use super::super::output;
use crate::http::double::Theatre;
use crate::provider::double::{Delivery, Recipient};
use crate::request::Method;

/// How often it is looked for webhooks that are due.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Providers wait about so long for an answer.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Delivers for ever, one after the other; without a recipient there is nothing to do. A webhook that is not taken is
/// told and not repeated: the double's log of the truth says then that it was refused.
///
/// # Errors
/// When there can be no HTTP client.
pub(super) async fn deliver(theatre: &Theatre, recipient: Option<Recipient>) -> anyhow::Result<()> {
    let Some(recipient) = recipient else { return std::future::pending().await };
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
    loop {
        while let Some(delivery) = theatre.due(&recipient) {
            let told = send(&client, &recipient.url, &delivery).await;
            theatre.delivered(delivery.id, told.is_ok());
            let (Ok(outcome) | Err(outcome)) = told;
            output::line(&format!("webhook of {} with {} facts: {outcome}", delivery.due_at, delivery.facts));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Sends one, and tells the status or what went wrong.
async fn send(client: &reqwest::Client, url: &str, delivery: &Delivery) -> Result<String, String> {
    let request = &delivery.request;
    let method = match request.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
    };
    let token = request.url_token.as_ref().map(|token| format!("/{token}")).unwrap_or_default();
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    let mut builder = client.request(method, format!("{url}{token}{query}")).body(request.body.clone());
    for (name, value) in &request.headers {
        builder = builder.header(*name, value);
    }
    // The error's own URL may end with a token.
    let response =
        builder.send().await.map_err(|error| format!("not taken: {:#}", anyhow::Error::from(error.without_url())))?;
    let status = response.status().to_string();
    if response.status().is_success() { Ok(status) } else { Err(status) }
}
