//! Plugins: an upload becomes a version, named by its sha256; versions are listed.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use fangshi_operations::HOSTS_SECTION;
use fangshi_runtime::{CompileError, Manifest, RuntimeError, ending_of};
use fangshi_tenants::{Declared, Digest, GrantAsked, ManifestRecord, SettingsSchema, TenantId, VersionRecord};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Console;
use crate::caller::Caller;
use crate::installations;
use crate::limits;
use crate::page::{self, Page};
use crate::refusal::{Refusal, RefusalBody};
use crate::request::{Ids, QueryOf, most, read_body, require_type, spill};
use crate::signature;
use crate::uploading::Turn;

const UNLOADABLE: &str =
    "build it with `cargo xtask guests` or the SDK's build, and try `fangshi plugin run FILE.wasm` at your desk";

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UploadQuery {
    /// The plugin's name; a name that the tenant already has gets a new version. 1 to 64 of a-z, 0-9, `-`, `_`, `.`; not `.` or `..`.
    #[param(min_length = 1, max_length = 64, pattern = "^[a-z0-9._-]+$")]
    name: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct VersionsQuery {
    /// Only versions of this plugin: its id (p1) or name.
    plugin: Option<String>,
    /// The `next` of the page before; without it the list begins.
    after: Option<String>,
    /// Items of a page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// One version of a plugin.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Version)]
pub(crate) struct VersionView {
    /// The plugin's id, p1….
    plugin: String,
    /// The plugin's name.
    name: String,
    /// The sha256 of the component, in hex.
    version: String,
    /// The hooks it exports: what it subscribes to.
    hooks: Vec<String>,
    /// The grants it asks for.
    grants: Vec<GrantView>,
    /// The JSON Schema of its settings; absent: it has none, and its settings are any JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    settings_schema: Option<serde_json::Value>,
    /// Bytes of the component.
    size: u64,
    /// When it was first uploaded, unix milliseconds.
    uploaded_at: i64,
    /// When the operator approved it, unix milliseconds; what an operator uploads is approved by that.
    approved_at: Option<i64>,
    /// Who did, as in the audit.
    approved_by: Option<String>,
    /// When the operator took the approval back, unix milliseconds; null once it was given again.
    approval_revoked_at: Option<i64>,
    /// The trusted key that signed it, if the host took signed components only when it came.
    signed_by: Option<String>,
    /// true: it can't be installed before the operator approves it.
    waits_for_approval: bool,
}

/// One grant that a version asks for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GrantAsked)]
pub(crate) struct GrantView {
    /// The interface's name, such as `notes`; or `http:HOST`, a host that the plugin declares.
    name: String,
    /// The functions it imports of the interface; none for a host.
    functions: Vec<String>,
    /// How delicate what it opens is: plain, money, personal, outside.
    sensitivity: String,
    /// What consent to it means, in English.
    meaning: String,
    /// The same in Chinese.
    meaning_zh: String,
}

impl VersionView {
    pub(crate) fn new(version: VersionRecord, console: &Console) -> Self {
        VersionView {
            waits_for_approval: waits(console, &version),
            approved_at: version.approved_at,
            approved_by: version.approved_by,
            approval_revoked_at: version.revoked_at,
            signed_by: version.signed_by,
            plugin: version.plugin.to_string(),
            name: version.plugin_name,
            version: version.digest.to_string(),
            hooks: version.manifest.hooks,
            grants: version.manifest.grants.into_iter().map(GrantView::from).collect(),
            settings_schema: version.settings_schema.map(|schema| schema.value().clone()),
            size: version.size,
            uploaded_at: version.uploaded_at,
        }
    }
}

/// Whether a version can't be installed before it is uploaded again with a trusted key's signature.
pub(crate) fn is_unsigned(console: &Console, version: &VersionRecord) -> bool {
    console
        .trusted
        .as_ref()
        .is_some_and(|trusted| !version.signed_by.as_ref().is_some_and(|key| trusted.names().contains(key)))
}

/// Whether a version can't be installed before the operator approves it. One whose approval was taken back can't, whether the
/// host's config asks for approvals or not.
pub(crate) fn waits(console: &Console, version: &VersionRecord) -> bool {
    version.revoked_at.is_some() || (console.approval && version.approved_at.is_none())
}

impl From<GrantAsked> for GrantView {
    fn from(grant: GrantAsked) -> Self {
        // Only interfaces of the contract pass the upload; one that the table lost is shown as the most delicate.
        let (sensitivity, meaning, meaning_zh) = match fangshi_operations::grant(&grant.name) {
            Some(known) => (known.interface.sensitivity.name(), known.en().into_owned(), known.zh().into_owned()),
            None => ("outside", String::new(), String::new()),
        };
        GrantView {
            name: grant.name,
            functions: grant.functions,
            sensitivity: sensitivity.to_owned(),
            meaning,
            meaning_zh,
        }
    }
}

/// Upload a plugin
///
/// The body is a component. Its type is its manifest: exported hooks are what it subscribes to, imported interfaces the
/// grants it asks for; one that sends requests declares in its custom section `fangshi:http-hosts` to which hosts, a line
/// each, and asks for `http:HOST` of each. The same bytes again give 200 and the same version. A host that takes signed components only wants the
/// header `fangshi-signature`: the component's `.minisig` file in base64.
#[utoipa::path(
    post, operation_id = "uploadPluginVersion", path = "/tenants/{tenant}/plugins", tag = "plugins",
    params(("tenant" = String, Path, description = "t1"), UploadQuery),
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses(
        (status = 201, description = "A new version", body = VersionView),
        (status = 200, description = "These bytes were there already", body = VersionView),
        (status = 408, description = "The body did not come whole in its time", body = RefusalBody),
        (status = 409, description = "The tenant has uploaded as many versions or bytes as it may, or an upload of it is under way", body = RefusalBody),
        (status = 413, description = "Too large", body = RefusalBody),
        (status = 415, description = "Not application/wasm", body = RefusalBody),
        (status = 422, description = "No component, or one with imports or exports outside of the contract, each named; or a declared host that can't be approved; or its settings schema makes no form; or compiling it failed or met a limit, named with its figure; or no trusted key signed it", body = RefusalBody),
        (status = 429, description = "Earlier uploads did not compile, and the tenant waits before the next one; or too many requests or wrong tokens; see Retry-After", body = RefusalBody),
        (status = 503, description = "Other uploads fill the memory that the host has for them; see Retry-After", body = RefusalBody),
    ),
)]
pub(crate) async fn upload(
    State(console): State<Console>,
    caller: Caller,
    Ids(tenant): Ids<TenantId>,
    QueryOf(query): QueryOf<UploadQuery>,
    request: Request,
) -> Result<(StatusCode, Json<VersionView>), Refusal> {
    crate::tenants::known(&console, tenant)?;
    require_type(request.headers(), "application/wasm")?;
    let signature = signature::of(request.headers()).map(str::to_owned);
    let limit = limits::component_bytes(&console, tenant);
    let turn = match begin(&console, tenant, most(request.headers(), limit)) {
        Ok(turn) => turn,
        Err(refusal) => {
            spill(request.into_body()).await;
            return Err(refusal);
        }
    };
    let wasm = read_body(
        request.into_body(),
        limit,
        "a component",
        "make it smaller, or let the operator raise the tenant's component_bytes, or max_plugin_bytes in [limits] of the \
         host's config",
    )
    .await?;
    let (version, new) = keep(&console, caller, &turn, &query.name, wasm, signature).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(VersionView::new(version, &console))))
}

