//! Plugins, versions, installations, grants.

use std::collections::BTreeSet;

use fangshi_database::{Digest, InstallationId, PluginId, TenantId};
use serde_json::{Value, json};

use super::{Scene, scene, tenants_of};
use crate::{
    GrantAsked, InstallationPatch, InstallationState, ManifestRecord, NewInstallation, Registry, RegistryError,
    UploadLimits,
};

fn manifest(hooks: &[&str], grants: &[&str]) -> ManifestRecord {
    let asked = |name: &&str| GrantAsked { name: (*name).to_owned(), functions: vec![format!("use-{name}")] };
    ManifestRecord {
        hooks: hooks.iter().map(|hook| (*hook).to_owned()).collect(),
        grants: grants.iter().map(asked).collect(),
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(super) fn new(plugin: PluginId, code: &[u8], grants: &[&str]) -> NewInstallation {
    NewInstallation {
        plugin,
        version: Digest::of(code),
        grants: names(grants),
        settings: json!({ "threshold": 9_007_199_254_740_993_i64 }),
        limits: json!({}),
        schedules: Vec::new(),
    }
}

pub(super) async fn upload(registry: &Registry, tenant: TenantId, code: &[u8], grants: &[&str]) -> PluginId {
    let manifest = manifest(&["on-pay"], grants);
    registry.add_version(tenant, "tags", Digest::of(code), manifest, code).await.unwrap().0
}

async fn active(scene: &Scene, tenant: TenantId) -> Vec<i64> {
    scene.tenants.registry().active(tenant).await.unwrap().iter().map(|i| i.id.0).collect()
}

#[tokio::test]
async fn the_same_bytes_are_the_same_version() {
    let scene = scene().await;
    let (a, b) = (scene.authorized("wxa").await.id, scene.authorized("wxb").await.id);
    let registry = scene.tenants.registry();
    let (digest, manifest) = (Digest::of(b"code"), manifest(&["on-pay", "on-new"], &["notes"]));
    let (plugin, version, fresh) = registry.add_version(a, "tags", digest, manifest.clone(), b"code").await.unwrap();
    assert!(fresh && version.size == 4 && version.plugin == plugin && version.manifest == manifest);
    scene.hand.advance(1000);
    let again = registry.add_version(a, "tags", digest, manifest.clone(), b"code").await.unwrap();
    assert_eq!(again, (plugin, version.clone(), false));

    // Another name or another tenant: another version of the same bytes.
    let (other, _, fresh) = registry.add_version(a, "labels", digest, manifest.clone(), b"code").await.unwrap();
    assert!(fresh && other != plugin);
    assert!(registry.add_version(b, "tags", digest, manifest.clone(), b"code").await.unwrap().2);
    assert_eq!(registry.version(a, digest).await.unwrap(), Some(version));
    assert_eq!(registry.wasm(a, digest).await.unwrap(), b"code");
    assert_eq!(registry.version(a, Digest::of(b"none")).await.unwrap(), None);
    assert!(matches!(registry.wasm(a, Digest::of(b"none")).await.unwrap_err(), RegistryError::UnknownVersion(_)));

    let page = registry.plugins(a, None, 1).await.unwrap();
    assert_eq!(page[0].name, "tags");
    assert_eq!(registry.plugins(a, Some(page[0].id), 9).await.unwrap()[0].name, "labels");
    let all = registry.versions(a, None, None, 9).await.unwrap();
    assert_eq!(all.iter().map(|v| v.plugin_name.as_str()).collect::<Vec<_>>(), ["tags", "labels"]);
    assert_eq!(registry.versions(a, None, Some(all[0].number), 9).await.unwrap(), all[1..]);
    assert_eq!(registry.versions(a, Some(other), None, 9).await.unwrap(), all[1..]);
    assert_eq!(registry.plugin_named(a, "labels").await.unwrap().unwrap().id, other);
}

#[tokio::test]
async fn what_cannot_be_uploaded_is_refused() {
    let scene = scene().await;
    let tenant = scene.authorized("wxa").await.id;
    let registry = scene.tenants.registry();
    let digest = Digest::of(b"code");
    for name in ["", "Tags", "a b", "../x", &"a".repeat(65)] {
        let refused = registry.add_version(tenant, name, digest, manifest(&[], &[]), b"code").await.unwrap_err();
        assert!(matches!(refused, RegistryError::Invalid { member: "name", .. }), "{name}");
    }
    let other = registry.add_version(tenant, "tags", digest, manifest(&[], &[]), b"other").await.unwrap_err();
    assert!(matches!(other, RegistryError::Invalid { member: "version", .. }));
    let nobody = registry.add_version(TenantId(9), "tags", digest, manifest(&[], &[]), b"code").await.unwrap_err();
    assert!(matches!(nobody, RegistryError::UnknownTenant(_)));
    assert_eq!(scene.number("SELECT count(*) FROM plugins").await, 0);
}

#[tokio::test]
async fn a_missing_grant_is_named_and_nothing_is_installed() {
    let scene = scene().await;
    let tenant = scene.authorized("wxa").await.id;
    let registry = scene.tenants.registry();
    let plugin = upload(registry, tenant, b"code", &["notes", "order-price", "order-address"]).await;
    let refused = registry.install(tenant, new(plugin, b"code", &["notes", "price"])).await.unwrap_err();
    let text = refused.to_string();
    let RegistryError::Grants { missing, unknown } = refused else { panic!("{text}") };
    assert_eq!((missing, unknown), (vec!["order-address".into(), "order-price".into()], vec!["price".into()]));
    assert!(text.contains("order-address") && text.contains("price"), "{text}");
    assert!(active(&scene, tenant).await.is_empty());
    assert_eq!(scene.number("SELECT count(*) FROM installations").await, 0);

    let installed =
        registry.install(tenant, new(plugin, b"code", &["notes", "order-price", "order-address"])).await.unwrap();
    assert_eq!(installed.grants, names(&["notes", "order-price", "order-address"]));
    assert_eq!(installed.hooks, ["on-pay"]);
    assert_eq!(installed.settings["threshold"], json!(9_007_199_254_740_993_i64), "no float on the way");
    assert_eq!(scene.number("SELECT count(*) FROM grants").await, 3);
}

#[tokio::test]
async fn what_cannot_be_installed_is_refused() {
    let scene = scene().await;
    let (a, b) = (scene.authorized("wxa").await.id, scene.authorized("wxb").await.id);
    let registry = scene.tenants.registry();
    let plugin = upload(registry, a, b"code", &[]).await;
    let other = registry.install(a, new(plugin, b"other", &[])).await.unwrap_err();
    assert!(matches!(other, RegistryError::UnknownVersion(_)), "{other}");
    let foreign = registry.install(b, new(plugin, b"code", &[])).await.unwrap_err();
    assert!(matches!(foreign, RegistryError::UnknownPlugin(_)), "another tenant's plugin: {foreign}");
    let settings = NewInstallation { settings: json!([]), ..new(plugin, b"code", &[]) };
    let settings = registry.install(a, settings).await.unwrap_err();
    assert!(matches!(settings, RegistryError::Invalid { member: "settings", .. }));
    let limits = registry.install(a, NewInstallation { limits: Value::Null, ..new(plugin, b"code", &[]) }).await;
    assert!(matches!(limits.unwrap_err(), RegistryError::Invalid { member: "limits", .. }));
}

#[tokio::test]
async fn memory_follows_every_change() {
    let scene = scene().await;
    let (tenant, other) = (scene.authorized("wxa").await.id, scene.authorized("wxb").await.id);
    let registry = scene.tenants.registry();
    let plugin = upload(registry, tenant, b"code", &["notes"]).await;
    assert!(active(&scene, tenant).await.is_empty());
    for _ in 0..3 {
        registry.install(tenant, new(plugin, b"code", &["notes"])).await.unwrap();
    }
    assert_eq!(active(&scene, tenant).await, [1, 2, 3]);
    assert!(active(&scene, other).await.is_empty());

    let state = |state| InstallationPatch { state: Some(state), ..InstallationPatch::default() };
    let id = InstallationId(2);
    registry.patch_installation(tenant, id, state(InstallationState::Paused)).await.unwrap();
    assert_eq!(active(&scene, tenant).await, [1, 3]);
    assert_eq!(registry.installed(tenant).await.unwrap().len(), 3, "a paused one is still installed");
    registry.patch_installation(tenant, id, state(InstallationState::Active)).await.unwrap();
    assert_eq!(active(&scene, tenant).await, [1, 2, 3]);

    let settings = InstallationPatch { settings: Some(json!({ "threshold": 5 })), ..InstallationPatch::default() };
    registry.patch_installation(tenant, id, settings).await.unwrap();
    assert_eq!(registry.active(tenant).await.unwrap()[1].settings["threshold"], 5);

    scene.hand.advance(10);
    let removed = registry.remove(tenant, id).await.unwrap();
    assert_eq!((removed.state, removed.removed_at), (InstallationState::Removed, Some(scene.clock.now())));
    assert_eq!(active(&scene, tenant).await, [1, 3]);
    assert!(matches!(registry.remove(tenant, id).await.unwrap_err(), RegistryError::Removed(_)));
    let resume = registry.patch_installation(tenant, id, state(InstallationState::Active)).await;
    assert!(matches!(resume.unwrap_err(), RegistryError::Removed(_)));
    assert!(registry.patch_installation(tenant, InstallationId(1), state(InstallationState::Removed)).await.is_err());
    assert_eq!(registry.list(tenant, None, 9).await.unwrap().len(), 3, "its runs name it");
    assert_eq!(registry.list(tenant, Some(id), 9).await.unwrap()[0].id.0, 3);

    // Another tenant neither sees nor changes them.
    assert!(registry.get(other, InstallationId(1)).await.unwrap().is_none());
    assert!(matches!(registry.remove(other, InstallationId(1)).await, Err(RegistryError::UnknownInstallation(_))));
    let again = tenants_of(&scene.db, &scene.clock).await;
    let found = again.registry().active(tenant).await.unwrap();
    assert_eq!(found.iter().map(|i| i.id.0).collect::<Vec<_>>(), [1, 3]);
}

#[tokio::test]
async fn a_page_of_what_is_at_work_reads_nothing_of_what_was_removed() {
    let scene = scene().await;
    let tenant = scene.authorized("wxa").await.id;
    let registry = scene.tenants.registry();
    let plugin = upload(registry, tenant, b"old", &[]).await;
    upload(registry, tenant, b"new", &[]).await;
    upload(registry, tenant, b"untried", &[]).await;
    for code in [b"old", b"new", b"old", b"new", b"new"] {
        registry.install(tenant, new(plugin, code, &[])).await.unwrap();
    }
    for id in [1, 3] {
        registry.remove(tenant, InstallationId(id)).await.unwrap();
    }
    // What the old version says of its settings can't be read any more.
    scene.sql("UPDATE versions SET settings_schema = x'00' WHERE id = 1").await;
    assert!(registry.list(tenant, None, 9).await.is_err());
    let ids = async |after, limit| -> Vec<i64> {
        registry.at_work(tenant, after, limit).await.unwrap().iter().map(|one| one.id.0).collect()
    };
    assert_eq!(ids(None, 2).await, [2, 4]);
    assert_eq!(ids(Some(InstallationId(4)), 9).await, [5]);
    let names = registry.plugin_names(tenant, &[1, 5, 99].map(InstallationId).into()).await.unwrap();
    assert_eq!(names, [(InstallationId(1), "tags".into()), (InstallationId(5), "tags".into())].into());
    let waiting = registry.never_installed(tenant, 9).await.unwrap();
    assert_eq!(waiting.iter().map(|one| one.digest).collect::<Vec<_>>(), [Digest::of(b"untried")]);
}

#[tokio::test]
async fn a_reader_asks_the_store_once() {
    let scene = scene().await;
    let tenant = scene.authorized("wxa").await.id;
    let first = scene.tenants.registry().active(tenant).await.unwrap();
    let second = scene.tenants.registry().active(tenant).await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &second));
}

