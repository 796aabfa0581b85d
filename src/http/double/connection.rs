//! What is known of a connection to a double: at which door it is, and how it is broken.

use std::any::Any;
use std::net::{Shutdown, SocketAddr};

use actix_web::rt::net::TcpStream;
use socket2::{SockRef, Socket};

use crate::provider::double::Door;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    door: Door,
    /// A second handle of the connection, since the framework's own can only end it well.
    socket: Option<Socket>,
}

impl Connection {
    /// Looks at what was accepted. The second door is known by its address.
    pub(super) fn of(io: &dyn Any, second: SocketAddr) -> Option<Self> {
        let stream = io.downcast_ref::<TcpStream>()?;
        let is_second = stream.local_addr().is_ok_and(|address| address == second);
        let door = if is_second { Door::Second } else { Door::First };
        Some(Self { door, socket: SockRef::from(stream).try_clone().ok() })
    }

    pub(super) fn door(&self) -> Door {
        self.door
    }

    /// Ends the connection at once, whatever is still to be sent.
    pub(super) fn close(&self) {
        let closed = self.socket.as_ref().map(|socket| socket.shutdown(Shutdown::Both));
        if let Some(Err(error)) = closed {
            tracing::debug!(%error, "the client was faster in closing its connection");
        }
    }
}
