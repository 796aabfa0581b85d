//! The double of a provider's API in this process, with a clock that tests turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use trunkline::event::time::Time;
use trunkline::http::Listening;
use trunkline::http::double::{Doors, Theatre, serve};
use trunkline::provider::double::stage::Stage;
use trunkline::provider::double::world::{Fates, HOUR_MS, World};
use trunkline::provider::double::{Bases, Entrance, Recipient};
use trunkline::providers;
use trunkline::request::Method;

/// A double that is served.
pub(crate) struct TestDouble {
    pub(crate) bases: Bases,
    pub(crate) entrance: Entrance,
    now_ms: Arc<AtomicI64>,
    client: reqwest::Client,
    theatre: Arc<Theatre>,
    server: Option<Listening>,
}

/// Three hours of traffic from 10 o'clock, of two customers.
pub(crate) fn world() -> World {
    let since = Time::parse_iso("2026-02-03T10:00:00Z").unwrap();
    World { seed: 1, since, facts_per_hour: 120, accounts: 2, fates: Fates::default() }
}

impl TestDouble {
    /// Starts the double of a provider, three hours after its world begins.
    pub(crate) fn start(provider: &str, world: World, script: &str) -> Self {
        let doors = Doors::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let bases = doors.bases();
        let double = (providers::find(provider).unwrap().double.unwrap().open)(world, bases.clone());
        let mut stage = Stage::new(double, world.seed);
        stage.play(script).unwrap();
        let entrance = stage.double().entrance();
        let now_ms = Arc::new(AtomicI64::new(world.since.unix_ms() + 3 * HOUR_MS));
        let turned = Arc::clone(&now_ms);
        let clock = move || Time::from_unix_ms(turned.load(Ordering::Relaxed)).unwrap();
        let theatre = Theatre::new(stage, Arc::new(clock));
        let server = serve(doors, &theatre).unwrap();
        Self { bases, entrance, now_ms, client: super::client(), theatre, server: Some(server) }
    }

    pub(crate) fn turn_clock(&self, seconds: i64) {
        self.now_ms.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    pub(crate) fn credential(&self, name: &str) -> &str {
        let found = self.entrance.credentials.iter().find(|(known, _)| *known == name);
        &found.unwrap().1
    }

    /// A request to the first door, with the credentials of a client.
    pub(crate) fn get(&self, target: &str) -> RequestBuilder {
        self.client.get(format!("{}{target}", self.bases.first)).bearer_auth(self.credential("access_token"))
    }

    /// A request to the second door, without credentials.
    pub(crate) fn get_second(&self, target: &str) -> RequestBuilder {
        self.client.get(format!("{}{target}", self.bases.second))
    }

    /// Another script from now on.
    pub(crate) async fn play(&self, script: &str) -> Response {
        let url = format!("{}/_double/script", self.bases.first);
        self.client.post(url).body(script.to_owned()).send().await.unwrap()
    }

    /// What the double was asked.
    pub(crate) async fn log(&self) -> Vec<Value> {
        let log = json(self.client.get(format!("{}/_double/log", self.bases.first)).send().await.unwrap()).await;
        log["requests"].as_array().unwrap().clone()
    }

    /// What really happened, by parameters `from` and `to`.
    pub(crate) async fn facts(&self, query: &str) -> Vec<Value> {
        let facts = self.client.get(format!("{}/_double/facts?{query}", self.bases.first)).send().await.unwrap();
        json(facts).await["facts"].as_array().unwrap().clone()
    }

    /// Delivers every webhook that is due by now, and tells how many were taken.
    pub(crate) async fn deliver(&self, url: &str, secret: &str) -> usize {
        let recipient = Recipient { url: url.to_owned(), secret: secret.into() };
        let mut taken = 0;
        while let Some(delivery) = self.theatre.due(&recipient) {
            let request = delivery.request;
            let token = request.url_token.map(|token| format!("/{token}")).unwrap_or_default();
            let method = if request.method == Method::Get { reqwest::Method::GET } else { reqwest::Method::POST };
            let mut builder = self.client.request(method, format!("{url}{token}?{}", request.query)).body(request.body);
            for (name, value) in &request.headers {
                builder = builder.header(*name, value);
            }
            let is_taken = builder.send().await.unwrap().status().is_success();
            self.theatre.delivered(delivery.id, is_taken);
            taken += usize::from(is_taken);
        }
        taken
    }

    pub(crate) async fn stop(&mut self) {
        self.server.take().unwrap().stop().await;
    }
}

/// The body of a response in JSON.
pub(crate) async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}
