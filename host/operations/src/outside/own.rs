//! The addresses of this machine itself. Those that the whole Internet reaches are as little for plugins as 127.0.0.1: from here
//! they lead past whatever stands before the machine.

use std::fmt;
use std::io;
use std::net::IpAddr;

/// What knows the addresses of this machine.
pub trait OwnAddresses: Send + Sync + fmt::Debug {
    /// All of them, as they are now: they may change while the host runs.
    ///
    /// # Errors
    /// The system does not tell: then nothing is known to be somebody else's.
    fn now(&self) -> io::Result<Vec<IpAddr>>;
}

/// The addresses of the machine's network interfaces.
#[derive(Debug, Clone, Copy)]
pub struct Interfaces;

impl OwnAddresses for Interfaces {
    fn now(&self) -> io::Result<Vec<IpAddr>> {
        Ok(if_addrs::get_if_addrs()?.into_iter().map(|interface| interface.ip()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_knows_itself() {
        let own = Interfaces.now().unwrap();
        assert!(own.iter().any(IpAddr::is_loopback), "{own:?}");
        // Whatever the machine would send from is among them. Nothing is sent by connecting a datagram socket.
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        if socket.connect("1.1.1.1:53").is_ok() {
            let from = socket.local_addr().unwrap().ip();
            assert!(own.contains(&from), "{from} is not among {own:?}");
        }
    }
}
