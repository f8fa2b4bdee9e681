//! The audit as a list: who did what, newest first. Merchants see what concerns their own tenant.

use axum::Json;
use axum::extract::State;
use fangshi_tenants::{AuditFilter, AuditRecord, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::Console;
use crate::caller::Caller;
use crate::page::{self, Page};
use crate::refusal::Refusal;
use crate::request::QueryOf;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Only of this tenant (t1; t0 is the host itself). A merchant sees its own tenant's in any case.
    tenant: Option<String>,
    /// The `next` of the page before; without it the list begins.
    after: Option<String>,
    /// Items of a page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// One entry of the audit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct AuditItem {
    /// Its place in the host's one chain, from 1.
    number: i64,
    /// Unix milliseconds.
    at: i64,
    /// system, operator (the token of the config), operator:k1 or merchant:k1 (with that token).
    actor: String,
    /// Such as `installation-made`.
    action: String,
    /// Whose matter: t1; t0 is the host.
    tenant: String,
    /// The ids it is about.
    subjects: Vec<String>,
    /// More about it; null if there is no more, or if the tenant's data were deleted.
    #[schema(value_type = Object, nullable)]
    details: Option<Value>,
    /// Its hash, which covers the entry before it: 64 hex digits.
    hash: String,
}

impl From<AuditRecord> for AuditItem {
    fn from(entry: AuditRecord) -> Self {
        AuditItem {
            number: entry.number,
            at: entry.at,
            actor: entry.actor,
            action: entry.action,
            tenant: entry.tenant.to_string(),
            subjects: entry.subjects,
            details: entry.details,
            hash: entry.hash.to_string(),
        }
    }
}

/// Who did what, newest first
///
/// `fangshi audit verify` checks the chain.
#[utoipa::path(
    get, operation_id = "listAudit", path = "/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = Page<AuditItem>)),
)]
pub(crate) async fn list(
    State(console): State<Console>,
    caller: Caller,
    QueryOf(query): QueryOf<AuditQuery>,
) -> Result<Json<Page<AuditItem>>, Refusal> {
    let asked: Option<TenantId> = match query.tenant.as_deref().map(str::parse) {
        None => None,
        Some(Ok(tenant)) => Some(tenant),
        Some(Err(error)) => {
            let message = format!("`tenant`: {error}");
            return Err(Refusal::malformed("invalid-query", message, "tenants are named t1, t2, …"));
        }
    };
    let tenant = match (caller.bound_to(), asked) {
        (Some(own), Some(asked)) if own != asked => return Err(crate::tenants::unknown(asked)),
        (own, asked) => own.or(asked),
    };
    let limit = page::limit(query.limit)?;
    let filter = AuditFilter { tenant, before: page::cursor(query.after.as_deref())?, limit: limit + 1 };
    let entries = console.tenants.audit().list(&filter).await;
    let entries = entries.map_err(|error| Refusal::fault("reading the audit", &error))?;
    let page = Page::cut(entries, limit, |entry| entry.number.to_string());
    Ok(Json(Page { items: page.items.into_iter().map(AuditItem::from).collect(), next: page.next }))
}
