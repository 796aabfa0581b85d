//! From an accepted connection to a request: what `HttpServer` of actix-web would put together, but with each
//! connection watched.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{Extensions, HttpService, KeepAlive, Request};
use actix_server::GracefulShutdownSignal;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config};
use actix_tls::accept::TlsError;
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;
use actix_web::{App, Error, web};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Crowd, Watched};
use super::webhook;

/// After an answer to a body that was not read, what still comes is taken in for so long: a connection that is
/// closed at once could take the answer with it.
const LINGER: Duration = Duration::from_secs(1);

/// A connection, and whose it is.
type Accepted<Io> = (Watched<Io>, Option<SocketAddr>);

/// Serves connections as they come.
pub(super) fn plain(
    crowd: Rc<Crowd>,
    state: &web::Data<webhook::State>,
    stopping: &GracefulShutdownSignal,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()> + use<> {
    let watched = fn_service(move |io: TcpStream| {
        let peer = io.peer_addr().ok();
        std::future::ready(Ok((crowd.watch(io), peer)))
    });
    watched.and_then(http(state, stopping))
}

/// Serves connections over TLS.
pub(super) fn encrypted(
    tls: &ServerConfig,
    crowd: Rc<Crowd>,
    state: &web::Data<webhook::State>,
    stopping: &GracefulShutdownSignal,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = TlsError<io::Error, DispatchError>, InitError = ()>
+ use<> {
    let watched = move |io: TlsStream<TcpStream>| {
        let peer = io.get_ref().0.peer_addr().ok();
        (crowd.watch(io), peer)
    };
    Acceptor::new(tls.clone())
        .map_err(TlsError::into_service_error)
        .map(watched)
        .and_then(http(state, stopping).map_err(TlsError::Service))
}

/// HTTP/1.1. How long a connection may wait is decided below it, so that it has no times of its own.
fn http<Io: AsyncRead + AsyncWrite + Unpin + 'static>(
    state: &web::Data<webhook::State>,
    stopping: &GracefulShutdownSignal,
) -> impl ServiceFactory<Accepted<Io>, Config = (), Response = (), Error = DispatchError, InitError = ()> + use<Io> {
    let app = App::new().app_data(state.clone()).default_service(web::to(webhook::receive));
    let app = IntoServiceFactory::<_, Request>::into_factory(app).map_err(|error: Error| error.error_response());
    let stopping = stopping.clone();
    HttpService::build()
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(Duration::ZERO)
        .client_disconnect_timeout(LINGER)
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .on_connect_ext(|io: &Watched<Io>, data: &mut Extensions| drop(data.insert(io.connection())))
        .h1(map_config(app, |()| AppConfig::default()))
}
