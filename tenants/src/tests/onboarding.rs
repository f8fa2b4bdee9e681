//! Onboarding: every way a shop comes and goes, cut off everywhere, forged, doubled and out of order.

use std::collections::BTreeSet;
use std::sync::Arc;

use fangshi_database::TenantId;
use secrecy::SecretString;

use super::accounts::Cut;
use super::{Scene, contains, scene, secret, tenants_of};
use crate::{
    Actor, Arrived, AuthorizationChange, Authorizer, ChangeKind, FreshLink, Link, LinkState, NewLink, Tenants,
    TenantsError,
};

pub(super) const SHOP: &str = "wxshop";

impl Scene {
    pub(super) fn authorizer(&self) -> Arc<dyn Authorizer> {
        Arc::clone(&self.platform) as Arc<dyn Authorizer>
    }

    pub(super) async fn begin(&self) -> FreshLink {
        self.begin_for(None).await
    }

    pub(super) async fn begin_for(&self, biz_appid: Option<&str>) -> FreshLink {
        let new = NewLink { biz_appid: biz_appid.map(str::to_owned), ..NewLink::default() };
        self.tenants.onboarding().begin(&self.authorizer(), Actor::Operator(None), new).await.unwrap()
    }

    pub(super) async fn link(&self, link: &FreshLink) -> Link {
        self.tenants.onboarding().link(link.id).await.unwrap().unwrap()
    }

    /// An event of the platform, as the journal hands it over.
    pub(super) async fn event(&self, change: AuthorizationChange) {
        let onboarding = self.tenants.onboarding().clone();
        let noted: Result<(), TenantsError> =
            self.db.writer().submit(move |c| Box::pin(async move { onboarding.note(c, &change).await })).await;
        noted.unwrap();
    }

    /// Steps until nothing is due, then lets a minute pass, a few times over.
    pub(super) async fn settle(&self) -> Vec<TenantId> {
        let mut woken = vec![];
        for _ in 0..20 {
            while let stepped = self.tenants.onboarding().step(&self.authorizer()).await.unwrap()
                && stepped.handled > 0
            {
                woken.extend(stepped.woken);
            }
            self.hand.advance(60_000);
            self.tenants.custody().keep_ticket(secret("ticket"), self.clock.now_s()).await.unwrap();
        }
        woken
    }

    /// The process is gone; another one opens the store.
    pub(super) async fn restart(&mut self) {
        self.tenants = tenants_of(&self.db, &self.clock).await;
    }

    /// The shop is a tenant whose tokens work, with the refresh token in force.
    pub(super) async fn assert_onboarded(&self, what: &str) -> TenantId {
        let tenant = self.tenants.by_appid(SHOP).unwrap_or_else(|| panic!("{what}: no tenant"));
        assert!(tenant.is_active(), "{what}: {:?}", tenant.state);
        assert_eq!(tenant.user_name.as_deref(), Some("gh_wxshop"), "{what}");
        assert_eq!(tenant.permission_sets, Some(BTreeSet::from([130, 131])), "{what}");
        let token = self.token(tenant.id).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        self.tenants.custody().invalidate(tenant.id, token.version).await;
        self.token(tenant.id).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let calls = self.platform.calls.lock().unwrap().clone();
        let in_force = self.platform.accounts.refresh_of(SHOP);
        assert!(calls.iter().any(|call| call.ends_with(&in_force)), "{what}: {in_force} was never used: {calls:?}");
        tenant.id
    }

    pub(super) async fn work_left(&self) -> i64 {
        self.number("SELECT (SELECT count(*) FROM authorizers WHERE work IS NOT NULL) + (SELECT count(*) FROM authorizations WHERE work = 1)").await
    }
}

pub(super) fn change(
    kind: ChangeKind,
    created_at: i64,
    code: Option<&str>,
    pre_auth: Option<&SecretString>,
) -> AuthorizationChange {
    let (code, pre_auth_code) = (code.map(secret), pre_auth.cloned());
    AuthorizationChange { appid: SHOP.into(), kind, created_at, code, pre_auth_code }
}

pub(super) fn sealed_in(tenants: &Tenants, id: TenantId) -> bool {
    tenants.get(id).is_some_and(|tenant| tenant.is_active())
}

/// What reaches the host of one authorization, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Redirect,
    Event,
    Walk,
}