#[tokio::test]
async fn a_replacement_needs_consent_to_what_it_asks_for() {
    let scene = scene().await;
    let tenant = scene.authorized("wxa").await.id;
    let registry = scene.tenants.registry();
    let plugin = upload(registry, tenant, b"v1", &["notes"]).await;
    upload(registry, tenant, b"v2", &["notes", "address"]).await;
    let id = registry.install(tenant, new(plugin, b"v1", &["notes"])).await.unwrap().id;

    let replace = |grants: Option<&[&str]>| InstallationPatch {
        version: Some(Digest::of(b"v2")),
        grants: grants.map(names),
        ..InstallationPatch::default()
    };
    let refused = registry.patch_installation(tenant, id, replace(None)).await.unwrap_err();
    assert!(matches!(&refused, RegistryError::Grants { missing, .. } if missing == &["address"]), "{refused}");
    assert_eq!(registry.active(tenant).await.unwrap()[0].version, Digest::of(b"v1"));

    let replaced = registry.patch_installation(tenant, id, replace(Some(&["notes", "address"]))).await.unwrap();
    assert_eq!((replaced.version, replaced.grants.len()), (Digest::of(b"v2"), 2));
    let narrow = InstallationPatch { grants: Some(names(&["notes"])), ..InstallationPatch::default() };
    assert!(matches!(registry.patch_installation(tenant, id, narrow).await.unwrap_err(), RegistryError::Grants { .. }));
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_leave_an_old_list_in_memory() {
    let scene = scene().await;
    let tenant = scene.authorized("wxa").await.id;
    let plugin = upload(scene.tenants.registry(), tenant, b"code", &[]).await;
    assert!(active(&scene, tenant).await.is_empty());
    let registry = scene.tenants.registry().clone();
    let caller = tokio::spawn(async move { registry.install(tenant, new(plugin, b"code", &[])).await });
    // Gives up somewhere on the way: whatever became of it, memory must agree with the store.
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    caller.abort();
    let _ = caller.await;
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        let stored = scene.number("SELECT count(*) FROM installations").await;
        if usize::try_from(stored).unwrap() == active(&scene, tenant).await.len() && stored == 1 {
            return;
        }
    }
    assert_eq!(scene.number("SELECT count(*) FROM installations").await, 0);
    assert!(active(&scene, tenant).await.is_empty());
}

