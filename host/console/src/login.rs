//! Before every address under `/api/v1`: who calls, and how far they reach.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::RequestExt;
use axum::extract::{ConnectInfo, MatchedPath, RawPathParams, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use fangshi_tenants::{Access, Door, TenantId};

use crate::Console;
use crate::caller::Caller;
use crate::held::hold;
use crate::lately::Lately;
use crate::reach;
use crate::refusal::Refusal;
use crate::throttle::Throttle;

/// What the middleware needs.
#[derive(Clone)]
pub(crate) struct Login {
    console: Console,
    throttle: Arc<Throttle>,
    lately: Arc<Lately>,
}

impl Login {
    pub fn new(console: Console) -> Login {
        Login { console, throttle: Arc::default(), lately: Arc::default() }
    }

    /// Who the bearer of this token is. The operator's, and tokens that were right lately, pass even where others failed
    /// before: none can be guessed, and nobody shall be locked out by what others send from a shared address. An unknown
    /// token costs a look into the store; where too many failed it waits before.
    async fn caller(&self, given: &[u8], address: IpAddr) -> Result<Caller, Response> {
        if self.console.operator.matches(given) {
            return Ok(Caller::Root);
        }
        let now = self.console.tenants.clock().now();
        if !self.lately.holds(given) {
            self.throttle.check(address, now).map_err(too_many)?;
        }
        let text = std::str::from_utf8(given).unwrap_or_default();
        let found = self.console.tenants.access().recognise(text, Door::Api).await;
        if let Some(token) = found.map_err(|error| Refusal::fault("reading tokens", &error).into_response())? {
            self.lately.keep(given);
            return Ok(Caller::from(&token));
        }
        self.lately.forget(given);
        self.throttle.failed(address, now);
        let message = match Access::has_form(text) {
            true => "the bearer token is unknown, expired or revoked",
            false => "the bearer token is not the operator's",
        };
        Err(unauthorized(message).into_response())
    }
}

/// Lets a request pass whose token is known and reaches this far. Otherwise 401, whether the address exists or not; 429
/// after too many failures; for merchants 404 about other tenants and 403 about what is the operator's.
pub(crate) async fn require(State(login): State<Login>, mut request: Request, next: Next) -> Response {
    let caller = match bearer(request.headers()) {
        None => return unauthorized("no bearer token").into_response(),
        Some(given) => match login.caller(given, client(&request)).await {
            Ok(caller) => caller,
            Err(answer) => return answer,
        },
    };
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    // An address that does not exist is nobody's: its 404 tells nothing.
    if let Some(route) = route {
        let named = named_tenant(&mut request).await;
        if let Err(refusal) = reach::check(caller, reach::of(request.method(), &route), named) {
            return refusal.into_response();
        }
    }
    // Held until the answer was written: what a merchant has under way is bounded, the bodies that are being read included.
    let place = match caller.bound_to().map(|tenant| login.console.crowd.enter(tenant)).transpose() {
        Ok(place) => place,
        Err(refusal) => return refusal.into_response(),
    };
    request.extensions_mut().insert(caller);
    let answer = next.run(request).await;
    match place {
        Some(place) => hold(answer, place),
        None => answer,
    }
}

/// The tenant in the address. A text that is no id names none; its handler says so.
async fn named_tenant(request: &mut Request) -> Option<TenantId> {
    let parameters = request.extract_parts::<RawPathParams>().await.ok()?;
    let named = parameters.iter().find(|(name, _)| *name == "tenant")?.1.parse();
    named.ok()
}

/// Where the connection comes from. A proxy before the host is one address for all who come through it; headers that
/// name others are not believed, since anyone can write them.
pub(crate) fn client(request: &Request) -> IpAddr {
    let connection = request.extensions().get::<ConnectInfo<SocketAddr>>();
    connection.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip())
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn unauthorized(message: &str) -> Refusal {
    metrics::counter!("fangshi_admin_unauthorized_total").increment(1);
    Refusal::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        message,
        "send `Authorization: Bearer TOKEN` with the token of the host's config, [operator] token, or with one made at \
         /api/v1/tokens",
    )
}

fn too_many(seconds: u64) -> Response {
    metrics::counter!("fangshi_admin_throttled_total").increment(1);
    let refusal = Refusal::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-failures",
        "too many wrong tokens came from this address",
        format!("wait {seconds} s, then send the right token"),
    );
    refusal.after(seconds).into_response()
}
