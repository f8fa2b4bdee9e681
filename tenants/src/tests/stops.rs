//! An orderly stop: what is under way is kept, and nothing more is asked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::{Scene, scene, secret, tenants_of};
use crate::{FreshLink, LinkState, TokenError};

const SHOP: &str = "wxshop";
const LONG: Duration = Duration::from_secs(3_600);
const LEASES: &str = "SELECT count(*) FROM tokens WHERE lease_owner IS NOT NULL";

impl Scene {
    /// A link whose redirect came; its shop is found nowhere else.
    async fn redirected(&self) -> FreshLink {
        let link = self.begin_for(None).await;
        let code = self.platform.accounts.authorize(SHOP, &[130, 131], self.clock.now_s());
        self.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
        link
    }

    fn stepping(&self) -> JoinHandle<()> {
        let (tenants, platform) = (self.tenants.clone(), self.authorizer());
        tokio::spawn(async move { tenants.onboarding().step(&platform).await.map(drop).unwrap() })
    }
}

#[tokio::test]
async fn a_refresh_that_is_refused_while_the_host_stops_asks_no_further() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.platform.refused_refresh.lock().unwrap().push("refresh-0".into());
    scene.platform.accounts.authorize("wxa", &[131], 1);
    scene.platform.close_gate();
    let asking = scene.ask(shop);
    scene.called("authorizer", 1).await;
    scene.tenants.flights().close();
    scene.platform.open_gate();
    assert!(scene.tenants.flights().land(LONG).await);
    let error = asking.await.unwrap().unwrap_err();
    assert!(matches!(&error, TokenError::Unavailable(text) if text.contains("closing")), "{error}");
    assert_eq!((scene.platform.accounts.count("info"), scene.platform.count("authorizer")), (0, 1));
    assert!(scene.tenants.get(shop).unwrap().is_active(), "nothing ended: the account was not asked");
    assert_eq!(scene.number(LEASES).await, 0, "the next process need not wait");
    let next = tenants_of(&scene.db, &scene.clock).await;
    next.custody().access_token(shop, &scene.issuer()).await.unwrap();
}

#[tokio::test]
async fn a_host_that_stops_asks_for_no_ticket() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    scene.hand.advance(13 * 3_600_000);
    scene.tenants.flights().close();
    scene.token(shop).await.unwrap_err();
    assert!(!scene.tenants.custody().ask_for_ticket(&scene.issuer()).await);
    assert_eq!(scene.platform.count("push-ticket"), 0);
}

#[tokio::test]
async fn a_stop_waits_for_what_a_code_stands_for_and_keeps_it() {
    let scene = scene().await;
    let link = scene.redirected().await;
    let gate = Arc::new(Semaphore::new(0));
    *scene.platform.accounts.query_gate.lock().unwrap() = Some(Arc::clone(&gate));
    let stepping = scene.stepping();
    while scene.platform.accounts.count("query") == 0 {
        tokio::task::yield_now().await;
    }
    // The sweeper's patience is over, or the browser went away.
    stepping.abort();
    assert!(stepping.await.unwrap_err().is_cancelled());
    scene.tenants.flights().close();
    gate.add_permits(1);
    assert!(scene.tenants.flights().land(LONG).await);
    assert_eq!(scene.link(&link).await.appid.as_deref(), Some(SHOP));
    let mut scene = scene;
    scene.tenants = tenants_of(&scene.db, &scene.clock).await;
    scene.settle().await;
    let tenant = scene.tenants.by_appid(SHOP).unwrap();
    assert!(tenant.is_active());
    assert_eq!(scene.link(&link).await.tenant, Some(tenant.id));
    assert_eq!(scene.platform.accounts.count("query"), 1);
}

#[tokio::test]
async fn a_host_that_stops_asks_about_no_code_and_the_next_one_does() {
    let mut scene = scene().await;
    let link = scene.redirected().await;
    scene.tenants.flights().close();
    scene.tenants.onboarding().step(&scene.authorizer()).await.unwrap();
    assert_eq!(scene.platform.accounts.count("query"), 0);
    scene.tenants = tenants_of(&scene.db, &scene.clock).await;
    scene.settle().await;
    assert_eq!((scene.platform.accounts.count("query"), scene.platform.accounts.count("list")), (1, 0));
    assert_eq!(scene.link(&link).await.state, LinkState::Done);
}

#[tokio::test]
async fn a_stop_that_begins_while_the_component_s_token_is_fetched_spends_no_code() {
    let mut scene = scene().await;
    let link = scene.redirected().await;
    // The token of the link's making is over.
    scene.sql("UPDATE tokens SET expires_at = 0 WHERE kind = 'component'").await;
    scene.tenants = tenants_of(&scene.db, &scene.clock).await;
    scene.platform.component_gate.forget_permits(1000);
    let stepping = scene.stepping();
    scene.called("component", 2).await;
    scene.tenants.flights().close();
    scene.platform.component_gate.add_permits(1000);
    assert!(scene.tenants.flights().land(LONG).await);
    stepping.await.unwrap();
    assert_eq!(scene.platform.accounts.count("query"), 0);
    assert_eq!(scene.number("SELECT asked FROM authorizations").await, 0, "the code is as good as before");
    scene.tenants = tenants_of(&scene.db, &scene.clock).await;
    scene.settle().await;
    assert_eq!(scene.link(&link).await.state, LinkState::Done);
}
