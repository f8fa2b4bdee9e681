//! Tenants made, changed, found again; refusals counted.

use secrecy::ExposeSecret;

use super::{authorized, scene, secret, self_built, tenants_of};
use crate::{Refusal, StateChange, SuspendedBy, TenantKind, TenantPatch, TenantState, TenantsError};

#[tokio::test]
async fn an_appid_belongs_to_one_tenant() {
    let scene = scene().await;
    let first = scene.authorized("wxa").await;
    let refused = scene.tenants.create(self_built("wxa")).await.unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, TenantsError::DuplicateAppid { tenant, .. } if tenant == first.id), "{text}");
    assert!(text.contains("wxa") && text.contains("t1"), "{text}");

    let attempts: Vec<_> = (0..20)
        .map(|_| {
            let tenants = scene.tenants.clone();
            tokio::spawn(async move { tenants.create(authorized("wxb", None, None)).await })
        })
        .collect();
    let mut outcomes = vec![];
    for attempt in attempts {
        outcomes.push(attempt.await.unwrap());
    }
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(scene.number("SELECT count(*) FROM tenants").await, 2);
    assert_eq!(scene.number("SELECT count(*) FROM data_keys WHERE tenant_id > 0").await, 2);
}

#[tokio::test]
async fn tenants_come_back_after_a_start() {
    let scene = scene().await;
    let own = scene.tenants.create(self_built("wxown")).await.unwrap();
    let shop = scene.authorized("wxshop").await;
    let suspend = StateChange::Suspended { reason: "unpaid".into() };
    let patch = TenantPatch { state: Some(suspend), name: Some("新名字".into()), ..TenantPatch::default() };
    scene.tenants.update(shop.id, patch).await.unwrap();

    let again = tenants_of(&scene.db, &scene.clock).await;
    let found = again.by_appid("wxown").unwrap();
    assert_eq!((found.id, found.kind, found.user_name.as_deref()), (own.id, TenantKind::SelfBuilt, Some("gh_wxown")));
    let keys = found.callback_keys().unwrap();
    assert_eq!(keys.token.expose_secret(), "callback-wxown");
    assert_eq!(keys.encoding_aes_key.expose_secret(), "aes-wxown");
    assert!(keys.previous_encoding_aes_key.is_none());

    let found = again.get(shop.id).unwrap();
    assert!(found.callback_keys().is_none() && !found.is_active());
    assert_eq!(found.name, "新名字");
    assert_eq!(
        found.state,
        TenantState::Suspended { by: SuspendedBy::Operator, reason: "unpaid".into(), since: scene.clock.now() }
    );
    assert!(again.by_appid("wxother").is_none());
}

#[tokio::test]
async fn a_new_aes_key_keeps_the_one_before() {
    let scene = scene().await;
    let own = scene.tenants.create(self_built("wxown")).await.unwrap();
    let key = |key| TenantPatch { encoding_aes_key: Some(secret(key)), ..TenantPatch::default() };
    scene.tenants.update(own.id, key("aes-2")).await.unwrap();
    scene.tenants.update(own.id, key("aes-3")).await.unwrap();
    for tenants in [&scene.tenants, &tenants_of(&scene.db, &scene.clock).await] {
        let found = tenants.get(own.id).unwrap();
        let keys = found.callback_keys().unwrap();
        assert_eq!(keys.encoding_aes_key.expose_secret(), "aes-3");
        assert_eq!(keys.previous_encoding_aes_key.as_ref().unwrap().expose_secret(), "aes-2");
    }
}

const NO_USER_NAMES: &[&str] =
    &["", "gh_", "GH_1", "wx1234", "gh_1 ", " gh_1", "gh_1/2", "gh_店", "gh_a\n", "gh1", "shop@example"];

