//! The room: what it needs, and the order of its steps.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fangshi_journal::{NewEvent, Recorded};
use fangshi_tenants::Clock;
use fangshi_tenants::{CallbackKeys, Platform, Tenant, TenantId, TenantKind, Tenants};
use secrecy::SecretString;

use crate::address::Address;
use crate::body::read_body;
use crate::component::{ComponentMessage, component_event};
use crate::door::Door;
use crate::intake::{Durable, Intake, NotRecorded};
use crate::key::BadKey;
use crate::metering::Meters;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::shop::{Binding, shop_event};
use crate::strange::{self, StrangeAddresses};
use crate::told::Told;
use crate::{metering, window};

/// The operator's component (third-party platform), as far as callbacks go.
pub struct Component {
    /// Closes the plaintext of every push to an authorized shop.
    pub appid: String,
    /// Token and EncodingAESKeys of the platform's console.
    pub keys: CallbackKeys,
}

/// The room's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallbackLimits {
    /// How far a push's timestamp may be from our clock, in seconds, either way (`[weixin] timestamp_window_hours`).
    /// Default 24 h: retries come for 3.6 h and may repeat the first timestamp.
    pub window: i64,
    /// Largest body, in bytes. Default 64 KiB: an order event has about 500 bytes.
    pub body: usize,
    /// How long a body may take to arrive. Default 2 s.
    pub body_time: Duration,
    /// From the request's head to the answer, the write included. Default 4.5 s: the platform gives up after 5 s.
    pub answer_time: Duration,
}

impl Default for CallbackLimits {
    fn default() -> Self {
        Self {
            window: window::DEFAULT_WINDOW,
            body: 64 * 1024,
            body_time: Duration::from_secs(2),
            answer_time: Duration::from_millis(4500),
        }
    }
}

/// The callback room. Build it, then take its [`Callback::door`].
pub struct Callback<I = Durable> {
    tenants: Tenants,
    intake: I,
    component: Option<Address>,
    limits: CallbackLimits,
    clock: Clock,
    /// Whose keys are unusable.
    unusable: Told,
    /// Whose pushes are taken without comparing a name.
    unbound: Told,
    strange: StrangeAddresses,
    pub(crate) meters: Meters,
}

impl<I: Intake> Callback<I> {
    /// A room for these tenants. The component's EncodingAESKeys are decoded here, so that a wrong one stops the start.
    pub fn new(
        tenants: Tenants,
        intake: I,
        component: Option<&Component>,
        limits: CallbackLimits,
        clock: Clock,
    ) -> Result<Self, BadKey> {
        let component =
            component.map(|component| Address::new(component.appid.as_str(), &component.keys)).transpose()?;
        let (unusable, unbound) = (Told::default(), Told::default());
        let (strange, meters) = (StrangeAddresses::default(), Meters::new());
        Ok(Self { tenants, intake, component, limits, clock, unusable, unbound, strange, meters })
    }

    /// The way in.
    pub fn door(self) -> Door<I> {
        Door::new(self)
    }

    pub(crate) async fn shop(&self, tenant: &Tenant, request: Request, started: Instant) -> Result<Response, Refusal> {
        let (head, body) = request.into_parts();
        let query = || Query::parse(head.uri.query().unwrap_or_default());
        let own;
        let address = match (tenant.kind, &self.component) {
            (TenantKind::Authorized, Some(component)) => component,
            (TenantKind::SelfBuilt, _) => {
                own = Address::of_self_built(tenant)?;
                &own
            }
            _ => return Err(Refusal::KeysUnusable),
        };
        match (head.method, tenant.kind) {
            (Method::POST, _) => {}
            (Method::GET, TenantKind::SelfBuilt) => {
                let echo = address.check(query()?.into_check()?)?;
                return Ok(plain(Body::from(echo.into_owned())));
            }
            _ => return Err(Refusal::Method),
        }
        let query = query()?.into_push()?;
        let body = read_body(body, self.limits.body, self.limits.body_time).await?;
        let now = self.clock.now();
        let message = address.open(&query, &body, now, self.limits.window)?;
        let (event, binding) = shop_event(tenant, &message, now)?;
        if binding == Binding::Unbound {
            metering::unbound();
            if tenant.is_unbound() && self.unbound.is_news(self.tenants.get(tenant.id)) {
                tracing::warn!(tenant = %tenant.id,
                    "another shop's push would be taken for this tenant's: set its user_name (gh_…) (told once)");
            }
        }
        self.record(event, started).await?;
        Ok(success())
    }