#[tokio::test]
async fn a_tenant_uploads_no_more_than_it_may() {
    let scene = scene().await;
    let (a, b) = (scene.authorized("wxa").await.id, scene.authorized("wxb").await.id);
    let registry = scene.tenants.registry().within(UploadLimits { versions: 3, bytes: 10 });
    let add = async |tenant, name: &str, code: &[u8]| {
        registry.add_version(tenant, name, Digest::of(code), manifest(&["on-pay"], &[]), code).await
    };
    add(a, "one", b"12345").await.unwrap();
    // The same bytes under another name are a version more, and no bytes more.
    add(a, "two", b"12345").await.unwrap();
    let room = async |name: &str, code: &[u8]| registry.room_for(a, name, Digest::of(code), code.len()).await;
    assert!(matches!(room("one", b"123456").await, Err(RegistryError::UploadsUsedUp { most: 10, .. })));
    let error = add(a, "one", b"123456").await.unwrap_err();
    assert!(matches!(error, RegistryError::UploadsUsedUp { most: 10, .. }), "{error}");
    assert!(error.to_string().contains("10 bytes"), "{error}");
    room("one", b"54321").await.unwrap();
    add(a, "one", b"54321").await.unwrap();
    room("one", b"54321").await.unwrap();
    assert!(matches!(room("three", b"").await, Err(RegistryError::UploadsUsedUp { most: 3, .. })));
    let error = add(a, "three", b"").await.unwrap_err();
    assert!(matches!(error, RegistryError::UploadsUsedUp { most: 3, of: "versions" }), "{error}");
    // Nothing of what was refused is left, what is there can be named again, and another tenant has room of its own.
    assert_eq!(registry.plugins(a, None, 9).await.unwrap().len(), 2);
    assert_eq!(scene.number("SELECT count(*) FROM components WHERE tenant_id = 1").await, 2);
    assert!(!add(a, "one", b"54321").await.unwrap().2);
    add(b, "one", b"1234567890").await.unwrap();
    let all = [b"12345".as_slice(), b"54321", b"1234567890"].map(Digest::of);
    assert_eq!(registry.digests().await.unwrap(), all.into());
}