#[tokio::test]
async fn what_cannot_be_is_refused_by_member() {
    let scene = scene().await;
    let mut bad = vec![authorized("", None, None), authorized("wx 1", None, None), authorized("wx1\n", None, None)];
    bad.push(crate::NewTenant { name: String::new(), ..authorized("wx1", None, None) });
    for name in [" ", "a\nb", "\u{7}", &"大".repeat(201)] {
        bad.push(crate::NewTenant { name: name.to_owned(), ..authorized("wx1", None, None) });
    }
    for name in NO_USER_NAMES {
        bad.push(crate::NewTenant { user_name: Some((*name).to_owned()), ..authorized("wx1", None, None) });
    }
    for new in bad {
        assert!(matches!(scene.tenants.create(new).await.unwrap_err(), TenantsError::Invalid { .. }));
    }
    let shop = scene.authorized("wxshop").await.id;
    let own = scene.tenants.create(self_built("wxown")).await.unwrap().id;
    for (id, patch, member) in [
        (shop, TenantPatch { appsecret: Some(secret("s")), ..TenantPatch::default() }, "appsecret"),
        (shop, TenantPatch { token: Some(secret("s")), ..TenantPatch::default() }, "encoding_aes_key"),
        (own, TenantPatch { refresh_token: Some(secret("s")), ..TenantPatch::default() }, "refresh_token"),
    ] {
        let refused = scene.tenants.update(id, patch).await.unwrap_err();
        assert!(matches!(&refused, TenantsError::Invalid { member: named, .. } if *named == member), "{refused}");
    }
    for name in NO_USER_NAMES {
        let patch = TenantPatch { user_name: Some((*name).to_owned()), ..TenantPatch::default() };
        let refused = scene.tenants.update(shop, patch).await.unwrap_err();
        assert!(matches!(refused, TenantsError::Invalid { member: "user_name", .. }), "{name:?}: {refused}");
    }
    let patch = TenantPatch { user_name: Some("gh_A-b_9".into()), ..TenantPatch::default() };
    assert_eq!(scene.tenants.update(shop, patch).await.unwrap().user_name.as_deref(), Some("gh_A-b_9"));
    let suspended = StateChange::Suspended { reason: "a\u{1b}[31mb".into() };
    let patch = TenantPatch { state: Some(suspended), ..TenantPatch::default() };
    assert!(matches!(scene.tenants.update(shop, patch).await, Err(TenantsError::Invalid { member: "reason", .. })));
    let unknown = scene.tenants.update(fangshi_database::TenantId(77), TenantPatch::default()).await.unwrap_err();
    assert!(matches!(unknown, TenantsError::Unknown(_)));
    assert_eq!(scene.number("SELECT count(*) FROM tenants").await, 2);
}

#[tokio::test]
async fn lists_are_paged_by_id() {
    let scene = scene().await;
    for n in 0..5 {
        scene.authorized(&format!("wx{n}")).await;
    }
    let ids = |tenants: Vec<std::sync::Arc<crate::Tenant>>| tenants.iter().map(|t| t.id.0).collect::<Vec<_>>();
    let first = scene.tenants.list(None, 2).await;
    assert_eq!(ids(first.clone()), [1, 2]);
    assert_eq!(ids(scene.tenants.list(Some(first[1].id), 2).await), [3, 4]);
    assert_eq!(ids(scene.tenants.list(Some(fangshi_database::TenantId(4)), 9).await), [5]);
    assert!(scene.tenants.list(Some(fangshi_database::TenantId(i64::MAX)), 9).await.is_empty());
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_memory_and_store_alike() {
    let scene = scene().await;
    // Held up inside a group, so that the creation is queued and not yet done when its caller goes away.
    let (release, held) = tokio::sync::oneshot::channel::<()>();
    let (db, tenants) = (scene.db.clone(), scene.tenants.clone());
    tokio::spawn(async move {
        let _: Result<(), fangshi_database::WriteError> = db
            .writer()
            .submit(move |_| Box::pin(async move { held.await.map_err(|_| sqlx::Error::RowNotFound.into()) }))
            .await;
    });
    settle().await;
    let caller = tokio::spawn(async move { tenants.create(authorized("wxa", None, None)).await });
    settle().await;
    caller.abort();
    release.send(()).unwrap();
    // The creation goes on without its caller, on threads of its own.
    while scene.number("SELECT count(*) FROM tenants").await == 0 || scene.tenants.by_appid("wxa").is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.number("SELECT count(*) FROM tenants").await, 1);
}

async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn refusals_cost_no_writes_and_are_not_lost() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let writes = scene.db.writer().stats().writes;
    for _ in 0..10_000 {
        scene.tenants.count_refusal(shop, "timestamp-outside");
    }
    scene.hand.advance(5);
    scene.tenants.count_refusal(shop, "wrong-user-name");
    scene.tenants.count_refusal(fangshi_database::TenantId::HOST, "signature");
    assert_eq!(scene.db.writer().stats().writes, writes);

    let expected = |count| {
        let now = scene.clock.now();
        vec![
            Refusal { reason: "timestamp-outside".into(), count, last_at: now - 5 },
            Refusal { reason: "wrong-user-name".into(), count: 1, last_at: now },
        ]
    };
    assert_eq!(scene.tenants.refusals(shop).await.unwrap(), expected(10_000));
    scene.tenants.flush_refusals().await.unwrap();
    assert_eq!(scene.tenants.refusals(shop).await.unwrap(), expected(10_000));
    let again = tenants_of(&scene.db, &scene.clock).await;
    assert_eq!(again.refusals(shop).await.unwrap(), expected(10_000));
}
