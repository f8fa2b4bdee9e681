//! Onboarding: every way a shop comes and goes, cut off everywhere, forged, doubled and out of order.

use std::collections::BTreeSet;
use std::sync::Arc;

use fangshi_database::TenantId;
use secrecy::SecretString;

use super::accounts::Cut;
use super::{Scene, authorized, contains, kek, scene, secret, self_built, tenants_of};
use crate::{
    Actor, Arrived, AuthorizationChange, Authorizer, ChangeKind, Deletion, FreshLink, IssueError, Link, LinkState,
    NewLink, StateChange, TenantPatch, TenantState, Tenants, TenantsError, TokenError,
};

const SHOP: &str = "wxshop";

impl Scene {
    pub(super) fn authorizer(&self) -> Arc<dyn Authorizer> {
        Arc::clone(&self.platform) as Arc<dyn Authorizer>
    }

    async fn begin(&self) -> FreshLink {
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
    async fn restart(&mut self) {
        self.tenants = tenants_of(&self.db, &self.clock).await;
    }

    /// The shop is a tenant whose tokens work, with the refresh token in force.
    async fn assert_onboarded(&self, what: &str) -> TenantId {
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

fn sealed_in(tenants: &Tenants, id: TenantId) -> bool {
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
async fn revoked_then_authorized_again_and_nothing_old_counts() {
    let scene = scene().await;
    let at = scene.clock.now_s();
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    let first = change(ChangeKind::Authorized, at, Some(&code), None);
    scene.event(first.clone()).await;
    scene.settle().await;
    let tenant = scene.assert_onboarded("first").await;

    scene.platform.accounts.revoke(SHOP);
    let end = change(ChangeKind::Unauthorized, at + 10, None, None);
    scene.event(end.clone()).await;
    scene.settle().await;
    let found = scene.tenants.get(tenant).unwrap();
    let TenantState::Revoked { reason, since } = found.state.clone() else { panic!("{:?}", found.state) };
    assert_eq!(reason, "unauthorized");
    assert!(matches!(scene.token(tenant).await.unwrap_err(), TokenError::Revoked { .. }));
    let calls = scene.platform.accounts.calls.lock().unwrap().len();

    // Replays, and an authorization from before the end that was late.
    for old in [first, change(ChangeKind::Authorized, at + 9, Some("late"), None), end.clone()] {
        scene.event(old).await;
        scene.settle().await;
    }
    let still = scene.tenants.get(tenant).unwrap();
    assert!(matches!(&still.state, TenantState::Revoked { since: now, .. } if *now == since), "{:?}", still.state);
    assert_eq!(scene.platform.accounts.calls.lock().unwrap().len(), calls);

    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at + 20);
    scene.event(change(ChangeKind::Authorized, at + 20, Some(&code), None)).await;
    assert_eq!(scene.settle().await, [tenant]);
    assert_eq!(scene.assert_onboarded("again").await, tenant);
    // The end from before is replayed, under another tenant's number in the journal or not.
    scene.event(end).await;
    scene.settle().await;
    assert!(sealed_in(&scene.tenants, tenant));
}

#[tokio::test]
async fn words_of_one_second_are_settled_by_the_platform() {
    for granted in [true, false] {
        let scene = scene().await;
        let at = scene.clock.now_s();
        let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
        scene.event(change(ChangeKind::Authorized, at, Some(&code), None)).await;
        scene.settle().await;
        if !granted {
            scene.platform.accounts.revoke(SHOP);
        }
        scene.event(change(ChangeKind::Unauthorized, at, None, None)).await;
        scene.settle().await;
        assert_eq!(scene.tenants.by_appid(SHOP).unwrap().is_active(), granted);
    }
}

#[tokio::test]
async fn other_permission_sets_are_taken_over() {
    let scene = scene().await;
    let at = scene.clock.now_s();
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    scene.event(change(ChangeKind::Authorized, at, Some(&code), None)).await;
    scene.settle().await;
    let code = scene.platform.accounts.authorize(SHOP, &[131], at + 5);
    scene.event(change(ChangeKind::Updated, at + 5, Some(&code), None)).await;
    scene.settle().await;
    assert_eq!(scene.tenants.by_appid(SHOP).unwrap().permission_sets, Some(BTreeSet::from([131])));
    let mut scene = scene;
    scene.restart().await;
    assert_eq!(scene.tenants.by_appid(SHOP).unwrap().permission_sets, Some(BTreeSet::from([131])));
}

#[tokio::test]
async fn the_operators_own_suspension_outlives_authorizations() {
    let scene = scene().await;
    let tenant = scene.authorized(SHOP).await.id;
    let at = scene.clock.now_s();
    let state = Some(StateChange::Suspended { reason: "unpaid".into() });
    scene.tenants.update(tenant, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    for (kind, time) in
        [(ChangeKind::Authorized, at), (ChangeKind::Unauthorized, at + 1), (ChangeKind::Authorized, at + 2)]
    {
        let code = scene.platform.accounts.authorize(SHOP, &[131], time);
        scene.event(change(kind, time, (kind == ChangeKind::Authorized).then_some(code.as_str()), None)).await;
        scene.settle().await;
    }
    let found = scene.tenants.get(tenant).unwrap();
    assert!(matches!(&found.state, TenantState::Suspended { reason, .. } if reason == "unpaid"), "{:?}", found.state);
}

#[tokio::test]
async fn what_is_no_shop_or_another_kind_of_tenant_is_left_alone() {
    let scene = scene().await;
    let at = scene.clock.now_s();
    let link = scene.begin().await;
    let code = scene.platform.accounts.authorize(SHOP, &[1], at);
    scene.platform.accounts.by_appid.lock().unwrap().get_mut(SHOP).unwrap().shop = false;
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    scene.settle().await;
    assert!(scene.tenants.by_appid(SHOP).is_none());
    assert_eq!(scene.link(&link).await.reason.as_deref(), Some("not-a-shop"));
    let listed = scene.tenants.onboarding().accounts(None, 10).await.unwrap();
    assert_eq!(listed[0].verdict.as_deref(), Some("other"));
    // The redirect's time was the host's: the first walk asks once more, and brings the platform's.
    let asked = scene.platform.accounts.count("info");
    for _ in 0..3 {
        scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
        scene.settle().await;
    }
    assert_eq!(scene.platform.accounts.count("info"), asked + 1, "it is not asked about again and again");

    let own = scene.tenants.create(self_built("wxown")).await.unwrap();
    scene.platform.accounts.authorize("wxown", &[131], at);
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    let still = scene.tenants.get(own.id).unwrap();
    assert!(still.callback_keys().is_some() && still.permission_sets.is_none());
}

#[tokio::test]
async fn the_walk_finds_every_shop_while_the_list_grows() {
    let scene = scene().await;
    for number in 0..7 {
        scene.platform.accounts.authorize(&format!("wx{number}"), &[131], 5);
    }
    *scene.platform.accounts.page.lock().unwrap() = Some(3);
    // In front of the others, after the first page: the second page repeats an account, and the new one is behind.
    *scene.platform.accounts.joins.lock().unwrap() = Some((1, "wx-first".into()));
    let walked = scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    assert_eq!((walked.listed, walked.news, walked.vanished), (8, 8, 0));
    // Not all at once: what one walk finds is asked about over time.
    let stepped = scene.tenants.onboarding().step(&scene.authorizer()).await.unwrap();
    assert_eq!(stepped.handled, 1);
    scene.settle().await;
    assert_eq!(scene.tenants.list(None, 100).await.len(), 8);
    let walked = scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    assert_eq!((walked.listed, walked.news, walked.vanished), (8, 0, 0));
    assert_eq!(scene.work_left().await, 0);
}

#[tokio::test]
async fn the_list_alone_revokes_nobody() {
    let scene = scene().await;
    let at = scene.clock.now_s();
    scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    let moved_in = scene.tenants.create(authorized("wxmoved", Some("given"), Some("refresh-m"))).await.unwrap().id;
    scene.hand.advance(1000);
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    let tenant = scene.assert_onboarded("walk").await;
    // The moved-in shop was never authorized to this component: the platform says so itself.
    assert!(matches!(scene.tenants.get(moved_in).unwrap().state, TenantState::Revoked { .. }));

    // The list loses it, the account itself is still granted.
    *scene.platform.accounts.page.lock().unwrap() = Some(0);
    let walked = scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    assert_eq!(walked.vanished, 1);
    scene.settle().await;
    assert!(sealed_in(&scene.tenants, tenant));
    // Now it is gone in truth, and no event came.
    scene.platform.accounts.revoke(SHOP);
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    let found = scene.tenants.get(tenant).unwrap();
    assert!(matches!(&found.state, TenantState::Revoked { reason, .. } if reason == "platform-61003"));
    // Authorized again, silently.
    *scene.platform.accounts.page.lock().unwrap() = None;
    scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    assert_eq!(scene.settle().await, [tenant]);
    scene.assert_onboarded("back").await;
}

#[tokio::test]
async fn one_wrong_61003_of_a_call_revokes_nobody_and_a_true_one_does() {
    let scene = scene().await;
    scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    let shop = scene.assert_onboarded("walk").await;
    assert!(scene.tenants.onboarding().doubt(shop).await.unwrap(), "the account is asked about");
    scene.settle().await;
    assert!(sealed_in(&scene.tenants, shop), "the account says that it is granted");
    scene.platform.accounts.revoke(SHOP);
    assert!(scene.tenants.onboarding().doubt(shop).await.unwrap());
    assert!(sealed_in(&scene.tenants, shop), "not before it was asked");
    scene.settle().await;
    assert!(matches!(scene.tenants.get(shop).unwrap().state, TenantState::Revoked { .. }));
}

#[tokio::test]
async fn where_nobody_can_ask_61003_counts_for_the_version_that_was_used() {
    let scene = scene().await;
    let own = scene.tenants.create(self_built("wxown")).await.unwrap().id;
    let moved = scene.tenants.create(authorized("wxmoved", Some("given"), Some("refresh-m"))).await.unwrap().id;
    assert!(!scene.tenants.onboarding().doubt(own).await.unwrap());
    let bare = Tenants::open(scene.db.clone(), kek(), None, scene.clock.clone()).await.unwrap();
    assert!(!bare.onboarding().doubt(moved).await.unwrap(), "a host without a component");
    let version = scene.token(moved).await.unwrap().version;
    bare.custody().revoked(moved, version - 1).await;
    assert!(sealed_in(&bare, moved), "an older version's");
    bare.custody().revoked(moved, version).await;
    let found = bare.get(moved).unwrap();
    assert!(matches!(&found.state, TenantState::Revoked { reason, .. } if reason == "platform-61003"), "{found:?}");
}

#[tokio::test]
async fn a_deleted_tenant_comes_back_only_when_its_merchant_authorizes_anew() {
    let scene = scene().await;
    let at = scene.clock.now_s();
    let link = scene.begin().await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    scene.settle().await;
    let first = scene.assert_onboarded("at first").await;
    // The operator lets it go: the platform shows it on. Something is under way at that moment.
    let state = Some(StateChange::Suspended { reason: "leaves".into() });
    scene.tenants.update(first, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    scene.event(change(ChangeKind::Updated, scene.clock.now_s() - 1, Some("code-new"), None)).await;
    assert_eq!(scene.work_left().await, 1);
    scene.tenants.delete(first, SHOP).await.unwrap();
    let deleted_at = scene.clock.now_s();
    assert_eq!((scene.work_left().await, scene.number("SELECT count(*) FROM authorizations").await), (0, 0));
    let kept =
        "SELECT count(*) FROM authorizers WHERE refresh IS NOT NULL OR code IS NOT NULL OR tenant_id IS NOT NULL";
    assert_eq!(scene.number(kept).await, 0);

    // Neither what the platform pushes once more nor its list makes a tenant of it.
    for at in [at, deleted_at] {
        scene.event(change(ChangeKind::Authorized, at, Some("code-again"), None)).await;
    }
    for _ in 0..2 {
        let walked = scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
        assert_eq!((walked.listed, walked.news, walked.vanished), (1, 0, 0));
        scene.settle().await;
    }
    assert!(scene.tenants.by_appid(SHOP).is_none());
    let account = &scene.tenants.onboarding().accounts(None, 10).await.unwrap()[0];
    assert!(account.problem.as_ref().unwrap().contains("deleted"), "{account:?}");

    scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    let walked = scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    assert_eq!((walked.news, walked.vanished), (1, 0));
    scene.settle().await;
    let second = scene.assert_onboarded("authorized anew").await;
    assert_ne!(first, second);
    assert_eq!(scene.number("SELECT count(*) FROM authorizers WHERE deleted_s IS NOT NULL").await, 0);
}

#[tokio::test]
async fn a_deletion_that_a_restored_store_never_had_is_remembered() {
    let scene = scene().await;
    scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    let deletion = Deletion { tenant: TenantId(7), appid: SHOP.into(), at: scene.clock.now() };
    assert!(!scene.tenants.delete_again(&deletion).await.unwrap(), "there is nothing to delete");
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    assert!(scene.tenants.by_appid(SHOP).is_none());

    scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s() + 1);
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    scene.assert_onboarded("authorized anew").await;
    // A word that is younger than the deletion stands.
    scene.tenants.delete_again(&deletion).await.unwrap();
    assert!(scene.tenants.by_appid(SHOP).is_some());
}

#[tokio::test]
async fn an_answer_that_was_under_way_brings_no_deleted_tenant_back() {
    let scene = scene().await;
    let at = scene.clock.now_s();
    let link = scene.begin().await;
    let code = scene.platform.accounts.authorize(SHOP, &[130, 131], at);
    scene.tenants.onboarding().arrived(&link.nonce, secret(&code)).await.unwrap();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *scene.platform.accounts.query_gate.lock().unwrap() = Some(Arc::clone(&gate));
    let asking = {
        let (tenants, platform) = (scene.tenants.clone(), scene.authorizer());
        tokio::spawn(async move { tenants.onboarding().step(&platform).await.map(|_| ()) })
    };
    while scene.platform.accounts.count("query") == 0 {
        tokio::task::yield_now().await;
    }
    // Faster: the event makes the tenant, and the operator lets it go again.
    *scene.platform.accounts.query_gate.lock().unwrap() = None;
    scene.event(change(ChangeKind::Authorized, at, Some("code-of-the-event"), Some(&link.opening.pre_auth_code))).await;
    scene.settle().await;
    let shop = scene.tenants.by_appid(SHOP).unwrap().id;
    let state = Some(StateChange::Suspended { reason: "leaves".into() });
    scene.tenants.update(shop, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    scene.tenants.delete(shop, SHOP).await.unwrap();
    gate.add_permits(1);
    asking.await.unwrap().unwrap();
    scene.settle().await;
    assert!(scene.tenants.by_appid(SHOP).is_none());
    assert_eq!(scene.number("SELECT count(*) FROM authorizers WHERE deleted_s IS NOT NULL").await, 1);
    assert_eq!(scene.work_left().await, 0);
}

#[tokio::test]
async fn an_outage_is_no_refusal_however_long_it_lasts() {
    let scene = scene().await;
    let info = |error: Option<IssueError>| *scene.platform.accounts.refuses_info.lock().unwrap() = error;
    let refused = || Some(IssueError::Refused { code: 61011, message: "wrong component".into() });
    scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    info(Some(IssueError::Unavailable("connection reset".into())));
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    assert!(scene.number("SELECT tries FROM authorizers").await > 8, "it lasted");
    // One refusal after it is one.
    info(refused());
    let asked = scene.platform.accounts.count("info");
    while scene.platform.accounts.count("info") == asked {
        scene.hand.advance(600_000);
        scene.tenants.custody().keep_ticket(secret("ticket"), scene.clock.now_s()).await.unwrap();
        scene.tenants.onboarding().step(&scene.authorizer()).await.unwrap();
    }
    assert_eq!((scene.number("SELECT refusals FROM authorizers").await, scene.work_left().await), (1, 1));
    info(None);
    scene.settle().await;
    scene.assert_onboarded("after the outage").await;

    // Eight are enough, and whoever wants it anew begins anew.
    info(refused());
    let shop = scene.tenants.by_appid(SHOP).unwrap().id;
    scene.hand.advance(600_000);
    assert!(scene.tenants.onboarding().doubt(shop).await.unwrap());
    for _ in 0..4 {
        scene.settle().await;
    }
    assert_eq!((scene.number("SELECT refusals FROM authorizers").await, scene.work_left().await), (8, 0));
    assert!(scene.tenants.onboarding().doubt(shop).await.unwrap());
    assert_eq!((scene.number("SELECT refusals FROM authorizers").await, scene.work_left().await), (0, 1));
}

#[tokio::test]
async fn a_deleted_tenant_that_is_made_by_hand_is_followed_like_any_other() {
    let scene = scene().await;
    scene.platform.accounts.authorize(SHOP, &[130, 131], scene.clock.now_s());
    scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    scene.settle().await;
    let first = scene.assert_onboarded("walk").await;
    let state = Some(StateChange::Revoked { reason: "leaves".into() });
    scene.tenants.update(first, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    scene.tenants.delete(first, SHOP).await.unwrap();
    scene.tenants.create(authorized(SHOP, None, None)).await.unwrap();
    let walked = scene.tenants.onboarding().walk(&scene.authorizer()).await.unwrap();
    assert_eq!(walked.news, 1);
    scene.settle().await;
    scene.assert_onboarded("by hand").await;
}

#[tokio::test]
async fn walks_keep_their_schedule() {
    let scene = scene().await;
    let onboarding = scene.tenants.onboarding().clone();
    let due = async || onboarding.walk_if_due(&scene.authorizer(), 3_600_000).await.map(|walked| walked.is_some());
    assert!(due().await.unwrap() && !due().await.unwrap(), "at once, then not again");
    scene.hand.advance(3_599_999);
    assert!(!due().await.unwrap());
    scene.hand.advance(1);
    scene.platform.accounts.unanswered.lock().unwrap().push("list");
    assert!(due().await.is_err() && !due().await.unwrap());
    scene.hand.advance(60_000);
    scene.platform.accounts.unanswered.lock().unwrap().clear();
    assert!(due().await.unwrap(), "a failed walk is due again after a minute");

    scene.hand.advance(13 * 3_600_000);
    assert!(due().await.is_err(), "no ticket");
    onboarding.ticket_came();
    scene.tenants.custody().keep_ticket(secret("new"), scene.clock.now_s()).await.unwrap();
    assert!(due().await.unwrap(), "a ticket makes up for it at once");
    onboarding.ticket_came();
    assert!(!due().await.unwrap(), "nothing is owed");
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
