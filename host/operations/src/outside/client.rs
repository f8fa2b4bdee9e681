//! One request to an outside host, and its answer. HTTPS with the names that certificates have; no redirect is followed, no
//! proxy of the environment is used, nothing is sent a second time, and what is read ends at its bound.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fangshi_tenants::{Clock, TenantId};
use reqwest::{Certificate, Response, redirect, retry};
use serde_json::{Map, Value, json};

use super::denied::DeniedHosts;
use super::gate::HostGate;
use super::inner::InnerAddresses;
use super::own::{Interfaces, OwnAddresses};
use super::reach::Reach;
use super::request::{Request, is_read};
use super::resolver::{Checked, MachineResolver, Resolver, was_closed};
use crate::breaker::BreakerConfig;
use crate::client::OperationsError;
use crate::fault::{Class, Fault, Sent};

/// Bytes of an answer's headers; more is no answer that a plugin asked for.
pub(super) const HEADER_BYTES: usize = 64 << 10;
pub(super) const MOST_HEADERS: usize = 100;

/// How outside hosts are reached.
#[derive(Debug, Clone)]
pub struct OutsideConfig {
    /// Whether any is.
    pub enabled: bool,
    /// The operator's own addresses that plugins may reach, by their names.
    pub inner: InnerAddresses,
    /// What no plugin reaches.
    pub denied: DeniedHosts,
    /// What knows the machine's own addresses.
    pub own: Arc<dyn OwnAddresses>,
    /// The name under which this host is reached itself.
    pub own_name: Option<String>,
    /// The address on which this host listens.
    pub listens_on: Option<IpAddr>,
    /// Authorities that the operator trusts besides those of the machine.
    pub extra_roots: ExtraRoots,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a whole request may take, connecting and reading the answer included.
    pub timeout: Duration,
    /// What knows the addresses of names.
    pub resolver: Arc<dyn Resolver>,
}

impl Default for OutsideConfig {
    fn default() -> Self {
        OutsideConfig {
            enabled: true,
            inner: InnerAddresses::default(),
            denied: DeniedHosts::default(),
            own: Arc::new(Interfaces),
            own_name: None,
            listens_on: None,
            extra_roots: ExtraRoots::default(),
            connect_timeout: Duration::from_secs(10),
            // Half of what a run has.
            timeout: Duration::from_secs(30),
            resolver: Arc::new(MachineResolver),
        }
    }
}

/// Certificates of authorities.
#[derive(Debug, Clone, Default)]
pub struct ExtraRoots(Vec<Certificate>);

impl ExtraRoots {
    /// Reads certificates in PEM.
    ///
    /// # Errors
    /// There is none, or one can't be read; for the operator.
    pub fn from_pem(pem: &[u8]) -> Result<ExtraRoots, String> {
        let read = Certificate::from_pem_bundle(pem).map_err(|error| error.to_string())?;
        if read.is_empty() { Err("no certificate in PEM".to_owned()) } else { Ok(ExtraRoots(read)) }
    }
}

/// The way to outside hosts.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    /// None: it is switched off.
    http: Option<reqwest::Client>,
    reach: Reach,
    gate: HostGate,
}

