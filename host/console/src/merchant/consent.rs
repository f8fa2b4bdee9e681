//! The page of consent: what a version is called for, what it may read and do, in plain words; and the consent itself.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use fangshi_operations::{Kind, Sensitivity, meets};
use fangshi_tenants::{
    Digest, GrantAsked, Installation, InstallationPatch, Misfit, NewInstallation, PluginId, RegistryError, Tenant,
    VersionRecord,
};
use serde_json::{Map, Value};

use super::fields::{self, Field, Filled, Input};
use super::language::Language;
use super::session::Session;
use super::{view, words};
use crate::Console;
use crate::installations;
use crate::limits;
use crate::permission;
use crate::plugins;

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
    /// It sends requests to outside hosts.
    http: bool,
    /// The hosts that the merchant approved besides those that the version declares, a line each.
    hosts: String,
    /// Why it cannot be installed, or, if it is, why some of it does not work.
    obstacle: Option<String>,
    /// Whether there is something to consent to, or to take back: at work, the merchant's own hosts, whatever stands in the way.
    decides: bool,
    /// What it wants to be told, unless it is at work.
    fields: Vec<Field>,
    trouble: bool,
}

/// A grant in plain words.
struct Asked<'a> {
    name: &'a str,
    meaning: Cow<'static, str>,
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
    page(&console, StatusCode::OK, &session, &version, current, None)
}

/// What a merchant filled in that was refused.
struct Sent<'a> {
    settings: &'a Map<String, Value>,
    misfits: &'a [Misfit],
    hosts: &'a str,
}

fn page(
    console: &Console,
    status: StatusCode,
    session: &Session,
    version: &VersionRecord,
    current: Option<Arc<Installation>>,
    sent: Option<Sent<'_>>,
) -> Response {
    let language = session.language;
    let fields = questions(version, current.as_deref(), sent.as_ref(), language);
    let grants = &version.manifest.grants;
    let of = |kind: Kind| asked(grants, kind, current.as_deref(), language);
    let (data, operations, services) = (of(Kind::Data), of(Kind::Operations), of(Kind::Service));
    let any = |marked: fn(&Asked<'_>) -> bool| data.iter().chain(&operations).chain(&services).any(marked);
    let http = grants.iter().any(|grant| grant.name == "http");
    let at_work = is_at_work(current.as_deref(), version);
    let obstacle = match (http && !console.operations.reaches_outside(), plugins::waits(console, version) && !at_work) {
        (true, _) => Some(without_http(language)),
        (false, true) => Some(unapproved(version, language)),
        (false, false) => permissions(&session.tenant, grants, language),
    };
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
        at_work,
        http,
        hosts: match (&sent, &current) {
            (Some(sent), _) => sent.hosts.to_owned(),
            (None, Some(current)) => other_hosts(current, grants),
            (None, None) => String::new(),
        },
        replaces: current.filter(|current| current.version != version.digest).map(|one| words::short(&one.version)),
        decides: if at_work { http } else { obstacle.is_none() },
        obstacle,
        data,
        operations,
        services,
        fields,
        trouble: sent.is_some(),
    };
    view::page(status, &page)
}

/// Whether this very version is at work.
fn is_at_work(current: Option<&Installation>, version: &VersionRecord) -> bool {
    current.is_some_and(|current| current.version == version.digest)
}

/// The form of the version's settings, filled in with what is set.
fn questions(
    version: &VersionRecord,
    current: Option<&Installation>,
    sent: Option<&Sent<'_>>,
    language: Language,
) -> Vec<Field> {
    let Some(schema) = version.settings_schema.as_ref() else { return Vec::new() };
    let shown = current.map(Installation::shown_settings);
    let filled = Filled {
        values: sent.map(|sent| sent.settings).or(shown.as_ref().and_then(Value::as_object)),
        secrets: current.map(Installation::secrets_set).unwrap_or_default(),
        misfits: sent.map_or(&[], |sent| sent.misfits),
    };
    fields::fields(schema, &filled, language)
}

fn without_http(language: Language) -> String {
    let text = language.pick(
        "这个插件要向外部网址发送数据，而服务商关闭了这项功能，因此不能安装。请联系服务商。",
        "The plugin sends data outside, which your service provider has switched off, so it can't be installed. Ask your \
         service provider.",
    );
    text.to_owned()
}

fn unapproved(version: &VersionRecord, language: Language) -> String {
    let text = match version.revoked_at {
        None => language.pick(
            "这个版本正在等待服务商审核，审核通过后您才能安装。请联系服务商。",
            "This version waits for your service provider's approval; after that you can install it. Please ask them.",
        ),
        Some(_) => language.pick(
            "服务商撤销了对这个版本的审核，因此不能安装。请联系服务商或使用其他版本。",
            "Your service provider took the approval of this version back, so it can't be installed. Ask them, or use another \
             version.",
        ),
    };
    text.to_owned()
}

/// The approved hosts that the version does not declare itself.
fn other_hosts(current: &Installation, asked: &[GrantAsked]) -> String {
    let declared = |grant: &String| asked.iter().any(|one| one.name == *grant);
    let hosts = current.grants.iter().filter(|grant| !declared(grant)).filter_map(|grant| grant.strip_prefix("http:"));
    hosts.collect::<Vec<_>>().join("\n")
}

