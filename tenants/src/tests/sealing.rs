//! What lies on the disk, and what happens when it is moved.

use std::collections::BTreeSet;

use fangshi_database::Digest;

use super::{authorized, contains, scene, secret, self_built};
use crate::{
    CustodyError, Declared, ManifestRecord, NewInstallation, Place, RegistryError, SettingsSchema, TenantPatch,
    TokenError,
};

#[tokio::test]
async fn no_secret_and_no_merchant_data_lies_open_in_the_files() {
    let scene = scene().await;
    let mut shop = self_built("wxselfbuilt");
    shop.name = "CANARY-name 张三的小店".into();
    let own = scene.tenants.create(shop).await.unwrap();
    let shop =
        scene.tenants.create(authorized("wxcanary", Some("CANARY-access"), Some("CANARY-refresh"))).await.unwrap();
    let patch = TenantPatch { encoding_aes_key: Some(secret("CANARY-new-aes")), ..TenantPatch::default() };
    scene.tenants.update(own.id, patch).await.unwrap();
    scene.tenants.custody().keep_ticket(secret("CANARY-ticket"), scene.clock.now_s() + 1).await.unwrap();
    let patch = TenantPatch { refresh_token: Some(secret("CANARY-second-refresh")), ..TenantPatch::default() };
    scene.tenants.update(shop.id, patch).await.unwrap();
    let token = scene.token(shop.id).await.unwrap();

    let wasm = b"\0asm CANARY-wasm".repeat(40);
    let digest = Digest::of(&wasm);
    let manifest = ManifestRecord { hooks: vec!["on-pay".into()], grants: vec![] };
    let schema = r#"{"type": "object", "properties": {"erp_password": {"type": "string", "writeOnly": true, "title": "CANARY-schema"}}}"#;
    let declared = Declared { manifest, settings: SettingsSchema::parse(schema.as_bytes()).ok(), signed_by: None };
    let registry = scene.tenants.registry();
    let (plugin, _, _) = registry.add_version(shop.id, "tags", digest, declared, &wasm).await.unwrap();
    let installed = registry
        .install(
            shop.id,
            NewInstallation {
                plugin,
                version: digest,
                grants: BTreeSet::new(),
                settings: serde_json::json!({ "erp_password": "CANARY-settings" }),
                limits: serde_json::json!({}),
                schedules: Vec::new(),
            },
        )
        .await
        .unwrap();

    let files = scene.raw_files();
    assert!(contains(&files, "wxcanary"), "this search finds what is not sealed");
    assert!(files.len() > wasm.len());
    let mut canaries = vec!["CANARY", "张三", "component-secret", "ticket-1"];
    canaries.extend([token.expose(), "component-1", "refresh-2", "secret-wx", "callback-wx", "aes-wx"]);
    assert_eq!(token.expose(), "access-2");
    for canary in canaries {
        assert!(!contains(&files, canary), "{canary} lies open");
    }

    let debug = format!("{:?} {:?} {token:?} {:?}", scene.tenants.get(own.id), scene.tenants, scene.tenants.vault());
    let debug = format!("{debug} {installed:?}");
    for canary in ["secret-", "callback-", "aes-", "CANARY-new", "access-2", "CANARY-settings"] {
        assert!(!debug.contains(canary), "{canary} in {debug}");
    }

    // And everything opens again after a start.
    let reopened = super::tenants_of(&scene.db, &scene.clock).await;
    assert_eq!(reopened.get(own.id).unwrap().name, "CANARY-name 张三的小店");
    assert_eq!(reopened.registry().wasm(shop.id, digest).await.unwrap(), wasm);
    let read = reopened.registry().get(shop.id, installed.id).await.unwrap().unwrap();
    assert_eq!(read.settings["erp_password"], "CANARY-settings");
    assert_eq!(read.schema.as_ref().unwrap().source(), schema);
    let exported = serde_json::to_string(&reopened.export(shop.id).await.unwrap()).unwrap();
    assert!(exported.contains("CANARY-schema") && !exported.contains("CANARY-settings"), "{exported}");
}

