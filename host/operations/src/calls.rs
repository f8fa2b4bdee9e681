//! Calling an operation: check and map the request, add the tenant's token, map the answer. A token that turns out to
//! be stale is renewed once and the call repeated once.

use std::sync::Arc;
use std::time::Instant;

use fangshi_tenants::{Authorizer, Clock, Decodes, Flights, Issuer, TenantId, Tenants};
use serde_json::Value;

use crate::client::{OperationsConfig, OperationsError, Weixin};
use crate::decode::Lease;
use crate::errcode;
use crate::evidence::{Evidence, Proof, Verdict, gift_of};
use crate::fault::{Class, Fault, Sent};
use crate::gate::{Gate, ShopStanding};
use crate::keeper::{Held, Keeper};
use crate::operation::Operation;
use crate::outside::Outside;
use crate::{redact, table};

/// The way to the platform. Cheap to clone.
#[derive(Clone)]
pub struct Operations {
    weixin: Arc<Weixin>,
    outside: Outside,
    issuer: Arc<dyn Issuer>,
    keeper: Arc<dyn Keeper>,
    gate: Arc<Gate>,
    /// None where a test brings its own keeper of tokens.
    pub(crate) decodes: Option<Decodes>,
    pub(crate) flights: Flights,
    pub(crate) clock: Clock,
}

impl Operations {
    /// A client for the platform of `config`, with the tokens of `tenants`.
    ///
    /// # Errors
    /// [`OperationsError`]: the address is unusable, or this machine has no certificates.
    pub fn new(config: OperationsConfig, tenants: Tenants) -> Result<Operations, OperationsError> {
        let (decodes, flights) = (tenants.decodes().clone(), tenants.flights().clone());
        let operations = Operations::with_keeper(config, Arc::new(tenants))?;
        Ok(Operations { decodes: Some(decodes), flights, ..operations })
    }

    pub(crate) fn with_keeper(
        config: OperationsConfig,
        keeper: Arc<dyn Keeper>,
    ) -> Result<Operations, OperationsError> {
        let weixin = Arc::new(Weixin::new(&config)?);
        Ok(Operations {
            issuer: Arc::clone(&weixin) as Arc<dyn Issuer>,
            weixin,
            outside: Outside::new(&config.outside, config.breaker, config.clock.clone())?,
            keeper,
            gate: Arc::new(Gate::new(config.breaker)),
            decodes: None,
            flights: Flights::default(),
            clock: config.clock,
        })
    }

    /// The platform's calls about tokens and authorizations, for custody and onboarding.
    pub fn authorizer(&self) -> Arc<dyn Authorizer> {
        Arc::clone(&self.weixin) as Arc<dyn Authorizer>
    }

    /// Calls an operation of the table for a tenant. Grants are checked by the caller, before this.
    ///
    /// `request` and the answer are JSON of the contract: parameters by their names in snake_case; the answer is the
    /// function's ok value, null where it has none.
    ///
    /// # Errors
    /// [`Fault`]; its [`Sent`] says whether the platform may have applied the call.
    pub async fn call(&self, tenant: TenantId, op: &'static Operation, request: &Value) -> Result<Value, Fault> {
        self.call_by(tenant, op, request, None).await
    }

    /// As [`Operations::call`]: by this time, unix milliseconds, the request is let go, or nothing is sent. It waits for no
    /// more than its connection then ([`OperationsConfig::connect_timeout`]).
    ///
    /// # Errors
    /// As [`Operations::call`].
    pub async fn call_by(
        &self,
        tenant: TenantId,
        op: &'static Operation,
        request: &Value,
        by: Option<i64>,
    ) -> Result<Value, Fault> {
        self.call_under(Terms { lease: None, by }, tenant, op, request).await
    }

