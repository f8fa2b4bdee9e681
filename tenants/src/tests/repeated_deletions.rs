//! Deletions that outlive the store: none without its line in the list, and all of them repeated in a store that came from a
//! backup.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::onboarding::change;
use super::{Scene, scene};
use crate::{ChangeKind, Deletion, ErasedList, StateChange, TenantId, TenantPatch, TenantsError};

const SHOP: &str = "wxshop";

impl Scene {
    /// A shop that may be deleted.
    async fn stopped(&self, appid: &str) -> TenantId {
        let shop = self.authorized(appid).await.id;
        let state = Some(StateChange::Revoked { reason: "unauthorized".into() });
        self.tenants.update(shop, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
        shop
    }
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
    let noted = || list.read().unwrap().is_some_and(|erased| erased.deletions.len() == 1);
    for _ in 0..3_000 {
        if noted() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never noted");
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
