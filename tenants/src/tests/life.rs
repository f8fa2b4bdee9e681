//! The life of a tenant: revoked, deleted, onboarded anew.

use fangshi_database::{Digest, InstallationId, TenantId};
use serde_json::json;
use std::sync::Arc;

use super::{Scene, authorized, contains, scene, secret, self_built, tenants_of};
use crate::{
    Begun, Came, CustodyError, DecodeAsk, Deletion, ErasedList, Place, Retention, ShownAddress, StateChange,
    TenantPatch, TenantState,
};
use crate::{TenantsError, TokenError};

const NOTE: Place = Place { table: "events", column: "body" };
const DAY_MS: i64 = 86_400_000;

fn to(state: StateChange) -> TenantPatch {
    TenantPatch { state: Some(state), ..TenantPatch::default() }
}

fn revoked() -> TenantPatch {
    to(StateChange::Revoked { reason: "unauthorized".into() })
}

async fn wrapped(scene: &Scene, tenant: TenantId) -> Vec<u8> {
    sqlx::query_scalar("SELECT wrapped FROM data_keys WHERE tenant_id = $1")
        .bind(tenant.0)
        .fetch_one(scene.db.reader())
        .await
        .unwrap()
}

async fn erased(scene: &Scene, tenant: TenantId) {
    while scene.tenants.erase(tenant).await.unwrap() > 0 {}
    scene.tenants.finish_deletion(tenant).await.unwrap();
    assert!(scene.db.empty_log().await.unwrap());
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_revoked_tenant_has_no_calls_and_comes_back_with_a_new_refresh_token() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.token(shop).await.unwrap();
    let tenant = scene.tenants.update(shop, revoked()).await.unwrap();
    assert!(!tenant.is_active());
    assert!(matches!(scene.token(shop).await.unwrap_err(), TokenError::Revoked { .. }));
    let again = tenants_of(&scene.db, &scene.clock).await.get(shop).unwrap();
    assert_eq!(again.state, TenantState::Revoked { reason: "unauthorized".into(), since: scene.clock.now() });
    assert!(again.what_to_do().unwrap().zh.contains("授权"));
    let patch = TenantPatch { refresh_token: Some(secret("refresh-new")), ..TenantPatch::default() };
    assert!(scene.tenants.update(shop, patch).await.unwrap().is_active());
    assert!(scene.token(shop).await.is_ok());
}

#[tokio::test]
async fn revoked_tenants_end_when_the_retention_says() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.authorized("wxb").await;
    scene.tenants.update(shop, revoked()).await.unwrap();
    let ended = |retention, now| scene.tenants.expired(retention, now).iter().map(|t| t.id).collect::<Vec<_>>();
    let now = scene.clock.now();
    assert_eq!(ended(Retention::default(), now + 30 * DAY_MS - 1), []);
    assert_eq!(ended(Retention::default(), now + 30 * DAY_MS), [shop]);
    assert_eq!(ended(Retention::Keep, i64::MAX), []);
}

#[tokio::test]
async fn only_a_named_and_stopped_tenant_is_deleted() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    assert!(matches!(scene.tenants.delete(shop, "wxa").await.unwrap_err(), TenantsError::StillActive(_)));
    scene.tenants.update(shop, to(StateChange::Suspended { reason: "unpaid".into() })).await.unwrap();
    assert!(matches!(scene.tenants.delete(shop, "wxb").await.unwrap_err(), TenantsError::Invalid { .. }));
    assert!(matches!(scene.tenants.delete(TenantId(99), "wxa").await.unwrap_err(), TenantsError::Unknown(_)));
    assert!(scene.tenants.get(shop).is_some());
    scene.tenants.delete(shop, "wxa").await.unwrap();
    assert!(matches!(scene.tenants.delete(shop, "wxa").await.unwrap_err(), TenantsError::Unknown(_)));
}