/// Begins an upload of at most so many bytes. Before any of them is read: what comes is held in memory.
pub(crate) fn begin(console: &Console, tenant: TenantId, bytes: usize) -> Result<Turn, Refusal> {
    console.uploading.begin(tenant, bytes, console.tenants.clock().now())
}

/// Makes a version of an upload; true if it is a new one.
pub(crate) async fn keep(
    console: &Console,
    caller: Caller,
    turn: &Turn,
    name: &str,
    wasm: Vec<u8>,
    signature: Option<String>,
) -> Result<(VersionRecord, bool), Refusal> {
    let tenant = turn.of();
    let Inspected { declared, digest, wasm } = inspect(console, wasm, signature).await?;
    let tenants = console.tenants.by(caller.actor());
    let registry = tenants.registry().within(console.uploads);
    registry.room_for(tenant, name, digest, wasm.len()).await.map_err(installations::refuse)?;
    let compiled = compile(console, &wasm).await;
    // What may be the host's own doing (a compiler that broke off, say) is no failure of the upload.
    let own = ["compile-too-slow", "compile-too-large", "component-unloadable"];
    if compiled.as_ref().err().is_none_or(|refusal| own.contains(&refusal.code())) {
        turn.compiled(compiled.is_ok(), console.tenants.clock().now());
    }
    compiled?;
    let kept = registry.add_version(tenant, name, digest, declared, &wasm).await;
    let (plugin, version, new) = kept.map_err(installations::refuse)?;
    tracing::info!(%tenant, %plugin, version = %version.digest, new, "plugin uploaded");
    Ok((version, new))
}

/// Versions of a tenant's plugins, in the order of their uploads
#[utoipa::path(
    get, operation_id = "listPluginVersions", path = "/tenants/{tenant}/plugins", tag = "plugins",
    params(("tenant" = String, Path, description = "t1"), VersionsQuery),
    responses((status = 200, body = Page<VersionView>)),
)]
pub(crate) async fn list(
    State(console): State<Console>,
    Ids(tenant): Ids<TenantId>,
    QueryOf(query): QueryOf<VersionsQuery>,
) -> Result<Json<Page<VersionView>>, Refusal> {
    crate::tenants::known(&console, tenant)?;
    let plugin = match &query.plugin {
        Some(plugin) => Some(installations::plugin_id(&console, tenant, plugin).await?),
        None => None,
    };
    let limit = page::limit(query.limit)?;
    let after = page::cursor::<i64>(query.after.as_deref())?;
    let versions = console.tenants.registry().versions(tenant, plugin, after, limit + 1).await;
    let page = Page::cut(versions.map_err(installations::refuse)?, limit, |version| version.number.to_string());
    Ok(Json(Page {
        items: page.items.into_iter().map(|version| VersionView::new(version, &console)).collect(),
        next: page.next,
    }))
}

