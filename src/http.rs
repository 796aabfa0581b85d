//! The two HTTP servers. actix-web is used here and nowhere else.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpServer, web};

pub mod admin;
pub mod answer;
pub mod body;
pub mod budget;
pub mod pace;
pub mod peer;
pub mod tls;
pub mod webhook;

use crate::config::ServerSettings;
use crate::ingest::Ingest;
use crate::publish::mailbox;

/// Idle connections are kept longer than most proxies keep theirs, so that it is never us who closes
/// one on which a webhook is just arriving.
pub const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Enough waiting connections for a burst after a restart.
pub const BACKLOG: u32 = 2048;

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
    let listener = TcpListener::bind(address);
    listener.map_err(|error| io::Error::new(error.kind(), format!("can not listen on {address}: {error}")))
}

/// Starts the public server.
///
/// # Errors
/// When the listener can not be used, or the TLS files not be read.
pub fn serve_webhooks(settings: &ServerSettings, listener: TcpListener, ingest: &Arc<Ingest>) -> io::Result<Listening> {
    let address = listener.local_addr()?;
    let state = web::Data::new(webhook::State::new(settings, Arc::clone(ingest)));
    // Called on each worker's thread.
    let app = move || {
        actix_web::rt::spawn(mailbox::carry());
        App::new().app_data(state.clone()).default_service(web::to(webhook::receive))
    };
    let mut server = HttpServer::new(app)
        .keep_alive(KEEP_ALIVE)
        .backlog(BACKLOG)
        .client_request_timeout(settings.read_timeout)
        .shutdown_timeout(settings.shutdown_timeout.as_secs())
        .disable_signals();
    if settings.workers > 0 {
        server = server.workers(settings.workers);
    }
    let server = match &settings.tls {
        Some(files) => server.listen_rustls_0_23(listener, tls::server_config(files)?)?,
        None => server.listen(listener)?,
    };
    Ok(Listening::spawn(server.run(), address))
}

/// Starts the server for operators.
///
/// # Errors
/// When the listener can not be used.
pub fn serve_admin(listener: TcpListener, state: admin::State) -> io::Result<Listening> {
    let address = listener.local_addr()?;
    let state = web::Data::new(state);
    let app = move || App::new().app_data(state.clone()).configure(admin::routes);
    let server = HttpServer::new(app).workers(1).shutdown_timeout(1).disable_signals().listen(listener)?;
    Ok(Listening::spawn(server.run(), address))
}
