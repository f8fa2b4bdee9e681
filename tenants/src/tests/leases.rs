//! The lease on a token is held before every call: what comes before a call may take longer than the lease.

use super::{Scene, database, scene, tenants_of};
use crate::{AccessToken, TenantId, Tenants, TokenError};

const GATE: u32 = 1000;

impl Scene {
    /// The platform does not give the component's token until further notice.
    fn hold_component(&self) {
        self.platform.component_gate.forget_permits(GATE as usize);
    }

    fn let_component_go(&self) {
        self.platform.component_gate.add_permits(GATE as usize);
    }
}

async fn ask(
    scene: &Scene,
    tenants: &Tenants,
    shop: TenantId,
) -> tokio::task::JoinHandle<Result<AccessToken, TokenError>> {
    let (tenants, issuer) = (tenants.clone(), scene.issuer());
    tokio::spawn(async move { tenants.custody().access_token(shop, &issuer).await })
}

#[tokio::test]
async fn a_process_that_lost_its_lease_on_the_way_sends_nothing() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    std::fs::remove_file(scene.dir.path().join("fangshi.lock")).unwrap();
    let second = tenants_of(&database(scene.dir.path()).await, &scene.clock).await;
    scene.hold_component();
    let slow = ask(&scene, &scene.tenants, shop).await;
    scene.called("component", 1).await;
    // The component's token takes longer than both leases of the first: the second process takes them.
    scene.hand.advance(31_000);
    let quick = ask(&scene, &second, shop).await;
    scene.called("component", 2).await;
    scene.let_component_go();
    let (slow, quick) = (slow.await.unwrap().unwrap(), quick.await.unwrap().unwrap());
    assert_eq!((slow.version, slow.expose()), (quick.version, quick.expose()));
    assert_eq!(scene.platform.count("authorizer"), 1, "{:?}", scene.platform.calls);
}

#[tokio::test]
async fn the_lease_lasts_for_the_call_however_long_the_way_to_it_was() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.hold_component();
    scene.platform.close_gate();
    let asking = scene.ask(shop);
    scene.called("component", 1).await;
    scene.hand.advance(25_000);
    scene.let_component_go();
    scene.called("authorizer", 1).await;
    let until = scene.number("SELECT lease_until FROM tokens WHERE kind = 'access'").await;
    assert_eq!(until, scene.clock.now() + 30_000);
    scene.platform.open_gate();
    assert_eq!(asking.await.unwrap().unwrap().version, 2);
}