/// What a merchant consents to: all that the version asks for, and the hosts that the merchant named.
fn consented(asked: &[GrantAsked], hosts: &str) -> Vec<String> {
    let mut grants: Vec<String> =
        asked.iter().filter(|grant| grant.name != "http").map(|grant| grant.name.clone()).collect();
    if asked.iter().any(|grant| grant.name == "http") {
        for line in hosts.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let given = format!("http:{line}");
            let grant = match fangshi_operations::host_of(&given) {
                Some(Ok(host)) => format!("http:{host}"),
                // Refused with the others.
                _ => given,
            };
            if !grants.contains(&grant) {
                grants.push(grant);
            }
        }
    }
    grants
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

/// Installs the version with exactly the grants that the page showed, and the hosts that the merchant named: a version never
/// changes, and the address names it by its digest. Of a plugin that is at work the version is replaced.
pub(super) async fn approve(
    State(console): State<Console>,
    session: Session,
    Path((plugin, version)): Path<(String, String)>,
    Form(form): Form<Vec<(String, String)>>,
) -> Response {
    if let Some(refused) = session.refuses(fields::sent(&form, "proof")) {
        return refused;
    }
    let (version, current) = match find(&console, &session, &plugin, &version).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let asked = &version.manifest.grants;
    // Those besides what the version declares, a line each.
    let hosts = fields::sent(&form, "hosts");
    let held = current.as_ref().map(|current| current.grants.clone()).unwrap_or_default();
    let grants: BTreeSet<String> = match installations::grants(&console, consented(asked, hosts), &held) {
        Ok(grants) => grants,
        Err(refusal) => return refused(session.language, refusal.code()),
    };
    if asked.iter().any(|grant| grant.name == "http") && !meets(grants.iter(), "http") {
        return refused(session.language, "host-missing");
    }
    // At work it was consented to: what changes is the merchant's own hosts, which may be taken back whatever the shop grants.
    if !is_at_work(current.as_deref(), &version)
        && let Err(refusal) = permission::check(&console, &session.tenant, version.digest).await
    {
        return refused(session.language, refusal.code());
    }
    let given = version.settings_schema.as_ref().map(|schema| fields::settings(schema, &form));
    let (tenant, present) = (session.of(), current.clone());
    let registry = limits::registry(&console, &session.tenant, session.caller);
    let outcome = match current {
        Some(current) => {
            let patch = InstallationPatch {
                version: Some(version.digest),
                grants: Some(grants),
                settings: given.clone().map(Value::Object),
                ..InstallationPatch::default()
            };
            registry.patch_installation(tenant, current.id, patch).await
        }
        None => {
            let new = NewInstallation {
                plugin: version.plugin,
                version: version.digest,
                grants,
                settings: Value::Object(given.clone().unwrap_or_default()),
                limits: serde_json::json!({}),
                schedules: Vec::new(),
            };
            registry.install(tenant, new).await
        }
    };
    match outcome {
        Ok(installation) => {
            tracing::info!(%tenant, installation = %installation.id, version = %installation.version, "plugin approved by its merchant");
            crate::tenants::wake(&console, tenant).await;
            Redirect::to("/merchant").into_response()
        }
        Err(RegistryError::Settings { misfits, .. }) => {
            let settings = given.unwrap_or_default();
            let sent = Sent { settings: &settings, misfits: &misfits, hosts };
            page(&console, StatusCode::UNPROCESSABLE_ENTITY, &session, &version, present, Some(sent))
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
        let known = fangshi_operations::grant(&grant.name);
        if known.map_or(Kind::Operations, |known| known.interface.kind) != kind {
            return None;
        }
        let sensitivity = known.map_or(Sensitivity::Outside, |known| known.interface.sensitivity);
        Some(Asked {
            name: &grant.name,
            meaning: known.map_or("".into(), |known| match language {
                Language::Chinese => known.zh(),
                Language::English => known.en(),
            }),
            functions: &grant.functions,
            personal: sensitivity == Sensitivity::Personal,
            money: sensitivity == Sensitivity::Money,
            outside: sensitivity == Sensitivity::Outside,
            new: current.is_some_and(|current| !meets(current.grants.iter(), &grant.name)),
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
        RegistryError::NotApproved(_) => refused(language, "version-not-approved"),
        RegistryError::NotSigned(_) => refused(language, "version-not-signed"),
        RegistryError::Revoked(_) => refused(language, "version-revoked"),
        RegistryError::PausedByOperator(_) => refused(language, "paused-by-operator"),
        RegistryError::HooksPerEvent { .. } => refused(language, "hooks-per-event"),
        RegistryError::Settings { .. } => refused(language, "settings-unfit"),
        RegistryError::Invalid { member: "schedules", .. } => refused(language, "schedules-unfit"),
        _ => view::fault(language, "changing an installation", &error),
    }
}

fn refused(language: Language, code: &str) -> Response {
    let words = words::refusal(code);
    view::refused(language, StatusCode::CONFLICT, (words.zh, words.en), (words.todo_zh, words.todo_en))
}
