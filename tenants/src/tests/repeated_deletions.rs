//! Deletions that outlive the store: none without its line in the list, and all of them repeated in a store that came from a
//! backup.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use fangshi_database::WriteError;
use tempfile::TempDir;
use tokio::sync::{Notify, Semaphore};

use super::onboarding::change;
use super::{Scene, scene, tenants_of};
use crate::{Action, ChangeKind, Deletion, Erased, ErasedList, StateChange, TenantId, TenantPatch, TenantsError};

const SHOP: &str = "wxshop";

impl Scene {
    /// A shop that may be deleted.
    async fn stopped(&self, appid: &str) -> TenantId {
        let shop = self.authorized(appid).await.id;
        let state = Some(StateChange::Revoked { reason: "unauthorized".into() });
        self.tenants.update(shop, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
        shop
    }

    fn noting(&self) -> (TempDir, ErasedList) {
        let folder = tempfile::tempdir().unwrap();
        let list = ErasedList::new(folder.path().join("erased"));
        self.tenants.note_deletions_in(list.clone());
        (folder, list)
    }
}

/// Looks again and again until it is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn a_deletion_is_repeated_by_appid_whatever_number_the_shop_has_here() {
    // Restored once before: the shop was t8 there when it was deleted, and has another number in this backup, where t8 is
    // another shop.
    let scene = scene().await;
    let (other, shop) = (scene.authorized("wxother").await.id, scene.authorized(SHOP).await.id);
    let deletion = Deletion { tenant: other, appid: SHOP.into(), at: scene.clock.now() + 1 };
    assert!(scene.tenants.delete_again(&deletion).await.unwrap());
    assert!(scene.tenants.get(shop).is_none() && scene.tenants.by_appid(SHOP).is_none());
    assert!(scene.tenants.get(other).is_some(), "who has its number by now stays");
    assert_eq!(scene.number("SELECT count(*) FROM data_keys WHERE tenant_id = 2").await, 0, "its data can't be read");
    assert!(!scene.tenants.delete_again(&deletion).await.unwrap(), "once");
    // Who came back after it stays as well.
    scene.hand.advance(1_000);
    scene.authorized(SHOP).await;
    assert!(!scene.tenants.delete_again(&deletion).await.unwrap());
    assert!(scene.tenants.by_appid(SHOP).is_some());
}

#[tokio::test]
async fn nothing_is_deleted_while_the_list_can_not_be_written() {
    let scene = scene().await;
    let folder = tempfile::tempdir().unwrap();
    let list = ErasedList::new(folder.path().join("erased"));
    std::fs::create_dir(list.file()).unwrap();
    scene.tenants.note_deletions_in(list.clone());
    let shop = scene.stopped(SHOP).await;
    let error = scene.tenants.delete(shop, SHOP).await.unwrap_err();
    assert!(matches!(error, TenantsError::ErasedList { .. }), "{error}");
    assert!(scene.tenants.get(shop).is_some());
    assert_eq!(scene.number("SELECT count(*) FROM data_keys WHERE tenant_id = 1").await, 1);
    std::fs::remove_dir(list.file()).unwrap();
    scene.tenants.delete(shop, SHOP).await.unwrap();
    assert_eq!(list.read().unwrap().unwrap().deletions.len(), 1);
}

#[tokio::test]
async fn a_deletion_is_noted_though_its_caller_hangs_up() {
    let scene = scene().await;
    let folder = tempfile::tempdir().unwrap();
    let list = ErasedList::new(folder.path().join("erased"));
    scene.tenants.note_deletions_in(list.clone());
    let shop = scene.stopped(SHOP).await;
    {
        let mut deleting = pin!(scene.tenants.delete(shop, SHOP));
        let begun = poll_fn(|cx| Poll::Ready(deleting.as_mut().poll(cx).is_pending())).await;
        assert!(begun, "it waits for the store");
    }
    until("noted", || list.read().unwrap().is_some_and(|erased| erased.deletions.len() == 1)).await;
}

#[tokio::test]
async fn a_deletion_is_in_the_list_before_it_is_carried_out_and_counts_though_its_line_can_not_be_ended() {
    let scene = scene().await;
    let (folder, list) = scene.noting();
    let shop = scene.stopped(SHOP).await;
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let holding = {
        let (db, gate, begun) = (scene.db.clone(), Arc::clone(&gate), Arc::clone(&begun));
        tokio::spawn(async move {
            let held = db.writer().submit(move |_| {
                Box::pin(async move {
                    begun.notify_one();
                    let _ = gate.acquire().await;
                    Ok::<_, WriteError>(())
                })
            });
            held.await
        })
    };
    begun.notified().await;
    let tenants = scene.tenants.clone();
    let deleting = tokio::spawn(async move { tenants.delete(shop, SHOP).await });
    let intended = || list.read().unwrap().is_some_and(|erased| erased.intended.len() == 1);
    until("intended", intended).await;
    assert!(scene.tenants.get(shop).is_some(), "nothing is destroyed yet");
    // From now on the list can't be written.
    let away = folder.path().join("away");
    std::fs::rename(list.file(), &away).unwrap();
    std::fs::create_dir(list.file()).unwrap();
    gate.add_permits(1);
    holding.await.unwrap().unwrap();
    deleting.await.unwrap().unwrap();
    assert!(scene.tenants.get(shop).is_none());
    scene.tenants.note_deletions().await.unwrap_err();

    std::fs::remove_dir(list.file()).unwrap();
    std::fs::rename(&away, list.file()).unwrap();
    assert!(intended());
    scene.tenants.note_deletions().await.unwrap();
    let expected = Deletion { tenant: shop, appid: SHOP.into(), at: scene.clock.now() };
    assert_eq!(list.read().unwrap().unwrap(), Erased { deletions: vec![expected], ..Erased::default() });
}