#[tokio::test]
async fn a_sealed_value_opens_only_in_its_own_place() {
    let scene = scene().await;
    let (a, b) = (scene.authorized("wxa").await.id, scene.authorized("wxb").await.id);
    let vault = scene.tenants.vault();
    let place = Place { table: "events", column: "body" };
    let sealed = vault.seal(a, place, b"row 1", b"plain").unwrap();
    assert_eq!(vault.unseal(a, place, b"row 1", &sealed).unwrap().as_slice(), b"plain");

    for (tenant, place, row) in [
        (b, place, b"row 1".as_slice()),
        (a, place, b"row 2"),
        (a, Place { table: "events", column: "raw" }, b"row 1"),
        (a, Place { table: "logs", column: "body" }, b"row 1"),
    ] {
        let refused = vault.unseal(tenant, place, row, &sealed).unwrap_err();
        assert!(matches!(refused, CustodyError::Unsealable { .. }), "{tenant} {place:?}");
    }
    let stranger = vault.seal(fangshi_database::TenantId(99), place, b"", b"").unwrap_err();
    assert!(matches!(stranger, CustodyError::NoKey { .. }));
}

#[tokio::test]
async fn a_token_moved_in_the_store_is_no_token() {
    for (what, sql) in [
        (
            "to another tenant",
            "UPDATE tokens SET access = (SELECT access FROM tokens WHERE tenant_id = 1 AND kind = 'access') WHERE tenant_id = 2",
        ),
        ("to another column", "UPDATE tokens SET access = refresh WHERE tenant_id = 2"),
        ("to another version", "UPDATE tokens SET version = version + 1 WHERE tenant_id = 2"),
    ] {
        let scene = scene().await;
        for appid in ["wxa", "wxb"] {
            scene.tenants.create(authorized(appid, Some("access"), Some("refresh"))).await.unwrap();
        }
        let id = fangshi_database::TenantId(2);
        scene.sql(sql).await;
        let refused = scene.token(id).await.unwrap_err();
        assert!(matches!(refused, TokenError::Custody(CustodyError::Unsealable { .. })), "{what}: {refused}");
        assert_eq!(scene.platform.count(""), 0, "{what}: the platform was not asked with a foreign token");
    }
}

#[tokio::test]
async fn settings_and_code_moved_in_the_store_do_not_open() {
    let scene = scene().await;
    let registry = scene.tenants.registry();
    let mut ids = vec![];
    for appid in ["wxa", "wxb"] {
        let tenant = scene.authorized(appid).await.id;
        let manifest = ManifestRecord { hooks: vec![], grants: vec![] };
        let digest = Digest::of(b"same code");
        let (plugin, _, _) = registry.add_version(tenant, "p", digest, manifest, b"same code").await.unwrap();
        let new = NewInstallation {
            plugin,
            version: digest,
            grants: BTreeSet::new(),
            settings: serde_json::json!({ "shop": appid }),
            limits: serde_json::json!({}),
            schedules: Vec::new(),
        };
        ids.push((tenant, registry.install(tenant, new).await.unwrap().id, digest));
    }
    scene
        .sql("UPDATE installations SET settings = (SELECT settings FROM installations WHERE id = 1) WHERE id = 2")
        .await;
    scene
        .sql("UPDATE components SET wasm = (SELECT wasm FROM components WHERE tenant_id = 1) WHERE tenant_id = 2")
        .await;
    let (tenant, id, digest) = ids[1];
    let is_refused = |error: &RegistryError| matches!(error, RegistryError::Custody(CustodyError::Unsealable { .. }));
    assert!(is_refused(&registry.get(tenant, id).await.unwrap_err()));
    assert!(is_refused(&registry.wasm(tenant, digest).await.unwrap_err()));
    assert!(is_refused(&registry.active(tenant).await.unwrap_err()), "an error, never an empty list");
    let (tenant, id, _) = ids[0];
    assert_eq!(registry.get(tenant, id).await.unwrap().unwrap().settings["shop"], "wxa");
}
