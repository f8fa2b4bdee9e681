//! Limits of tenants and of installations: what may be asked for, and what there is.

use fangshi_lanes::{COMPONENT_BYTES, HOOKS_PER_EVENT, LimitRange, Plans, RunLimits, TenantLimits};
use fangshi_tenants::{Installation, InstallationId, Tenant, TenantId};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};

use crate::Console;
use crate::installations;
use crate::refusal::Refusal;

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

/// Whether an installation may hear these hooks besides all others. `current` is the one that changes: what it hears
/// already it goes on hearing.
pub(crate) async fn room_for(
    console: &Console,
    owner: &Tenant,
    hooks: &[String],
    current: Option<InstallationId>,
) -> Result<(), Refusal> {
    let allowed = of(console, owner).get(HOOKS_PER_EVENT);
    let installed = console.tenants.registry().installed(owner.id).await.map_err(installations::refuse)?;
    let hears = |one: &Installation, hook: &String| one.hooks.contains(hook);
    for hook in hooks {
        if installed.iter().any(|one| Some(one.id) == current && hears(one, hook)) {
            continue;
        }
        let hearing = installed.iter().filter(|one| hears(one, hook)).count() as u64;
        if hearing >= allowed {
            return Err(Refusal::conflict(
                "hooks-per-event",
                format!("{hearing} installations of {} hear `{hook}`, and it may have {allowed}", owner.id),
                "remove one that is not needed, or let the operator raise the tenant's limit hooks_per_event",
            ));
        }
    }
    Ok(())
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