    /// As [`Operations::call`], under terms that must hold before each send.
    pub(crate) async fn call_under(
        &self,
        terms: Terms<'_>,
        tenant: TenantId,
        op: &'static Operation,
        request: &Value,
    ) -> Result<Value, Fault> {
        let started = Instant::now();
        let outcome = match self.gate.enter(tenant, op.name, self.clock.now()) {
            Ok(pass) => {
                let outcome = self.call_once_or_twice(terms, tenant, op, request).await;
                self.gate.leave(tenant, op.name, pass, &outcome, self.clock.now());
                outcome
            }
            Err(held_back) => Err(held_back),
        };
        let class = outcome.as_ref().map_or_else(|fault| fault.class.name(), |_| "ok");
        metrics::counter!("fangshi_operation_calls_total", "operation" => op.name, "outcome" => class).increment(1);
        metrics::histogram!("fangshi_operation_seconds", "operation" => op.name).record(started.elapsed());
        if let Err(fault) = &outcome {
            let rid = fault.rid.as_deref().unwrap_or_default();
            match fault.class {
                Class::Config | Class::Bug | Class::Ticket | Class::Reauthorize | Class::Revoked => {
                    tracing::warn!(%tenant, operation = op.name, class, code = fault.code, rid, message = %fault.message,
                        "the platform refuses the host or the shop");
                }
                // Each answer's rid is for the platform's support. Its words stay out: they may repeat what is the buyer's.
                _ if fault.code != 0 && fault.sent != Sent::NotSent => {
                    tracing::info!(%tenant, operation = op.name, class, code = fault.code, rid, "the platform refused a call");
                }
                _ => tracing::debug!(%tenant, operation = op.name, class, "operation failed"),
            }
        }
        outcome
    }

    /// Sends a request of `http.send` to a host that was approved; the caller has looked at that. At most so many bytes of
    /// the answer are read.
    ///
    /// # Errors
    /// [`Fault`]; its [`Sent`] says whether the host may have applied it.
    pub async fn outside(&self, tenant: TenantId, request: &Value, answer_bytes: u64) -> Result<Value, Fault> {
        self.outside.send(tenant, request, answer_bytes).await
    }

    /// Whether requests to outside hosts are sent at all.
    pub fn reaches_outside(&self) -> bool {
        self.outside.is_on()
    }

    /// Whether the operator of this host lets no plugin ask for a host, whoever approves it. `host`: as [`host_of`] gives it.
    ///
    /// [`host_of`]: crate::host_of
    pub fn refuses_host(&self, host: &str) -> bool {
        self.outside.refuses(host)
    }

    /// How the platform treats a shop now, as far as this process knows.
    pub fn standing(&self, tenant: TenantId) -> ShopStanding {
        self.gate.standing(tenant, self.clock.now())
    }

    /// Shops whose calls are held back because the platform failed for them again and again.
    pub fn held_back(&self) -> Vec<TenantId> {
        self.gate.held_back()
    }

    async fn call_once_or_twice(
        &self,
        terms: Terms<'_>,
        tenant: TenantId,
        op: &'static Operation,
        request: &Value,
    ) -> Result<Value, Fault> {
        let body = op.body(request).map_err(Fault::invalid)?;
        if !self.keeper.grants(tenant, op.permission_set) {
            // It was offered while the shop still granted it.
            let text = format!("the shop does not grant permission set {}, which {} needs", op.permission_set, op.name);
            return Err(Fault::new(Class::Permission, Sent::NotSent, text));
        }
        let held = self.keeper.token(tenant, &self.issuer).await?;
        terms.hold(&self.clock).await?;
        let mut answer = self.send(op, request, &body, &held, None).await;
        let mut used = held.version;
        if matches!(&answer, Err(fault) if fault.class == Class::Reauthorize) {
            // Void for good (42007): not repeated. Custody asks for another once, and so finds out now whether the merchant
            // must authorize again.
            self.keeper.invalidate(tenant, held.version).await;
            let _ = self.keeper.token(tenant, &self.issuer).await;
        }
        if matches!(&answer, Err(fault) if fault.class == Class::Token) {
            self.keeper.invalidate(tenant, held.version).await;
            let renewed = self.keeper.token(tenant, &self.issuer).await?;
            if renewed.version != held.version {
                used = renewed.version;
                terms.hold(&self.clock).await?;
                answer = self.send(op, request, &body, &renewed, Some(&held)).await;
            }
        }
        if matches!(&answer, Err(fault) if fault.class == Class::Revoked) {
            self.keeper.revoked(tenant, used).await;
        }
        let fault = match answer {
            Ok(answer) => match op.answer(answer) {
                Ok(answer) => return Ok(answer),
                Err(text) => Fault::new(Class::Unreadable, Sent::Answered, text),
            },
            Err(mut fault) => {
                fault.retry_after = errcode::retry_after(fault.class, self.clock.now_s());
                if fault.class == Class::Busy && op.effect && !op.decodes() {
                    // "Try again", says the platform, not that nothing was done.
                    fault.sent = Sent::Unknown;
                }
                fault
            }
        };
        Err(if op.effect { fault } else { fault.of_a_read() })
    }

