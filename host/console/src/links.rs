//! Links to the merchant page, for the operator or the ISV's own back office to hand out.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fangshi_tenants::TenantId;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Console;
use crate::caller::Caller;
use crate::refusal::{Refusal, RefusalBody};
use crate::request::{Ids, JsonBody};
use crate::tenants::known;
use crate::tokens::refuse;

/// Minutes that a link is good for if the caller names no number.
const DEFAULT_MINUTES: u32 = 60;

/// A link to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkBody {
    /// What it is for, for the audit: 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    purpose: String,
    /// Minutes until it expires, 1 to 10080 (a week); 60 if absent.
    #[schema(minimum = 1, maximum = 10080)]
    minutes: Option<u32>,
}

/// A link to the merchant page, good for one entry.
#[derive(Serialize, ToSchema)]
#[schema(as = Link)]
pub(crate) struct LinkView {
    /// l1: not the secret.
    id: String,
    /// For the merchant to open. Whoever has it can enter: send it to nobody else. It is not kept.
    url: String,
    /// Unix milliseconds.
    expires_at: i64,
}

/// Make a link to the merchant page
///
/// Opening it shows a button; a click on the button enters and uses it up.
#[utoipa::path(
    post, operation_id = "createLink", path = "/tenants/{tenant}/links", tag = "access", request_body = LinkBody,
    params(("tenant" = String, Path, description = "t1")),
    responses((status = 201, body = LinkView), (status = 404, body = RefusalBody), (status = 409, description = "The host does not know its public address", body = RefusalBody)),
)]
pub(crate) async fn create(
    State(console): State<Console>,
    caller: Caller,
    Ids(tenant): Ids<TenantId>,
    JsonBody(body): JsonBody<LinkBody>,
) -> Result<(StatusCode, Json<LinkView>), Refusal> {
    known(&console, tenant)?;
    let address = console.entrance.address()?;
    let access = console.tenants.by(caller.actor()).access();
    let minutes = body.minutes.unwrap_or(DEFAULT_MINUTES);
    let (link, secret) = access.make_link(tenant, &body.purpose, minutes).await.map_err(refuse)?;
    tracing::info!(%tenant, link = %link.id, "link to the merchant page made");
    let url = format!("{address}/merchant/enter/{}", secret.expose_secret());
    Ok((StatusCode::CREATED, Json(LinkView { id: link.id.to_string(), url, expires_at: link.expires_at })))
}
