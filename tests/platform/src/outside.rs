//! A host outside of the platform, such as a merchant's own ERP: HTTPS on this machine, with a certificate of an authority
//! of its own. It writes down what it was asked, and answers as a script says, in bytes.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedOutside {
    /// `POST`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl AskedOutside {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum ReplyOutside {
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// No answer, and the connection stays open.
    Silence,
}

impl ReplyOutside {
    /// An answer with this status, headers as lines (each with its end), and body.
    pub fn with(status: u16, headers: &str, body: &str) -> ReplyOutside {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n");
        ReplyOutside::Bytes([head.as_bytes(), body.as_bytes()].concat())
    }
}

type Script = dyn Fn(&AskedOutside) -> ReplyOutside + Send + Sync;

/// The host, while it is kept.
pub struct OutsideHost {
    address: SocketAddr,
    roots: String,
    seen: Arc<Seen>,
    serving: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    asked: Mutex<Vec<AskedOutside>>,
}

impl OutsideHost {
    /// Serves on a free port of one of this machine's addresses, with a certificate for these names.
    ///
    /// # Errors
    /// No certificate, or no port.
    pub async fn start(
        address: IpAddr,
        names: &[&str],
        script: impl Fn(&AskedOutside) -> ReplyOutside + Send + Sync + 'static,
    ) -> Result<OutsideHost> {
        let (config, roots) = certificate(names)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((address, 0)).await.context("a port for an outside host")?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen::default());
        let (script, noted): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&seen));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                noted.connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, script, noted) = (acceptor.clone(), Arc::clone(&script), Arc::clone(&noted));
                // A connection that breaks is the caller's business.
                tokio::spawn(async move { serve(stream, acceptor, &*script, &noted).await.unwrap_or_default() });
            }
        });
        Ok(OutsideHost { address, roots, seen, serving })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificate of its authority, in PEM.
    pub fn roots(&self) -> &str {
        &self.roots
    }

    /// Connections so far, whatever came over them.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Requests so far.
    pub fn asked(&self) -> Vec<AskedOutside> {
        self.seen.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for OutsideHost {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn certificate(names: &[&str]) -> Result<(rustls::ServerConfig, String)> {
    let mut authority = CertificateParams::new(Vec::<String>::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "an authority of tests");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
    Ok((config, authority.pem()))
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, script: &Script, seen: &Seen) -> Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut bytes = Vec::new();
    let asked = loop {
        if let Some(asked) = read(&bytes) {
            break asked;
        }
        let mut more = [0; 4096];
        let count = stream.read(&mut more).await?;
        anyhow::ensure!(count > 0, "the request broke off");
        bytes.extend_from_slice(&more[..count]);
    };
    let reply = script(&asked);
    seen.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    match reply {
        ReplyOutside::Bytes(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await?;
        }
        ReplyOutside::Silence => std::future::pending().await,
    }
    Ok(())
}

/// A request, once it is there as a whole.
fn read(bytes: &[u8]) -> Option<AskedOutside> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or("0", |(_, value)| value);
    let body = bytes.get(end + 4..end + 4 + length.parse::<usize>().ok()?)?.to_vec();
    Some(AskedOutside { method, target, headers, body })
}