    async fn send(
        &self,
        op: &Operation,
        request: &Value,
        body: &Value,
        held: &Held,
        refused: Option<&Held>,
    ) -> Result<Value, Fault> {
        let mut secrets = redact::secrets(op, request);
        // The platform may still speak of the token that it refused before.
        secrets.extend(refused.map(|held| held.secret.clone()));
        self.weixin.post(op.path, Some(&held.secret), body, secrets).await
    }

    /// The `order` object of getorder: members as the platform has them, ids as text.
    ///
    /// # Errors
    /// [`Fault`]. An answer that holds another order counts as one that never came: [`Class::Unreachable`].
    pub async fn read_order(&self, tenant: TenantId, order_id: &str) -> Result<Value, Fault> {
        let request = serde_json::json!({ "order_id": order_id });
        let order = self.call(tenant, table::read_order(), &request).await?;
        if order.get("order_id").and_then(Value::as_str) == Some(order_id) {
            Ok(order)
        } else {
            Err(Fault::new(Class::Unreachable, Sent::Answered, "the platform answered with another order"))
        }
    }

    /// What became of an effect whose outcome a crash took away: reads what proves it, and judges (DESIGN section 6).
    ///
    /// `before` is the order's snapshot from before the effect, if there is one (of a gift, that of an order made of it);
    /// `intended_at` is when the intent became durable, unix seconds. Nothing is changed on the platform.
    ///
    /// # Errors
    /// [`Fault`] of the reads: try again later.
    pub async fn settle(
        &self,
        tenant: TenantId,
        op: &'static Operation,
        request: &Value,
        before: Option<&Value>,
        intended_at: i64,
    ) -> Result<Verdict, Fault> {
        let order_id = op.order_of(request).unwrap_or_default();
        let shown = match op.proof() {
            Proof::None => Ok(None),
            Proof::Order => self.read_order(tenant, order_id).await.map(Some),
            Proof::PresentOrder => self.read_present_order(tenant, order_id, before).await.map(Some),
            Proof::Operation { interface, function } => match table::find(interface, function) {
                Some(proof) => {
                    let request = serde_json::json!({ "order_id": order_id });
                    self.call(tenant, proof, &request).await.map(Some)
                }
                None => Ok(None),
            },
        };
        let now = match shown {
            Ok(now) => now,
            Err(fault) => match fault.class {
                Class::NotFound => None,
                // An audit refused for the order's state: there is nothing to audit.
                Class::Conflict if matches!(op.proof(), Proof::Operation { .. }) => None,
                // Refusals that stay as they are: waiting would not bring an answer.
                Class::Other | Class::Invalid | Class::Conflict | Class::Permission => {
                    return Ok(Verdict::Unclear(format!("it can't be looked up: {}", fault.message)));
                }
                _ => return Err(fault),
            },
        };
        Ok(op.judge(&Evidence { request, before, now: now.as_ref(), intended_at }))
    }

    /// The order made of a gift order that `before` shows, so that two readings of one order are compared; else the first of
    /// them, or the gift order itself while there are none.
    async fn read_present_order(
        &self,
        tenant: TenantId,
        present_order_id: &str,
        before: Option<&Value>,
    ) -> Result<Value, Fault> {
        let before = before.filter(|order| gift_of(order).as_deref() == Some(present_order_id));
        if let Some(made) = before.and_then(|order| order.get("order_id")?.as_str()) {
            return self.read_order(tenant, made).await;
        }
        let request = serde_json::json!({ "present_order_id": present_order_id });
        let Some(op) = table::find("presents", "sub-orders") else {
            return self.read_order(tenant, present_order_id).await;
        };
        let ids = self.call(tenant, op, &request).await?;
        let first = ids.get(0).and_then(Value::as_str).unwrap_or(present_order_id);
        self.read_order(tenant, first).await
    }
}

/// What must hold right before each send: a token may have taken its time.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    /// Held on to.
    pub(crate) lease: Option<Lease<'a>>,
    /// Not passed, unix milliseconds.
    pub(crate) by: Option<i64>,
}

impl Terms<'_> {
    async fn hold(self, clock: &Clock) -> Result<(), Fault> {
        if let Some(lease) = self.lease {
            lease.hold_on().await?;
        }
        match self.by {
            Some(by) if clock.now() > by => {
                Err(Fault::new(Class::Host, Sent::NotSent, "the host took too long to send it"))
            }
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for Operations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operations").field("weixin", &self.weixin).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
