//! Where the API listens: a door that can be shut, so that connections are refused, and opened again at the same address.

use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Between tries to listen again.
const AGAIN: Duration = Duration::from_millis(10);

pub(crate) struct Door {
    listener: Option<TcpListener>,
    address: SocketAddr,
    shut: watch::Receiver<bool>,
}

impl Door {
    pub(crate) fn new(listener: TcpListener, address: SocketAddr, shut: watch::Receiver<bool>) -> Door {
        Door { listener: Some(listener), address, shut }
    }
}

impl Listener for Door {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            if *self.shut.borrow_and_update() {
                self.listener = None;
                // Its sender lives as long as the platform.
                let _ = self.shut.wait_for(|shut| !*shut).await;
            }
            let Some(listener) = &mut self.listener else {
                match TcpListener::bind(self.address).await {
                    Ok(listener) => self.listener = Some(listener),
                    Err(_) => tokio::time::sleep(AGAIN).await,
                }
                continue;
            };
            tokio::select! {
                accepted = Listener::accept(listener) => return accepted,
                _ = self.shut.changed() => {}
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}
