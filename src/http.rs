//! The HTTP servers: of webhooks, of operators, and of doubles. actix-web is used here and nowhere else.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use actix_server::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use socket2::{Domain, Protocol, Socket, Type};

pub mod admin;
pub mod answer;
pub mod body;
pub mod budget;
pub mod connection;
mod descriptors;
pub mod double;
pub mod pace;
pub mod peer;
mod service;
pub mod tls;
pub mod webhook;

use connection::Crowd;

use crate::ingest::Ingest;
use crate::publish::waking;
use crate::settings::ServerSettings;

/// Idle connections are kept longer than most proxies keep theirs, so that it is never us who closes
/// one on which a webhook is just arriving.
pub const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Enough waiting connections for a burst after a restart.
pub const BACKLOG: u32 = 2048;

/// One in so many connections is kept free for those that come: whoever waits longest is closed for it.
const HEADROOM: usize = 8;

/// Operators are few, and their connections are no burden on the descriptors.
const ADMIN_CONNECTIONS: usize = 32;

/// A server that listens, and its task.
pub struct Listening {
    /// The address, with the port that was given.
    pub address: SocketAddr,
    handle: ServerHandle,
    task: tokio::task::JoinHandle<io::Result<()>>,
}

impl Listening {
    fn spawn(server: Server, address: SocketAddr) -> Self {
        Self { address, handle: server.handle(), task: tokio::spawn(server) }
    }

    /// Lets requests in flight finish, within the configured time, and ends.
    pub async fn stop(self) {
        self.handle.stop(true).await;
    }

    /// Waits until the server ends by itself, which it does not do while all is well.
    pub async fn ended(&mut self) -> io::Result<()> {
        (&mut self.task).await.map_err(io::Error::other)?
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Listening").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Binds an address, with the address in the error.
///
/// # Errors
/// When the address is taken or not ours.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = listen(address);
    listener.map_err(|error| io::Error::new(error.kind(), format!("can not listen on {address}: {error}")))
}

/// As the standard library does it, but with a backlog of our own: actix sets none on a listener that is given to it.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier process that are not quite gone keep the address otherwise.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG.cast_signed())?;
    Ok(socket.into())
}

/// Starts the public server.
///
/// # Errors
/// When the listener can not be used, or the TLS files not be read.
pub fn serve_webhooks(settings: &ServerSettings, listener: TcpListener, ingest: &Arc<Ingest>) -> io::Result<Listening> {
    let address = listener.local_addr()?;
    let state = web::Data::new(webhook::State::new(settings, Arc::clone(ingest)));
    let workers = match settings.workers {
        0 => std::thread::available_parallelism().map_or(2, NonZero::get).min(512),
        workers => workers,
    };
    let most = (descriptors::connections(settings.max_connections) / workers).max(1);
    let builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(most)
        .shutdown_timeout(settings.shutdown_timeout.as_secs())
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let head_timeout = settings.read_timeout;
    // Called on each worker's thread, for the connections that it will have.
    let vitals = Arc::clone(ingest.publisher().vitals());
    let crowd = move || {
        actix_web::rt::spawn(vitals.watch("waking", waking::carry()));
        Crowd::new(most - most / HEADROOM, head_timeout)
    };
    let builder = match &settings.tls {
        Some(files) => {
            let tls = tls::server_config(files)?;
            builder.listen("webhooks", listener, move || service::encrypted(&tls, crowd(), &state, &stopping))
        }
        None => builder.listen("webhooks", listener, move || service::plain(crowd(), &state, &stopping)),
    };
    Ok(Listening::spawn(builder?.run(), address))
}

/// Starts the server for operators.
///
/// # Errors
/// When the listener can not be used.
pub fn serve_admin(listener: TcpListener, state: admin::State) -> io::Result<Listening> {
    let address = listener.local_addr()?;
    let state = web::Data::new(state);
    let app =
        move || App::new().app_data(state.clone()).wrap(from_fn(admin::refuse_other_sites)).configure(admin::routes);
    let server = HttpServer::new(app).workers(1).max_connections(ADMIN_CONNECTIONS).shutdown_timeout(1);
    Ok(Listening::spawn(server.disable_signals().listen(listener)?.run(), address))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    /// Nothing accepts here: the kernel lets in as many as the backlog holds, and the next ones wait.
    #[test]
    fn a_burst_of_connections_waits_to_be_accepted() {
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let connected: Result<Vec<_>, _> =
            (0..400).map(|_| TcpStream::connect_timeout(&address, Duration::from_secs(5))).collect();
        assert_eq!(connected.unwrap().len(), 400);
    }
}