#[tokio::test]
async fn a_deletion_that_is_refused_or_fails_leaves_nothing_to_repeat() {
    let scene = scene().await;
    let (_folder, list) = scene.noting();
    let active = scene.authorized("wxactive").await.id;
    scene.tenants.delete(active, "wxactive").await.unwrap_err();
    let shop = scene.stopped(SHOP).await;
    scene.tenants.delete(shop, "wxactive").await.unwrap_err();
    assert_eq!(list.read().unwrap(), None, "refused before anything is written");
    scene.sql("CREATE TRIGGER no BEFORE INSERT ON deletions BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    scene.tenants.delete(shop, SHOP).await.unwrap_err();
    assert!(scene.tenants.get(shop).is_some());
    assert_eq!(list.read().unwrap(), Some(Erased::default()), "withdrawn");
    scene.sql("DROP TRIGGER no").await;
    scene.tenants.delete(shop, SHOP).await.unwrap();
    assert_eq!(list.read().unwrap().unwrap().deletions.len(), 1, "at that very time, once more");
}

#[tokio::test]
async fn what_a_crash_left_as_intended_is_ended_by_what_the_store_says() {
    // The crash came before the tenant was destroyed, or after it.
    for destroyed in [false, true] {
        let scene = scene().await;
        let shop = scene.stopped(SHOP).await;
        let deletion = Deletion { tenant: shop, appid: SHOP.into(), at: scene.clock.now() };
        let folder = tempfile::tempdir().unwrap();
        let list = ErasedList::new(folder.path().join("erased"));
        list.intend(&deletion).unwrap();
        if destroyed {
            scene.tenants.delete(shop, SHOP).await.unwrap();
        }
        let started = tenants_of(&scene.db, &scene.clock).await;
        started.note_deletions_in(list.clone());
        started.note_deletions().await.unwrap();
        let deletions = if destroyed { vec![deletion.clone()] } else { vec![] };
        assert_eq!(list.read().unwrap(), Some(Erased { deletions, ..Erased::default() }));
        assert_eq!(started.get(shop).is_none(), destroyed, "a start deletes nobody");
        if destroyed {
            // Who comes with the same appid after it is none of its business.
            scene.hand.advance(1);
            let anew = started.create(super::authorized(SHOP, None, Some("refresh-1"))).await.unwrap();
            started.note_deletions().await.unwrap();
            assert!(!started.delete_again(&deletion).await.unwrap());
            assert!(started.get(anew.id).is_some());
        }
    }
}

#[tokio::test]
async fn a_deletion_that_is_remembered_is_told_by_the_audit_once() {
    let scene = scene().await;
    let deletion = Deletion { tenant: TenantId(7), appid: SHOP.into(), at: scene.clock.now() };
    for _ in 0..2 {
        scene.tenants.by(crate::Actor::Operator(None)).delete_again(&deletion).await.unwrap();
        assert_eq!(scene.audited(Action::DeletionRemembered).await, 1);
    }
    let filter = crate::AuditFilter { limit: 1, ..crate::AuditFilter::default() };
    let entry = scene.tenants.audit().list(&filter).await.unwrap().remove(0);
    assert_eq!((entry.actor.as_str(), entry.tenant), ("operator", TenantId::HOST));
    assert_eq!(entry.details.unwrap(), serde_json::json!({"appid": SHOP, "deleted_at": deletion.at}));
    // A shop that came back since is told nothing of.
    scene.hand.advance(1);
    scene.authorized("wxback").await;
    let before = Deletion { appid: "wxback".into(), ..deletion };
    scene.tenants.delete_again(&before).await.unwrap();
    assert_eq!(scene.audited(Action::DeletionRemembered).await, 1);
}

#[tokio::test]
async fn a_deletion_that_is_remembered_takes_the_links_of_the_account_along() {
    for (later, left) in [(1, 0), (-1, 1)] {
        let scene = scene().await;
        let link = scene.begin_for(None).await;
        let at = scene.clock.now_s();
        scene.event(change(ChangeKind::Authorized, at, Some("code"), Some(&link.opening.pre_auth_code))).await;
        let deletion = Deletion { tenant: TenantId(7), appid: SHOP.into(), at: (at + later) * 1_000 };
        assert!(!scene.tenants.delete_again(&deletion).await.unwrap());
        assert_eq!(scene.number("SELECT count(*) FROM authorizations").await, left, "a younger word stands");
        assert_eq!(scene.work_left().await, left);
    }
}