/// What an upload says of itself, and its bytes.
struct Inspected {
    declared: Declared,
    digest: Digest,
    wasm: Vec<u8>,
}

/// Reads what the component says of itself. Off the workers: validation takes milliseconds for a large one.
async fn inspect(console: &Console, wasm: Vec<u8>, signature: Option<String>) -> Result<Inspected, Refusal> {
    let (runtime, trusted) = (console.runtime.clone(), console.trusted.clone());
    let work = move || {
        // First: what nobody answers for is not even read.
        let signed_by = match trusted {
            Some(trusted) => Some(trusted.check(signature.as_deref(), &wasm)?),
            None => None,
        };
        let manifest = runtime.inspect(&wasm).map_err(|refused| refuse(&refused))?;
        let manifest = record(manifest, &wasm)?;
        let settings = SettingsSchema::of(&fangshi_runtime::sections(&wasm, SettingsSchema::SECTION));
        let settings = settings.map_err(|problem| {
            let hint = "docs/settings-and-schedules.md says what a schema of settings may hold; `fangshi plugin inspect FILE.wasm` tells the same at your desk";
            Refusal::invalid("settings-schema", problem.to_string(), hint)
        })?;
        let declared = Declared { manifest, settings, signed_by };
        Ok::<_, Refusal>(Inspected { declared, digest: Digest::of(&wasm), wasm })
    };
    let inspected = tokio::task::spawn_blocking(work).await;
    inspected.map_err(|ended| Refusal::fault("reading the component", &ending_of(&ended)))?
}

/// What is kept of a manifest: behind its grants the hosts that the component declares, if it sends requests at all.
fn record(manifest: Manifest, wasm: &[u8]) -> Result<ManifestRecord, Refusal> {
    let mut grants: Vec<GrantAsked> =
        manifest.grants.into_iter().map(|grant| GrantAsked { name: grant.name, functions: grant.functions }).collect();
    if grants.iter().any(|grant| grant.name == "http") {
        let hosts = fangshi_operations::hosts_asked(&fangshi_runtime::sections(wasm, HOSTS_SECTION));
        let hosts = hosts.map_err(|why| {
            Refusal::invalid(
                "hosts-unreadable",
                format!("the component's section `{HOSTS_SECTION}`: {why}"),
                "declare one host a line, in full and without scheme and path: `erp.example.com`, or `erp.example.com:8443`",
            )
        })?;
        grants.extend(hosts.into_iter().map(|name| GrantAsked { name, functions: Vec::new() }));
    }
    Ok(ManifestRecord { hooks: manifest.hooks, grants })
}

/// Compiles it now: what does not compile is the uploader's to know, and the first event need not wait for it.
async fn compile(console: &Console, wasm: &[u8]) -> Result<(), Refusal> {
    match console.runtime.load_bytes(wasm.to_vec()).await {
        Ok(_) => Ok(()),
        Err(RuntimeError::Unloadable(why)) => {
            Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "component-unloadable", why, UNLOADABLE))
        }
        Err(RuntimeError::Compile(error)) => Err(not_compiled(&error)),
        Err(error) => Err(Refusal::fault("compiling the component", &error)),
    }
}

/// What the compiler met, with the figure.
fn not_compiled(error: &CompileError) -> Refusal {
    let raise = "let its author make it smaller, or the operator raise the limit in [uploads] of the host's config";
    let (code, hint) = match error {
        CompileError::TooSlow { .. } => ("compile-too-slow", raise),
        CompileError::TooLarge { .. } | CompileError::NoMemory => ("compile-too-large", raise),
        CompileError::Failed(_) => {
            ("compile-failed", "build it again with the SDK's build; the host's log says how the compiler ended")
        }
        CompileError::Refused(_) => ("component-unloadable", UNLOADABLE),
        CompileError::Unavailable(_) => return Refusal::fault("compiling the component", error),
    };
    Refusal::invalid(code, error.to_string(), hint)
}

/// Everything that is wrong with an upload, a line each; the code is that of the first.
fn refuse(refused: &fangshi_runtime::Refusal) -> Refusal {
    let code = refused.problems.first().map_or("component-invalid", |problem| problem.code());
    let status = match code {
        "component-too-large" => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let hint = "build against the contract in wit/; `fangshi plugin inspect FILE.wasm` tells the same at your desk";
    Refusal::new(status, code, refused.to_string(), hint)
}
