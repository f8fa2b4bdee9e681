//! The page of consent: what a version is called for, what it may read and do, in plain words; and the consent itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use fangshi_operations::{Kind, Sensitivity};
use fangshi_tenants::{
    Digest, GrantAsked, Installation, InstallationPatch, Misfit, NewInstallation, PluginId, RegistryError, Tenant,
    VersionRecord,
};
use serde_json::{Map, Value};

use super::fields::{self, Field, Filled, Input};
use super::language::Language;
use super::session::Session;
use super::{settings, view, words};
use crate::Console;
use crate::installations;
use crate::limits;
use crate::permission;

#[derive(Template)]
#[template(path = "consent.html")]
struct Consent<'a> {
    language: Language,
    here: &'a str,
    proof: &'a str,
    name: &'a str,
    version: &'a str,
    hooks: Vec<&'static str>,
    data: Vec<Asked<'a>>,
    operations: Vec<Asked<'a>>,
    services: Vec<Asked<'a>>,
    /// Marks of everything together, for the head of the page.
    personal: bool,
    money: bool,
    outside: bool,
    /// Of this plugin another version is at work: approving replaces it.
    replaces: Option<String>,
    /// This very version is at work.
    at_work: bool,
    /// Why it cannot be installed, or, if it is, why some of it does not work.
    obstacle: Option<String>,
    /// What it wants to be told, unless it is at work.
    fields: Vec<Field>,
    trouble: bool,
}

/// A grant in plain words.
struct Asked<'a> {
    name: &'a str,
    meaning: &'static str,
    functions: &'a [String],
    personal: bool,
    money: bool,
    outside: bool,
    /// The version at work does not have it.
    new: bool,
}

/// Shows what a version asks for.
pub(super) async fn show(
    State(console): State<Console>,
    session: Session,
    Path((plugin, version)): Path<(String, String)>,
) -> Response {
    let found = match find(&console, &session, &plugin, &version).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let (version, current) = found;
    page(StatusCode::OK, &session, &version, current, None)
}

