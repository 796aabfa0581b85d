//! Serves the double of a provider's API, for `trunkline double` and for tests.
//!
//! Only on loopback: a double shows its credentials to whoever asks. What is below `/_double/` is no provider's:
//!
//! * `GET /_double/facts?from=&to=`: what really happened.
//! * `GET /_double/log`: what it was asked.
//! * `POST /_double/script`: another script from now on.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde::Deserialize;
use serde_json::json;

mod connection;
mod response;

use super::Listening;
use crate::event::time::Time;
use crate::provider::double::log::Log;
use crate::provider::double::script::ScriptError;
use crate::provider::double::stage::{Played, Stage};
use crate::provider::double::{Bases, Delivery, Door, Recipient, Request};
use connection::Connection;

/// Larger bodies than those of tokens, webhooks and scripts are no request to a double.
const MOST_BODY_BYTES: usize = 1024 * 1024;

/// Tells the time. A test may turn it.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// The two addresses of a double, bound.
#[derive(Debug)]
pub struct Doors {
    first: TcpListener,
    second: TcpListener,
    addresses: [SocketAddr; 2],
}

impl Doors {
    /// Binds an address and the next port; for the port 0, any two free ones.
    ///
    /// # Errors
    /// An address that is not on loopback, or is taken.
    pub fn bind(listen: SocketAddr) -> io::Result<Self> {
        if !listen.ip().is_loopback() {
            let told = format!("a double listens on loopback alone, such as 127.0.0.1, and {} is not", listen.ip());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, told));
        }
        let next = if listen.port() == 0 { 0 } else { listen.port().saturating_add(1) };
        let (first, second) = (super::bind(listen)?, super::bind(SocketAddr::new(listen.ip(), next))?);
        let addresses = [first.local_addr()?, second.local_addr()?];
        Ok(Self { first, second, addresses })
    }

    /// The URLs of the two.
    pub fn bases(&self) -> Bases {
        let [first, second] = self.addresses.map(|address| format!("http://{address}"));
        Bases { first, second }
    }
}

/// A double with its log and its clock, which its server and who sends its webhooks share.
pub struct Theatre {
    stage: Mutex<Stage>,
    log: Mutex<Log>,
    clock: Clock,
}

impl Theatre {
    /// What is told of the double by itself.
    pub fn new(stage: Stage, clock: Clock) -> Arc<Self> {
        Arc::new(Self { stage: Mutex::new(stage), log: Mutex::default(), clock })
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts another script in place.
    ///
    /// # Errors
    /// What is wrong with it, with its line.
    pub fn play(&self, script: &str) -> Result<(), ScriptError> {
        self.stage().play(script)
    }

    /// The oldest webhook that is due and was not given before.
    pub fn due(&self, recipient: &Recipient) -> Option<Delivery> {
        let now = (self.clock)();
        self.stage().double().due(recipient, now)
    }

    /// Tells what became of a webhook.
    pub fn delivered(&self, delivery_id: u64, taken: bool) {
        self.stage().double().delivered(delivery_id, taken);
    }

    fn answer(&self, request: &Request, number: u64) -> Played {
        let played = self.stage().answer(request, (self.clock)());
        self.log().answers(number, played.response.status, played.fault);
        played
    }
}

impl fmt::Debug for Theatre {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Theatre").finish_non_exhaustive()
    }
}

/// Starts to serve a double at its doors.
///
/// # Errors
/// When the listeners can not be used.
pub fn serve(doors: Doors, theatre: &Arc<Theatre>) -> io::Result<Listening> {
    let Doors { first, second, addresses } = doors;
    let state = web::Data::from(Arc::clone(theatre));
    let app = move || {
        App::new()
            .app_data(state.clone())
            .app_data(web::PayloadConfig::new(MOST_BODY_BYTES))
            .route("/_double/facts", web::get().to(facts))
            .route("/_double/log", web::get().to(log))
            .route("/_double/script", web::post().to(script))
            .default_service(web::to(receive))
    };
    let server = HttpServer::new(app)
        .on_connect(move |io, data| drop(Connection::of(io, addresses[1]).map(|connection| data.insert(connection))))
        .workers(2)
        .shutdown_timeout(1)
        .disable_signals();
    Ok(Listening::spawn(server.listen(first)?.listen(second)?.run(), addresses[0]))
}

/// Takes a request out of the count of those that are being answered, also if the server stops before it is answered.
struct InFlight<'t> {
    theatre: &'t Theatre,
    path: String,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.theatre.log().left(&self.path);
    }
}

async fn receive(http: HttpRequest, body: web::Bytes, theatre: web::Data<Theatre>) -> HttpResponse {
    let connection = http.conn_data::<Connection>();
    let mut request = request(&http, connection, &body);
    let peer = http.peer_addr().map(|peer| peer.to_string()).unwrap_or_default();
    let now = (theatre.clock)();
    let (number, others) = theatre.log().came(&request, peer, now);
    let in_flight = InFlight { theatre: &theatre, path: request.path.clone() };
    request.in_flight = others;
    let Played { response, .. } = theatre.answer(&request, number);
    tokio::time::sleep(Duration::from_millis(response.delay_ms)).await;
    // Whoever has the answer may ask again at once, and is not counted twice.
    drop(in_flight);
    response::send(response, connection)
}

fn request(http: &HttpRequest, connection: Option<&Connection>, body: &[u8]) -> Request {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = http.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())));
    Request {
        door: connection.map_or(Door::First, Connection::door),
        method: http.method().as_str().to_owned(),
        path: http.uri().path().to_owned(),
        query: http.query_string().to_owned(),
        headers: headers.collect(),
        body: body.to_vec(),
        in_flight: 0,
    }
}

/// Which facts are shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stretch {
    from: Option<Time>,
    to: Option<Time>,
}

async fn facts(theatre: web::Data<Theatre>, stretch: web::Query<Stretch>) -> HttpResponse {
    let to = stretch.to.unwrap_or_else(|| (theatre.clock)());
    let facts = theatre.stage().double().facts(stretch.from.unwrap_or(Time::EPOCH), to);
    HttpResponse::Ok().json(json!({"facts": facts}))
}

async fn log(theatre: web::Data<Theatre>) -> HttpResponse {
    HttpResponse::Ok().json(theatre.log().shown())
}

async fn script(theatre: web::Data<Theatre>, text: String) -> HttpResponse {
    match theatre.play(&text) {
        Ok(()) => HttpResponse::new(StatusCode::NO_CONTENT),
        Err(error) => HttpResponse::BadRequest().content_type("text/plain; charset=utf-8").body(format!("{error}\n")),
    }
}
