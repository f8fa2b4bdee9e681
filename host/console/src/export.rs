//! The export of one tenant as lines of JSON: the tenant, its plugins, versions and installations, then everything the
//! journal holds, buyer data included (the law asks for it), secrets excluded.

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use fangshi_journal::{ExportCursor, Journal};
use fangshi_tenants::{Action, Entry, TenantId, Tenants};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::Console;
use crate::caller::Caller;
use crate::refusal::{Refusal, RefusalBody};
use crate::request::Ids;
use crate::tenants::known;

/// Pages that may wait for a slow reader.
const PAGES: usize = 2;

/// The lines of a tenant's export, a page at a time; each page ends with a line break. An error ends it: an export without
/// its last line (`"line":"end"`, with the number of lines before it) is not whole.
pub fn export_lines(tenants: Tenants, journal: Journal, tenant: TenantId) -> mpsc::Receiver<Result<Vec<u8>, String>> {
    let (pages, received) = mpsc::channel(PAGES);
    tokio::spawn(async move {
        if let Err(error) = send_all(&tenants, &journal, tenant, &pages).await {
            tracing::error!(%tenant, error, "an export broke off");
            let _ = pages.send(Err(error)).await;
        }
    });
    received
}

type Pages = mpsc::Sender<Result<Vec<u8>, String>>;

async fn send_all(tenants: &Tenants, journal: &Journal, tenant: TenantId, pages: &Pages) -> Result<(), String> {
    let mut count = 0;
    let own = tenants.export(tenant).await.map_err(|error| error.to_string())?;
    let mut open = send(pages, &own, &mut count).await;
    let mut after = String::new();
    while open {
        let decoded = tenants.export_decoded(tenant, &after).await.map_err(|error| error.to_string())?;
        let Some((last, _)) = decoded.last() else { break };
        after = last.clone();
        let lines: Vec<Value> = decoded.into_iter().map(|(_, line)| line).collect();
        open = send(pages, &lines, &mut count).await;
    }
    let mut cursor = ExportCursor::default();
    while open {
        match journal.export(tenant, &mut cursor).await.map_err(|error| error.to_string())? {
            Some(lines) => open = send(pages, &lines, &mut count).await,
            None => break,
        }
    }
    let end = serde_json::json!({"line": "end", "lines": count});
    send(pages, &[end], &mut count).await;
    Ok(())
}

/// False if nobody reads any more.
async fn send(pages: &Pages, lines: &[Value], count: &mut usize) -> bool {
    let mut page = Vec::new();
    for line in lines {
        page.extend_from_slice(line.to_string().as_bytes());
        page.push(b'\n');
    }
    *count += lines.len();
    pages.send(Ok(page)).await.is_ok()
}

/// Everything of one tenant, in clear
///
/// Lines of JSON (NDJSON), buyer data included, tokens and keys excluded. The last line is `{"line":"end"}`; an export
/// without it broke off. For the operator, who answers for it: each call is audited.
#[utoipa::path(
    get, operation_id = "getTenantExport", path = "/tenants/{tenant}/export", tag = "tenants", params(("tenant" = String, Path, description = "t1")),
    responses(
        (status = 200, description = "Lines of JSON", content_type = "application/x-ndjson"),
        (status = 404, body = RefusalBody),
    ),
)]
pub(crate) async fn export(
    State(console): State<Console>,
    caller: Caller,
    Ids(tenant): Ids<TenantId>,
) -> Result<Response, Refusal> {
    let tenant = known(&console, tenant)?;
    let entry = Entry::new(caller.actor(), Action::TenantExported, tenant.id).about(tenant.id);
    console.tenants.audit().record(entry).await.map_err(|error| Refusal::fault("auditing an export", &error))?;
    tracing::warn!(tenant = %tenant.id, "the tenant's data is exported in clear");
    metrics::counter!("fangshi_exports_total").increment(1);
    let pages = export_lines(console.tenants.clone(), console.journal.clone(), tenant.id);
    let stream = futures_util::stream::unfold(pages, |mut pages| async move {
        let page = pages.recv().await?;
        Some((page.map_err(std::io::Error::other), pages))
    });
    let name = format!("attachment; filename=\"{}.ndjson\"", tenant.id);
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(stream)).into_response())
}