fn page(
    status: StatusCode,
    session: &Session,
    version: &VersionRecord,
    current: Option<Arc<Installation>>,
    sent: Option<(&Map<String, Value>, &[Misfit])>,
) -> Response {
    let language = session.language;
    let fields = questions(version, current.as_deref(), sent, language);
    let grants = &version.manifest.grants;
    let of = |kind: Kind| asked(grants, kind, current.as_deref(), language);
    let (data, operations, services) = (of(Kind::Data), of(Kind::Operations), of(Kind::Service));
    let any = |marked: fn(&Asked<'_>) -> bool| data.iter().chain(&operations).chain(&services).any(marked);
    let http = grants.iter().any(|grant| grant.name == "http");
    let page = Consent {
        language,
        here: &format!("/merchant/consent/{}/{}", version.plugin, version.digest),
        proof: &session.proof,
        name: &version.plugin_name,
        version: &version.digest.to_string(),
        hooks: version
            .manifest
            .hooks
            .iter()
            .filter_map(|hook| words::hook(hook))
            .map(|hook| language.pick(hook.zh, hook.en))
            .collect(),
        personal: any(|asked| asked.personal),
        money: any(|asked| asked.money),
        outside: any(|asked| asked.outside),
        at_work: current.as_ref().is_some_and(|current| current.version == version.digest),
        replaces: current.filter(|current| current.version != version.digest).map(|one| words::short(&one.version)),
        obstacle: if http { Some(without_http(language)) } else { permissions(&session.tenant, grants, language) },
        data,
        operations,
        services,
        fields,
        trouble: sent.is_some(),
    };
    view::page(status, &page)
}

/// The form of the version's settings, filled in with what is set.
fn questions(
    version: &VersionRecord,
    current: Option<&Installation>,
    sent: Option<(&Map<String, Value>, &[Misfit])>,
    language: Language,
) -> Vec<Field> {
    let Some(schema) = version.settings_schema.as_ref() else { return Vec::new() };
    let shown = current.map(Installation::shown_settings);
    let filled = Filled {
        values: sent.map(|(sent, _)| sent).or(shown.as_ref().and_then(Value::as_object)),
        secrets: current.map(Installation::secrets_set).unwrap_or_default(),
        misfits: sent.map_or(&[], |(_, misfits)| misfits),
    };
    fields::fields(schema, &filled, language)
}

fn without_http(language: Language) -> String {
    let text = language.pick(
        "本系统暂不支持向外部网址发送数据，因此这个插件还不能安装。请让开发者去掉 http 后重新上传。",
        "This host does not offer sending data outside yet, so the plugin can't be installed. Ask its developer to build it \
         without `http`.",
    );
    text.to_owned()
}

/// The permission sets that the shop would have to grant first, with what each is for (platform page 2.5).
fn permissions(tenant: &Tenant, asked: &[GrantAsked], language: Language) -> Option<String> {
    let missing: BTreeSet<u16> =
        permission::lacking(tenant, asked).iter().map(|operation| operation.permission_set).collect();
    if missing.is_empty() {
        return None;
    }
    let named: Vec<String> = missing
        .iter()
        .map(|set| match words::permission_set(*set) {
            Some((zh, en)) => format!("{set} ({})", language.pick(zh, en)),
            None => set.to_string(),
        })
        .collect();
    Some(format!(
        "{}{}{}",
        language.pick(
            "您的店铺尚未向服务商授予这个插件所需的权限集：",
            "Your shop has not granted your service provider what this plugin needs on the platform, permission set "
        ),
        named.join(language.pick("、", ", ")),
        language.pick(
            "。请让服务商发送新的授权链接，勾选后再批准安装。",
            ". Ask for a new authorization link, grant it there, and approve the plugin then.",
        ),
    ))
}

/// Installs the version with exactly the grants that the page showed: a version never changes, and the address names it
/// by its digest. Of a plugin that is at work the version is replaced.
pub(super) async fn approve(
    State(console): State<Console>,
    session: Session,
    Path((plugin, version)): Path<(String, String)>,
    Form(form): Form<Vec<(String, String)>>,
) -> Response {
    if let Some(refused) = session.refuses(settings::proof(&form)) {
        return refused;
    }
    let (version, current) = match find(&console, &session, &plugin, &version).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let asked = version.manifest.grants.iter().map(|grant| grant.name.clone()).collect();
    let grants: BTreeSet<String> = match installations::grants(asked) {
        Ok(grants) => grants,
        Err(refusal) => return refused(session.language, refusal.code()),
    };
    if let Err(refusal) = permission::check(&console, &session.tenant, version.digest).await {
        return refused(session.language, refusal.code());
    }
    let current_id = current.as_ref().map(|current| current.id);
    if let Err(refusal) = limits::room_for(&console, &session.tenant, &version.manifest.hooks, current_id).await {
        return refused(session.language, refusal.code());
    }
    let given = version.settings_schema.as_ref().map(|schema| fields::settings(schema, &form));
    let (tenant, present) = (session.of(), current.clone());
    let tenants = console.tenants.by(session.caller.actor());
    let outcome = match current {
        Some(current) => {
            let patch = InstallationPatch {
                version: Some(version.digest),
                grants: Some(grants),
                settings: given.clone().map(Value::Object),
                ..InstallationPatch::default()
            };
            tenants.registry().patch_installation(tenant, current.id, patch).await
        }
        None => {
            let new = NewInstallation {
                plugin: version.plugin,
                version: version.digest,
                grants,
                settings: Value::Object(given.clone().unwrap_or_default()),
                limits: serde_json::json!({}),
            };
            tenants.registry().install(tenant, new).await
        }
    };
    match outcome {
        Ok(installation) => {
            tracing::info!(%tenant, installation = %installation.id, version = %installation.version, "plugin approved by its merchant");
            crate::tenants::wake(&console, tenant).await;
            Redirect::to("/merchant").into_response()
        }
        Err(RegistryError::Settings { misfits, .. }) => {
            let sent = given.unwrap_or_default();
            page(StatusCode::UNPROCESSABLE_ENTITY, &session, &version, present, Some((&sent, &misfits)))
        }
        Err(error) => changed(session.language, error),
    }
}

/// The version, if it is the merchant's, and the installation of its plugin, if there is one.
async fn find(
    console: &Console,
    session: &Session,
    plugin: &str,
    version: &str,
) -> Result<(VersionRecord, Option<Arc<Installation>>), Response> {
    let (Ok(plugin), Ok(digest)) = (plugin.parse::<PluginId>(), version.parse::<Digest>()) else {
        return Err(view::missing(session.language));
    };
    let registry = console.tenants.registry();
    let fault = |error: RegistryError| view::fault(session.language, "reading a version", &error);
    let version = registry.version_of(session.of(), plugin, digest).await.map_err(fault)?;
    let version = version.ok_or_else(|| view::missing(session.language))?;
    let installed = registry.installed(session.of()).await.map_err(fault)?;
    let current = installed.iter().rev().find(|one| one.plugin == plugin).cloned();
    Ok((version, current))
}

fn asked<'a>(
    grants: &'a [GrantAsked],
    kind: Kind,
    current: Option<&Installation>,
    language: Language,
) -> Vec<Asked<'a>> {
    let words = |grant: &'a GrantAsked| {
        // Only interfaces of the contract pass the upload; one that the table lost is shown among the operations.
        let known = fangshi_operations::interface(&grant.name);
        if known.map_or(Kind::Operations, |known| known.kind) != kind {
            return None;
        }
        let sensitivity = known.map_or(Sensitivity::Outside, |known| known.sensitivity);
        Some(Asked {
            name: &grant.name,
            meaning: known.map_or("", |known| language.pick(known.zh, known.en)),
            functions: &grant.functions,
            personal: sensitivity == Sensitivity::Personal,
            money: sensitivity == Sensitivity::Money,
            outside: sensitivity == Sensitivity::Outside,
            new: current.is_some_and(|current| !current.grants.contains(&grant.name)),
        })
    };
    grants.iter().filter_map(words).collect()
}

/// What the registry refused, in words.
pub(super) fn changed(language: Language, error: RegistryError) -> Response {
    match &error {
        RegistryError::UnknownInstallation(_) | RegistryError::UnknownPlugin(_) | RegistryError::UnknownVersion(_) => {
            view::missing(language)
        }
        RegistryError::Removed(_) => refused(language, "installation-removed"),
        RegistryError::Grants { .. } => refused(language, "grants-missing"),
        RegistryError::Settings { .. } => refused(language, "settings-unfit"),
        RegistryError::Invalid { member: "schedules", .. } => refused(language, "schedules-unfit"),
        _ => view::fault(language, "changing an installation", &error),
    }
}

fn refused(language: Language, code: &str) -> Response {
    let words = words::refusal(code);
    view::refused(language, StatusCode::CONFLICT, (words.zh, words.en), (words.todo_zh, words.todo_en))
}