#[tokio::test]
async fn a_shop_is_onboarded_whatever_arrives_and_wherever_the_host_is_cut_off() {
    use Word::{Event, Redirect, Walk};
    let ways: [&[Word]; 6] =
        [&[Redirect], &[Event], &[Redirect, Event], &[Event, Redirect], &[Walk], &[Redirect, Walk, Event]];
    let mut cuts = 0;
    for words in ways {
        for cut in (0..8).flat_map(|at| [Some((at, Cut::Before)), Some((at, Cut::After))]).chain([None]) {
            let what = format!("{words:?} {cut:?}");
            let mut scene = scene().await;
            let link = scene.begin().await;
            let at = scene.clock.now_s();
            let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
            let before = scene.platform.accounts.calls.lock().unwrap().len();
            *scene.platform.accounts.cut.lock().unwrap() = cut.map(|(number, cut)| (before + number, cut));
            for word in words {
                let (tenants, authorizer) = (scene.tenants.clone(), scene.authorizer());
                match word {
                    Redirect => {
                        let arrived = tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
                        assert_ne!(arrived, Arrived::Unknown, "{what}");
                    }
                    Event => {
                        let pre = Some(&link.opening.pre_auth_code);
                        scene.event(change(ChangeKind::Authorized, at, Some(&code), pre)).await;
                    }
                    Walk => {}
                }
                let walks = *word == Walk;
                let mut stepping = tokio::spawn(async move {
                    if walks {
                        tenants.onboarding().walk(&authorizer).await.unwrap();
                    }
                    while tenants.onboarding().step(&authorizer).await.unwrap().handled > 0 {}
                });
                // A call that is cut off never returns: then the process ends.
                let hangs = async {
                    let (number, _) = cut?;
                    while scene.platform.accounts.calls.lock().unwrap().len() <= before + number {
                        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                    }
                    Some(())
                };
                let hung = tokio::select! {
                    done = &mut stepping => { done.unwrap(); false }
                    Some(()) = hangs => true,
                };
                if hung {
                    stepping.abort();
                    let _ = stepping.await;
                    cuts += 1;
                    scene.restart().await;
                    *scene.platform.accounts.cut.lock().unwrap() = None;
                }
            }
            *scene.platform.accounts.cut.lock().unwrap() = None;
            if words.contains(&Walk) {
                scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
            }
            scene.settle().await;
            let tenant = scene.assert_onboarded(&what).await;
            assert_eq!(scene.work_left().await, 0, "{what}");
            if words != [Walk] {
                let link = scene.link(&link).await;
                assert_eq!((link.state, link.tenant), (LinkState::Done, Some(tenant)), "{what}: {:?}", link.reason);
            }
            assert_eq!(scene.number("SELECT count(*) FROM tenants").await, 1, "{what}");
        }
    }
    assert!(cuts > 20, "only {cuts} cuts hit a call");
}

#[tokio::test]
async fn answers_that_are_lost_are_found_again() {
    // The code is spent and its answer is lost; nothing else ever tells whose it was.
    let scene = scene().await;
    let link = scene.begin().await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.platform.accounts.authorize("wxolder", &[131], scene.clock.now_s() - 86_400);
    scene.platform.accounts.unanswered.lock().unwrap().push("query");
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    scene.tenants.onboarding().step(&scene.authorizer()).await.unwrap();
    assert_eq!(scene.link(&link).await.reason.as_deref(), Some("no-answer"));
    scene.platform.accounts.unanswered.lock().unwrap().clear();
    scene.settle().await;
    let tenant = scene.assert_onboarded("lost answer").await;
    assert_eq!(scene.link(&link).await.tenant, Some(tenant));
    assert_eq!(scene.platform.accounts.count(&format!("query {code}")), 2);
}

#[tokio::test]
async fn a_code_that_is_lost_and_stands_for_one_of_several_completes_no_link() {
    let scene = scene().await;
    let link = scene.begin().await;
    let now = scene.clock.now_s();
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], now);
    scene.platform.accounts.authorize("wxtwin", &[131], now);
    scene.platform.accounts.unanswered.lock().unwrap().push("query");
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    scene.tenants.onboarding().step(&scene.authorizer()).await.unwrap();
    scene.platform.accounts.unanswered.lock().unwrap().clear();
    scene.settle().await;
    assert_eq!(scene.link(&link).await.state, LinkState::Working, "nobody may guess");
    scene.assert_onboarded("the walk took it over all the same").await;
    for _ in 0..4 {
        scene.settle().await;
    }
    let link = scene.link(&link).await;
    assert_eq!((link.state, link.reason.as_deref()), (LinkState::Failed, Some("code-spent")));
}