#[tokio::test]
async fn a_deleted_tenant_cannot_be_read_and_its_key_is_not_in_the_file() {
    let scene = scene().await;
    // Many, so that the pages of the keys have been split and merged.
    let mut shops = Vec::new();
    for n in 0..120 {
        let appid = format!("wxn{n}");
        let shop = match n % 2 {
            0 => scene.tenants.create(authorized(&appid, Some("ACCESS-CANARY"), Some("REFRESH-CANARY"))).await,
            _ => scene.tenants.create(self_built(&appid)).await,
        };
        shops.push(shop.unwrap());
    }
    let vault = scene.tenants.vault().clone();
    for shop in [&shops[0], &shops[1], &shops[57], &shops[60], &shops[119]] {
        let key = wrapped(&scene, shop.id).await;
        assert!(has(&scene.raw_files(), &key), "the search finds what is there");
        let sealed = vault.seal(shop.id, NOTE, b"1", b"note").unwrap();
        let ask = DecodeAsk {
            tenant: shop.id,
            installation: InstallationId(1),
            order_id: "o1".into(),
            address: ShownAddress { mark: Digest::of(b"a"), number_until: None },
        };
        let Begun::Live(ticket) = scene.tenants.decodes().begin(&ask).await.unwrap() else { panic!() };
        let answer = Arc::new(json!({"user_name": "BUYER-CANARY"}));
        scene.tenants.decodes().settle(&ticket, &Came::Answer(answer, None)).await.unwrap();

        scene.tenants.update(shop.id, revoked()).await.unwrap();
        scene.tenants.delete(shop.id, &shop.appid).await.unwrap();
        assert!(scene.tenants.by_appid(&shop.appid).is_none(), "its callbacks are those of an unknown tenant");
        assert!(matches!(vault.unseal(shop.id, NOTE, b"1", &sealed).unwrap_err(), CustodyError::NoKey { .. }));
        assert!(matches!(vault.seal(shop.id, NOTE, b"1", b"note").unwrap_err(), CustodyError::NoKey { .. }));
        erased(&scene, shop.id).await;
        let files = scene.raw_files();
        assert!(!has(&files, &key), "the wrapped key of {} is still in the file", shop.id);
        for canary in ["ACCESS-CANARY", "REFRESH-CANARY", "BUYER-CANARY"] {
            assert!(!contains(&files, canary));
        }
        assert_eq!(scene.number("SELECT count(*) FROM decoded").await, 0);
    }
    assert!(scene.tenants.get(shops[2].id).is_some());
}

#[tokio::test]
async fn a_deletion_survives_a_crash_and_the_appid_can_be_onboarded_anew() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.tenants.update(shop, revoked()).await.unwrap();
    scene.tenants.delete(shop, "wxa").await.unwrap();
    // Nothing was erased yet: a start does not show it, and knows what is left to do.
    let again = tenants_of(&scene.db, &scene.clock).await;
    assert!(again.get(shop).is_none() && again.by_appid("wxa").is_none());
    assert_eq!(again.deletions().await.unwrap(), [(shop, scene.clock.now())]);
    let anew = again.create(authorized("wxa", None, Some("refresh-0"))).await.unwrap();
    assert_ne!(anew.id, shop);
    assert_eq!(again.by_appid("wxa").unwrap().id, anew.id);
    erased(&scene, shop).await;
    assert_eq!(again.deletions().await.unwrap(), []);
    assert_eq!(scene.number("SELECT count(*) FROM tenants").await, 1);
    assert_eq!(scene.number("SELECT count(*) FROM deletions WHERE finished_at IS NOT NULL").await, 1);
    let after = tenants_of(&scene.db, &scene.clock).await.create(authorized("wxc", None, None)).await.unwrap();
    assert!(after.id > anew.id, "numbers are not given twice");
}

#[tokio::test]
async fn a_deletion_is_noted_outside_of_the_store_and_repeated_in_one_from_before() {
    let scene = scene().await;
    let folder = tempfile::tempdir().unwrap();
    let list = ErasedList::new(folder.path().join("erased"));
    scene.tenants.note_deletions_in(list.clone());
    let gone = scene.authorized("wxa").await;
    let deletion = Deletion { tenant: gone.id, appid: "wxa".into(), at: scene.clock.now() };
    scene.tenants.update(gone.id, revoked()).await.unwrap();
    scene.tenants.delete(gone.id, "wxa").await.unwrap();
    assert_eq!(list.read().unwrap().unwrap().deletions, std::slice::from_ref(&deletion));
    // A list that got lost is made anew.
    std::fs::remove_file(list.file()).unwrap();
    scene.tenants.note_deletions().await.unwrap();
    assert_eq!(list.read().unwrap().unwrap().deletions, std::slice::from_ref(&deletion));

    // A store from before: the tenant is active.
    let older = self::scene().await;
    assert_eq!(older.authorized("wxa").await.id, gone.id);
    let other = |appid: &str, at| Deletion { tenant: gone.id, appid: appid.into(), at };
    let made = older.tenants.get(gone.id).unwrap().created_at;
    for another in [other("wxb", deletion.at), other("wxa", made - 1)] {
        assert!(!older.tenants.delete_again(&another).await.unwrap(), "{another:?}");
    }
    assert!(older.tenants.delete_again(&deletion).await.unwrap());
    assert!(older.tenants.get(gone.id).is_none());
    assert!(!older.tenants.delete_again(&deletion).await.unwrap(), "once");
    let keys: i64 = sqlx::query_scalar("SELECT count(*) FROM data_keys WHERE tenant_id = $1")
        .bind(gone.id.0)
        .fetch_one(older.db.reader())
        .await
        .unwrap();
    assert_eq!(keys, 0, "its data can't be read");
}