    pub(crate) async fn component(&self, request: Request, started: Instant) -> Result<Response, Refusal> {
        let component = self.component.as_ref().ok_or(Refusal::UnknownTenant)?;
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            return Err(Refusal::Method);
        }
        let query = Query::parse(head.uri.query().unwrap_or_default())?.into_push()?;
        let body = read_body(body, self.limits.body, self.limits.body_time).await?;
        let now = self.clock.now();
        let message = component.open(&query, &body, now, self.limits.window)?;
        let tenant_of = |appid: &str| self.weixin(appid).map(|tenant| tenant.id);
        let ComponentMessage { event, ticket, change } = component_event(&component.appid, &message, tenant_of, now)?;
        let created_at = event.created_at;
        let recorded = self.in_time(self.intake.record_component(event, change), started).await?;
        self.meters.recorded(recorded.duplicate);
        // Also for a duplicate: the first one may have been recorded and its ticket not kept.
        if let Some(ticket) = ticket {
            self.keep_ticket(ticket, created_at, started).await?;
        }
        Ok(success())
    }

    pub(crate) fn weixin(&self, appid: &str) -> Option<Arc<Tenant>> {
        self.tenants
            .by_appid(appid)
            .filter(|tenant| tenant.platform == Platform::Weixin && tenant.kind != TenantKind::CardShop)
    }

    /// Returns after the commit, or refuses: there is no third way to an answer.
    async fn record(&self, event: NewEvent, started: Instant) -> Result<(), Refusal> {
        let Recorded { duplicate, .. } = self.in_time(self.intake.record(event), started).await?;
        self.meters.recorded(duplicate);
        Ok(())
    }

    async fn keep_ticket(&self, ticket: SecretString, created_at: i64, started: Instant) -> Result<(), Refusal> {
        self.in_time(self.intake.keep_ticket(ticket, created_at), started).await
    }

    async fn in_time<T>(
        &self,
        step: impl Future<Output = Result<T, NotRecorded>>,
        started: Instant,
    ) -> Result<T, Refusal> {
        let left = self.limits.answer_time.saturating_sub(started.elapsed());
        match tokio::time::timeout(left, step).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(cause)) => {
                tracing::error!(error = &cause as &dyn Error, "a callback could not be made durable");
                Err(Refusal::NotRecorded)
            }
            Err(_) => {
                tracing::error!("a callback could not be made durable in time");
                Err(Refusal::NotRecorded)
            }
        }
    }

    /// Nobody has this address. A shop whose appid stands in it all the same has the refusal put down to it.
    pub(crate) fn nobody(&self, path: &str) -> Response {
        let refusal = Refusal::UnknownTenant;
        let (code, appid) = (refusal.code(), strange::appid(path));
        metering::refused(code);
        if let Some(tenant) = appid.and_then(|appid| self.weixin(appid)) {
            self.tenants.count_refusal(tenant.id, code);
        }
        if self.strange.is_news(appid) {
            tracing::warn!(
                appid = appid.unwrap_or("none"),
                code,
                hint = refusal.hint(),
                "a callback came to an address that nobody here has (told once)"
            );
        }
        refusal.into_response()
    }

    pub(crate) fn refuse(&self, tenant: TenantId, refusal: Refusal) -> Response {
        let code = refusal.code();
        metering::refused(code);
        self.tenants.count_refusal(tenant, code);
        if refusal == Refusal::KeysUnusable {
            // Anybody can cause it at any rate, and the operator must hear of it: once, until something changes.
            if self.unusable.is_news(self.tenants.get(tenant)) {
                tracing::error!(%tenant, code, reason = %refusal, hint = refusal.hint(),
                    "every callback of this tenant is refused until its keys are right (told once)");
            }
            return refusal.into_response();
        }
        // A stranger can cause the others at any rate, and must not fill the log.
        if refusal.is_authentic() {
            tracing::warn!(%tenant, code, reason = %refusal, "a callback was refused");
        } else {
            tracing::debug!(%tenant, code, reason = %refusal, "a callback was refused");
        }
        refusal.into_response()
    }
}

fn success() -> Response {
    plain(Body::from("success"))
}

/// Plain text that no browser may take for anything else: a GET check echoes what it was given.
fn plain(body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