#[tokio::test]
async fn a_forged_redirect_changes_nothing_and_the_true_one_still_works() {
    let scene = scene().await;
    let link = scene.begin().await;
    let onboarding = scene.tenants.onboarding().clone();
    let forged = onboarding.arrived(&secret("0123"), secret("code")).await.unwrap();
    assert_eq!(forged, Arrived::Unknown);
    assert_eq!(onboarding.arrived(&link.nonce, secret("made up")).await.unwrap(), Arrived::Kept(link.id));
    scene.settle().await;
    let seen = scene.link(&link).await;
    assert_eq!((seen.state, seen.reason.as_deref()), (LinkState::Expired, Some("code-refused")));
    assert_eq!(onboarding.arrived(&link.nonce, secret("made up")).await.unwrap(), Arrived::Ignored, "a replay");
    assert_eq!(scene.number("SELECT count(*) FROM tenants").await, 0);
    assert_eq!(scene.platform.accounts.count("list"), 0, "a refused code is no lost one");

    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    assert_eq!(onboarding.arrived(&link.nonce, secret(&code)).await.unwrap(), Arrived::Kept(link.id));
    scene.settle().await;
    scene.assert_onboarded("after a forged redirect").await;
    let calls = scene.platform.accounts.calls.lock().unwrap().len();
    for code in [code.as_str(), "another"] {
        assert_eq!(onboarding.arrived(&link.nonce, secret(code)).await.unwrap(), Arrived::Ignored);
    }
    scene.settle().await;
    assert_eq!(scene.platform.accounts.calls.lock().unwrap().len(), calls, "a replay asks nobody");
}

#[tokio::test]
async fn the_code_of_another_link_completes_only_its_own() {
    let scene = scene().await;
    let (mine, other) = (scene.begin().await, scene.begin().await);
    let at = scene.clock.now_s();
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    // The event was faster: the code is known to be the other link's.
    let event = change(ChangeKind::Authorized, at, Some(&code), Some(&other.opening.pre_auth_code));
    scene.event(event.clone()).await;
    let onboarding = scene.tenants.onboarding().clone();
    assert_eq!(onboarding.arrived(&mine.nonce, secret(&code)).await.unwrap(), Arrived::Foreign);
    scene.settle().await;
    let tenant = scene.assert_onboarded("by its own link").await;
    assert_eq!(scene.link(&other).await.tenant, Some(tenant));
    assert_eq!(scene.link(&mine).await.tenant, None);

    // The redirect to the wrong link was faster: the event sets it right.
    let scene = super::scene().await;
    let (mine, other) = (scene.begin().await, scene.begin().await);
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    scene.tenants.onboarding().arrived(&mine.nonce, secret(&code)).await.unwrap();
    scene.settle().await;
    let pre = Some(&other.opening.pre_auth_code);
    scene.event(change(ChangeKind::Authorized, at, Some(&code), pre)).await;
    scene.settle().await;
    let mine = scene.link(&mine).await;
    assert_eq!((mine.state, mine.reason.as_deref()), (LinkState::Failed, Some("code-of-another-link")));
    assert_eq!(scene.link(&other).await.state, LinkState::Done);
}

#[tokio::test]
async fn an_event_with_an_unknown_pre_auth_code_completes_no_link() {
    let scene = scene().await;
    let link = scene.begin().await;
    let at = scene.clock.now_s();
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    scene.event(change(ChangeKind::Authorized, at, Some(&code), Some(&secret("somebody else's")))).await;
    scene.settle().await;
    scene.assert_onboarded("silently").await;
    let link = scene.link(&link).await;
    assert_eq!((link.state, link.tenant), (LinkState::Expired, None));
}

#[tokio::test]
async fn codes_and_tokens_are_sealed() {
    let scene = scene().await;
    let link = scene.begin().await;
    let at = scene.clock.now_s();
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    scene.event(change(ChangeKind::Authorized, at, Some("code-CANARY"), None)).await;
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    let before = scene.raw_files();
    scene.settle().await;
    let after = scene.raw_files();
    for files in [before, after] {
        assert!(contains(&files, SHOP), "the search finds nothing at all");
        for secret in [code.as_str(), "code-CANARY", "refresh-of-", "pre-auth-", "access-of-"] {
            assert!(!contains(&files, secret), "{secret} lies in the files");
        }
        use secrecy::ExposeSecret;
        assert!(!contains(&files, link.nonce.expose_secret()));
    }
}