impl Outside {
    pub(crate) fn new(
        config: &OutsideConfig,
        breaker: BreakerConfig,
        clock: Clock,
    ) -> Result<Outside, OperationsError> {
        let reach = Reach::new(config);
        // A probe takes as long as a request may.
        let longest = i64::try_from(config.timeout.as_millis()).unwrap_or(i64::MAX).saturating_mul(2);
        let gate = HostGate::new(BreakerConfig { probe_ms: breaker.probe_ms.max(longest), ..breaker }, clock);
        if !config.enabled {
            return Ok(Outside { http: None, reach, gate });
        }
        match reach.knows_itself() {
            Ok(addresses) => tracing::debug!(addresses, "outside hosts are held against the machine's own addresses"),
            Err(error) => {
                tracing::error!(%error, "no outside host is reached: the machine does not tell its own addresses")
            }
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        let checked = Checked { resolver: Arc::clone(&config.resolver), reach: reach.clone() };
        let http = reqwest::Client::builder()
            .user_agent(concat!("fangshi/", env!("CARGO_PKG_VERSION")))
            .tls_certs_merge(config.extra_roots.0.clone())
            .https_only(true)
            .http1_only()
            .http1_max_headers(MOST_HEADERS)
            .dns_resolver(Arc::new(checked))
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            // Each request has its own connection: the address of each is checked anew, and no tenant is answered over
            // a connection that another one's request may have left in disorder.
            .pool_max_idle_per_host(0)
            .connect_timeout(config.connect_timeout)
            .timeout(config.timeout)
            .build()
            .map_err(OperationsError::Client)?;
        Ok(Outside { http: Some(http), reach, gate })
    }

    pub(crate) fn is_on(&self) -> bool {
        self.http.is_some()
    }

    /// Whether the operator lets no plugin ask for a host, whoever approves it. `host`: as [`host_of`](super::host_of) gives it.
    pub(crate) fn refuses(&self, host: &str) -> bool {
        self.reach.refuses(host.split(':').next().unwrap_or_default())
    }

    /// Sends a request whose host was approved, and reads at most so many bytes of its answer.
    ///
    /// # Errors
    /// A [`Fault`] that says whether the request may have been applied. Its text has nothing of the request but the host.
    pub(crate) async fn send(&self, tenant: TenantId, request: &Value, answer_bytes: u64) -> Result<Value, Fault> {
        let started = Instant::now();
        let outcome = self.send_once(tenant, request, answer_bytes).await;
        let class = outcome.as_ref().map_or_else(|fault| fault.class.name(), |_| "ok");
        metrics::counter!("fangshi_http_requests_total", "outcome" => class).increment(1);
        metrics::histogram!("fangshi_http_seconds").record(started.elapsed());
        if let Err(fault) = &outcome {
            tracing::debug!(%tenant, class, message = %fault.message, "a request to an outside host failed");
        }
        outcome.map_err(|fault| if is_read(request) { fault.of_a_read() } else { fault })
    }

    async fn send_once(&self, tenant: TenantId, request: &Value, answer_bytes: u64) -> Result<Value, Fault> {
        let Some(http) = &self.http else {
            let text = "the operator of this host has switched requests to outside hosts off";
            return Err(Fault::new(Class::Permission, Sent::NotSent, text));
        };
        let read = Request::read(request).map_err(Fault::invalid)?;
        let host = read.host.to_string();
        if self.reach.refuses(&read.host.name) {
            return Err(closed(&host));
        }
        let pass = self.gate.enter(tenant, &host)?;
        let outcome = exchange(http, read, Reading { host: &host, most: answer_bytes, reads: is_read(request) }).await;
        pass.ended(&outcome);
        outcome
    }
}

async fn exchange(http: &reqwest::Client, request: Request, reading: Reading<'_>) -> Result<Value, Fault> {
    let Request { method, url, headers, body, .. } = request;
    let is_head = method == reqwest::Method::HEAD;
    let sent = http.request(method, url).headers(headers).body(body).send().await;
    let answer = sent.map_err(|error| lost(error, reading.host))?;
    reading.read(answer, is_head).await
}

/// Reading an answer up to its bound.
struct Reading<'a> {
    host: &'a str,
    most: u64,
    /// Nothing was changed by the request.
    reads: bool,
}

impl Reading<'_> {
    async fn read(&self, mut answer: Response, is_head: bool) -> Result<Value, Fault> {
        let status = answer.status().as_u16();
        let (mut headers, mut bytes) = (Vec::new(), 0);
        for (name, value) in answer.headers() {
            bytes += name.as_str().len() + value.len() + 4;
            headers.push(json!({"name": name.as_str(), "value": String::from_utf8_lossy(value.as_bytes())}));
        }
        if bytes > HEADER_BYTES {
            return Err(self.too_large(format!("headers of more than {HEADER_BYTES} bytes")));
        }
        let room = self.most.saturating_sub(bytes as u64);
        let too_large = || self.too_large(format!("more than {} bytes, which http_answer_bytes allows", self.most));
        // What a HEAD tells of a body never comes.
        if bytes as u64 > self.most || (!is_head && answer.content_length().is_some_and(|length| length > room)) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| lost(error, self.host))? {
            if (body.len() + chunk.len()) as u64 > room {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        let mut members = Map::new();
        members.insert("status".into(), status.into());
        members.insert("headers".into(), headers.into());
        match String::from_utf8(body) {
            Ok(text) => members.insert("body".into(), text.into()),
            Err(error) => members.insert("body_base64".into(), STANDARD.encode(error.as_bytes()).into()),
        };
        Ok(Value::Object(members))
    }

    /// It was answered, so it was done; but the answer can't be given.
    fn too_large(&self, what: String) -> Fault {
        let text = format!("{} answered with {what}", self.host);
        let class = if self.reads { Class::Invalid } else { Class::Unreadable };
        Fault::new(class, Sent::Answered, text)
    }
}

/// Nothing was sent, and nobody is told why not.
fn closed(host: &str) -> Fault {
    Fault::new(Class::Permission, Sent::NotSent, format!("{host} has no address that plugins may reach"))
}

/// A request that ended without an answer. What its name resolved to stays here.
fn lost(error: reqwest::Error, host: &str) -> Fault {
    let error = error.without_url();
    if was_closed(&error) {
        return closed(host);
    }
    if error.is_builder() {
        return Fault::new(Class::Invalid, Sent::NotSent, "url: not one that can be sent");
    }
    if error.is_connect() {
        return Fault::new(Class::Unreachable, Sent::NotSent, format!("no connection to {host} over HTTPS"));
    }
    let text = match error.is_timeout() {
        true => format!("{host} did not answer in time"),
        false => format!("the connection to {host} broke"),
    };
    Fault::new(Class::Unanswered, Sent::Unknown, text)
}
