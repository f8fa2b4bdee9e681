//! Limits of tenants and of installations: what may be asked for, and what there is.

use fangshi_lanes::{COMPONENT_BYTES, HOOKS_PER_EVENT, LimitRange, Plans, RunLimits, TenantLimits};
use fangshi_tenants::{Registry, Tenant, TenantId, Terms};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};

use crate::Console;
use crate::caller::Caller;
use crate::refusal::Refusal;
use crate::signature::TrustedKeys;

/// What a tenant has.
pub(crate) fn of(console: &Console, tenant: &Tenant) -> TenantLimits {
    console.plans.of(tenant.plan.as_deref(), &tenant.limits)
}

/// The largest component that a tenant may upload.
pub(crate) fn component_bytes(console: &Console, tenant: TenantId) -> usize {
    let limits = console.tenants.get(tenant).map(|tenant| of(console, &tenant).get(COMPONENT_BYTES));
    let allowed = limits.and_then(|bytes| usize::try_from(bytes).ok());
    allowed.map_or(console.max_plugin_bytes, |bytes| bytes.min(console.max_plugin_bytes))
}

/// A plan of the config; `None` for "".
pub(crate) fn plan(plans: &Plans, name: String) -> Result<Option<String>, Refusal> {
    if name.is_empty() {
        return Ok(None);
    }
    if plans.named.contains_key(&name) {
        return Ok(Some(name));
    }
    let known: Vec<&str> = plans.named.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "there is none".to_owned() } else { format!("there are {}", known.join(", ")) };
    let name: String = name.chars().take(64).collect();
    Err(Refusal::invalid(
        "no-such-plan",
        format!("the host's config has no plan `{name}`: {known}"),
        "add a section [plans.NAME] to the host's config and start it again",
    ))
}

/// A tenant's own limits.
pub(crate) fn of_tenant(given: Map<String, Value>) -> Result<Value, Refusal> {
    match Plans::parse(&given) {
        Ok(_) => Ok(Value::Object(given)),
        Err(problem) => Err(unusable(&problem)),
    }
}

/// An installation's own limits: none above its tenant's.
pub(crate) fn of_installation(tenant: &TenantLimits, given: Map<String, Value>) -> Result<Value, Refusal> {
    let limits = Value::Object(given);
    RunLimits::parse(&limits).map_err(|problem| unusable(&problem))?;
    match tenant.exceeded(&limits) {
        None => Ok(limits),
        Some((name, asked, allowed)) => Err(Refusal::invalid(
            "above-the-tenant",
            format!("limit `{name}`: {asked} is asked for, and the tenant has {allowed}"),
            "PATCH /api/v1/tenants/{id} raises the tenant's `limits`, or gives it another `plan`",
        )),
    }
}

/// The registry as this caller changes it: on the terms of the host's config and the tenant's limits.
pub(crate) fn registry(console: &Console, owner: &Tenant, caller: Caller) -> Registry {
    let hooks_per_event = Some(of(console, owner).get(HOOKS_PER_EVENT));
    console.tenants.by(caller.actor()).registry().on(Terms {
        approval: console.approval,
        signers: console.trusted.as_ref().map(TrustedKeys::names),
        hooks_per_event,
    })
}

fn unusable(problem: &str) -> Refusal {
    Refusal::invalid(
        "invalid-body",
        format!("member `limits` can't be used: {problem}"),
        "leave a limit out for its default; the ranges of all are in /api/v1/openapi.json",
    )
}

/// Every limit of an installation with its range and usual value, for the document.
pub(crate) fn installation_schema() -> Schema {
    let text =
        "Limits of an installation. All but effects_per_hour, kv_keys, kv_bytes and echoes are those of one run.";
    schema(text, RunLimits::members())
}

/// Every limit of a tenant, for the document.
pub(crate) fn tenant_schema() -> Schema {
    let text =
        "Limits of a tenant: the most that each of its installations may have, and those of the tenant as a whole.";
    schema(text, Plans::members())
}

fn schema(description: &str, members: Vec<(&'static str, LimitRange)>) -> Schema {
    let mut object = ObjectBuilder::new()
        .description(Some(description))
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    for (name, range) in members {
        let member = match range {
            LimitRange::Number { least, default, most } => ObjectBuilder::new()
                .schema_type(Type::Integer)
                .minimum(Some(least))
                .maximum(Some(most))
                .default(Some(default.into())),
            LimitRange::Switch { default } => {
                ObjectBuilder::new().schema_type(Type::Boolean).default(Some(default.into()))
            }
        };
        object = object.property(name, member);
    }
    object.into()
}
