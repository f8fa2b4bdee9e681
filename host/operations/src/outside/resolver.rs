//! From an approved name to the addresses that a request may be sent to. A name is resolved once a connection, and its
//! addresses are checked there: the client connects to what comes out of here, and asks nobody again. So a name that leads
//! elsewhere at the second question gains nothing by it.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::reach::Reach;

/// What knows the addresses of names.
#[async_trait]
pub trait Resolver: Send + Sync + fmt::Debug {
    /// The addresses of a name, in the order in which they are tried.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's own way.
#[derive(Debug, Clone, Copy)]
pub struct MachineResolver;

#[async_trait]
impl Resolver for MachineResolver {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        // The port is for the system's call alone.
        Ok(tokio::net::lookup_host((name, 443)).await?.map(|address| address.ip()).collect())
    }
}

/// The name leads to no address that may be reached.
#[derive(Debug)]
pub(super) struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name has no address that plugins may reach")
    }
}

impl Error for Closed {}

/// Whether a failed connection never began, because its name was [`Closed`].
pub(super) fn was_closed(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<Closed>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Asks, and gives on what may be reached.
pub(super) struct Checked {
    pub resolver: Arc<dyn Resolver>,
    pub reach: Reach,
}

impl Checked {
    /// The addresses of a name that may be reached.
    ///
    /// # Errors
    /// The name can't be resolved, or is [`Closed`].
    pub async fn addresses(
        resolver: &dyn Resolver,
        reach: &Reach,
        name: &str,
    ) -> Result<Vec<IpAddr>, Box<dyn Error + Send + Sync>> {
        let found = resolver.addresses(name).await?;
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into());
        }
        let open = reach.open(name, found)?;
        if open.is_empty() { Err(Closed.into()) } else { Ok(open) }
    }
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, reach) = (Arc::clone(&self.resolver), self.reach.clone());
        Box::pin(async move {
            let open = Checked::addresses(&*resolver, &reach, name.as_str()).await?;
            // Port 0: that of the URL.
            Ok(Box::new(open.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}
