//! What an installation needs besides its grants: the operator's approval, room among those that hear a hook, and a plugin that
//! does not fail again and again.

use fangshi_database::{Digest, InstallationId, RunId, TenantId, TokenId};

use super::registry::{new, upload};
use super::{Scene, scene, tenants_of};
use crate::{
    Action, Actor, AuditFilter, Conduct, Fault, InstallationPatch, InstallationState, Ran, Registry, RegistryError,
    Stop, Terms,
};

impl Scene {
    /// Runs of a version ended so, one after the other, each in a transaction of its own. Tells after which ones the
    /// installation was put into quarantine.
    async fn ended(&self, tenant: TenantId, id: InstallationId, version: &[u8], conducts: &[Conduct]) -> Vec<usize> {
        let of_pay: Vec<_> = conducts.iter().map(|conduct| ("on-pay", conduct.clone())).collect();
        self.ended_of(tenant, id, version, &of_pay).await
    }

    /// The same of several hooks.
    async fn ended_of(
        &self,
        tenant: TenantId,
        id: InstallationId,
        version: &[u8],
        ends: &[(&'static str, Conduct)],
    ) -> Vec<usize> {
        let mut quarantined = Vec::new();
        for (at, (hook, conduct)) in ends.iter().cloned().enumerate() {
            let (registry, version) = (self.tenants.registry().clone(), Digest::of(version));
            let ran = Ran { run: RunId(at as i64 + 1), version, hook };
            let noted = self
                .db
                .writer()
                .submit(move |c| Box::pin(async move { registry.note_conduct(c, tenant, id, ran, &conduct).await }));
            quarantined.extend(noted.await.unwrap().map(|_| at));
        }
        quarantined
    }
}

fn fault(allowed: u32) -> Conduct {
    Conduct::Fault(Fault { outcome: "limit", figure: "fuel: 5 allowed".into(), allowed })
}

async fn installed(scene: &Scene) -> (TenantId, InstallationId) {
    let tenant = scene.authorized("wxa").await.id;
    let registry = scene.tenants.registry();
    let plugin = upload(registry, tenant, b"code", &[]).await;
    (tenant, registry.install(tenant, new(plugin, b"code", &[])).await.unwrap().id)
}

fn resume() -> InstallationPatch {
    InstallationPatch { state: Some(InstallationState::Active), ..InstallationPatch::default() }
}

#[tokio::test]
async fn faults_in_a_row_pause_an_installation_and_it_says_why() {
    let scene = scene().await;
    let (tenant, id) = installed(&scene).await;
    let registry = scene.tenants.registry();
    assert_eq!(registry.active(tenant).await.unwrap().len(), 1, "in memory");
    let (well, untold) = (Conduct::Well, Conduct::Untold);
    let mixed = [fault(3), fault(3), well, fault(3), untold.clone(), fault(3)];
    assert!(scene.ended(tenant, id, b"code", &mixed).await.is_empty(), "one that ended well is in between");
    assert!(scene.ended(tenant, id, b"other", &[fault(3)]).await.is_empty(), "a version that is not at work");
    assert_eq!(scene.ended(tenant, id, b"code", &[untold, fault(3), fault(3)]).await, [1]);

    assert!(registry.active(tenant).await.unwrap().is_empty(), "memory follows");
    assert_eq!(registry.quarantined().await.unwrap(), 1);
    let paused = registry.get(tenant, id).await.unwrap().unwrap();
    assert_eq!(paused.state, InstallationState::Paused);
    let why = paused.quarantine.unwrap();
    assert_eq!((why.faults, &*why.outcome, why.figure.as_deref()), (3, "limit", Some("fuel: 5 allowed")));
    assert_eq!((why.since, why.run), (scene.clock.now(), Some(RunId(2))));
    assert_eq!(scene.number("SELECT count(*) FROM subscriptions WHERE until_seq IS NULL").await, 1, "events queue");
    let filter = AuditFilter { limit: 9, ..AuditFilter::default() };
    let entry = &scene.tenants.audit().list(&filter).await.unwrap()[0];
    assert_eq!((&*entry.actor, &*entry.action), ("system", Action::InstallationQuarantined.code()));
    assert_eq!(entry.subjects[0], id.to_string());

    // It is durable, and a run that was under way and ended well changes nothing.
    scene.ended(tenant, id, b"code", &[Conduct::Well]).await;
    let again = tenants_of(&scene.db, &scene.clock).await;
    assert!(again.registry().get(tenant, id).await.unwrap().unwrap().quarantine.is_some());

    let resumed = registry.patch_installation(tenant, id, resume()).await.unwrap();
    assert_eq!((resumed.state, resumed.quarantine), (InstallationState::Active, None));
    assert_eq!(scene.number("SELECT faults FROM installations").await, 0);
    assert_eq!(scene.ended(tenant, id, b"code", &[fault(3), fault(3), fault(3)]).await, [2], "counted anew");
}

#[tokio::test]
async fn a_hook_that_ends_well_takes_back_no_count_of_another() {
    let scene = scene().await;
    let (tenant, id) = installed(&scene).await;
    let well = ("on-schedule", Conduct::Well);
    let (pay, new) = (("on-pay", fault(3)), ("on-new", fault(3)));
    let mixed =
        [pay.clone(), well.clone(), pay.clone(), new.clone(), well.clone(), new, ("on-new", Conduct::Well), pay];
    assert_eq!(scene.ended_of(tenant, id, b"code", &mixed).await, [7], "the third of `on-pay`");
    let paused = scene.tenants.registry().get(tenant, id).await.unwrap().unwrap();
    assert_eq!(paused.quarantine.unwrap().faults, 3);
}

#[tokio::test]
async fn a_version_stays_in_quarantine_until_somebody_lets_it_go_on() {
    let scene = scene().await;
    let (tenant, id) = installed(&scene).await;
    let registry = scene.tenants.registry();
    upload(registry, tenant, b"next", &[]).await;
    let replace = |code: &[u8]| InstallationPatch { version: Some(Digest::of(code)), ..InstallationPatch::default() };
    scene.ended(tenant, id, b"code", &[fault(1)]).await;
    let paused = registry.get(tenant, id).await.unwrap().unwrap();
    assert!(paused.stopped().is_empty(), "its runs wait as long as it is at work: a resume lets them go on");
    let replaced = registry.patch_installation(tenant, id, replace(b"next")).await.unwrap();
    let stopped = [(Digest::of(b"code"), Stop::Quarantined)].into();
    assert_eq!((replaced.quarantine.clone(), replaced.stopped()), (None, stopped));
    // Both that fail, and across a start.
    scene.ended(tenant, id, b"next", &[fault(1)]).await;
    let again = tenants_of(&scene.db, &scene.clock).await;
    let both = again.registry().get(tenant, id).await.unwrap().unwrap();
    assert_eq!(both.quarantined, [Digest::of(b"code"), Digest::of(b"next")].into());
    let resumed = registry.patch_installation(tenant, id, resume()).await.unwrap();
    assert_eq!(resumed.quarantined, [Digest::of(b"code")].into(), "the one at work alone goes on");
    let back = registry.patch_installation(tenant, id, replace(b"code")).await.unwrap();
    assert!(back.quarantined.is_empty() && back.stopped().is_empty(), "somebody chose it again");
}

#[tokio::test]
async fn the_count_outlives_the_process_and_0_turns_it_off() {
    let scene = scene().await;
    let (tenant, id) = installed(&scene).await;
    assert!(scene.ended(tenant, id, b"code", &vec![fault(0); 50]).await.is_empty());
    assert!(scene.ended(tenant, id, b"code", &[fault(2)]).await.is_empty());
    let scene = Scene { tenants: tenants_of(&scene.db, &scene.clock).await, ..scene };
    assert!(scene.ended(tenant, id, b"code", &[Conduct::Well, fault(2)]).await.is_empty(), "taken back");
    let scene = Scene { tenants: tenants_of(&scene.db, &scene.clock).await, ..scene };
    assert_eq!(scene.ended(tenant, id, b"code", &[fault(2)]).await, [0]);
}

#[tokio::test]
async fn a_rolled_back_end_counts_nothing_and_leaves_memory_right() {
    let scene = scene().await;
    let (tenant, id) = installed(&scene).await;
    let registry = scene.tenants.registry().clone();
    let failed: Result<(), RegistryError> = scene
        .db
        .writer()
        .submit(move |c| {
            Box::pin(async move {
                let ran = Ran { run: RunId(1), version: Digest::of(b"code"), hook: "on-pay" };
                let _quarantined = registry.note_conduct(c, tenant, id, ran, &fault(1)).await?;
                Err(RegistryError::Damaged("a test"))
            })
        })
        .await;
    assert!(failed.is_err());
    let registry = scene.tenants.registry();
    assert_eq!(registry.active(tenant).await.unwrap().len(), 1);
    assert_eq!(scene.number("SELECT faults + (SELECT count(*) FROM faults) FROM installations").await, 0);
    assert_eq!(scene.audited(Action::InstallationQuarantined).await, 0);
}

#[tokio::test]
async fn another_version_ends_a_quarantine_and_a_merchants_own_pause_stays() {
    let scene = scene().await;
    let (tenant, id) = installed(&scene).await;
    let registry = scene.tenants.registry();
    let replace = |code: &[u8]| InstallationPatch { version: Some(Digest::of(code)), ..InstallationPatch::default() };
    for code in [b"next", b"last"] {
        upload(registry, tenant, code, &[]).await;
    }
    assert_eq!(scene.ended(tenant, id, b"code", &[fault(1)]).await, [0]);
    let replaced = registry.patch_installation(tenant, id, replace(b"next")).await.unwrap();
    assert_eq!((replaced.state, replaced.quarantine), (InstallationState::Active, None));
    assert_eq!(scene.number("SELECT faults FROM installations").await, 0);

    let pause = InstallationPatch { state: Some(InstallationState::Paused), ..InstallationPatch::default() };
    registry.patch_installation(tenant, id, pause).await.unwrap();
    assert!(scene.ended(tenant, id, b"next", &[fault(1)]).await.is_empty(), "it is paused already");
    let replaced = registry.patch_installation(tenant, id, replace(b"last")).await.unwrap();
    assert_eq!(replaced.state, InstallationState::Paused);
}

#[tokio::test]
async fn a_pause_of_what_is_in_quarantine_is_somebodys_and_outlives_another_version() {
    let scene = scene().await;
    let (tenant, id) = installed(&scene).await;
    let registry = scene.tenants.registry();
    let replace = |code: &[u8]| InstallationPatch { version: Some(Digest::of(code)), ..InstallationPatch::default() };
    upload(registry, tenant, b"next", &[]).await;
    assert_eq!(scene.ended(tenant, id, b"code", &[fault(1)]).await, [0]);

    let pause = InstallationPatch { state: Some(InstallationState::Paused), ..InstallationPatch::default() };
    let paused = registry.patch_installation(tenant, id, pause).await.unwrap();
    assert_eq!((paused.state, paused.quarantine), (InstallationState::Paused, None));
    let kept = registry.get(tenant, id).await.unwrap().unwrap();
    assert_eq!(
        (kept.quarantine, kept.quarantined),
        (None, [Digest::of(b"code")].into()),
        "the version failed all the same"
    );
    assert_eq!((registry.quarantined().await.unwrap(), scene.audited(Action::InstallationPaused).await), (0, 1));
    let replaced = registry.patch_installation(tenant, id, replace(b"next")).await.unwrap();
    assert_eq!(replaced.state, InstallationState::Paused);
    assert_eq!(replaced.stopped(), [(Digest::of(b"code"), Stop::Quarantined)].into());
    let resumed = registry.patch_installation(tenant, id, resume()).await.unwrap();
    assert_eq!(resumed.state, InstallationState::Active);
}

fn merchant(registry: &crate::Tenants) -> Registry {
    registry.by(Actor::Merchant(TokenId(1))).registry().clone()
}

#[tokio::test]
async fn a_version_needs_the_signature_of_a_key_that_is_trusted_now() {
    let scene = scene().await;
    let tenant = scene.authorized("wxa").await.id;
    let registry = scene.tenants.registry();
    let trusting = |keys: &[&str]| {
        let signers = Some(keys.iter().map(|key| (*key).to_owned()).collect());
        registry.on(Terms { signers, ..Terms::default() })
    };
    let signed = |key: Option<&str>| {
        let manifest = crate::ManifestRecord { hooks: vec![], grants: vec![] };
        crate::Declared { manifest, settings: None, signed_by: key.map(str::to_owned) }
    };
    let add = async |name: &str, key| {
        registry.add_version(tenant, name, Digest::of(b"code"), signed(key), b"code").await.unwrap()
    };
    let (plugin, version, _) = add("tags", None).await;
    assert_eq!(version.signed_by, None);
    let refused = trusting(&["one"]).install(tenant, new(plugin, b"code", &[])).await.unwrap_err();
    assert!(matches!(refused, RegistryError::NotSigned(version) if version == Digest::of(b"code")), "{refused}");
    let (other, version, fresh) = add("labels", Some("two")).await;
    assert_eq!((version.signed_by.as_deref(), fresh), (Some("two"), true));
    assert_eq!(add("tags", None).await.1.signed_by.as_deref(), Some("two"), "the same bytes");
    assert_eq!(add("again", None).await.1.signed_by.as_deref(), Some("two"), "under another name too");
    assert!(trusting(&["one"]).install(tenant, new(plugin, b"code", &[])).await.is_err(), "by another key");
    let installed = trusting(&["one", "two"]).install(tenant, new(plugin, b"code", &[])).await.unwrap();
    trusting(&[]).install(tenant, new(other, b"code", &[])).await.unwrap_err();
    // What an installation has it keeps.
    trusting(&[]).patch_installation(tenant, installed.id, resume()).await.unwrap();
}

#[tokio::test]
async fn a_merchants_upload_waits_for_the_operator_where_that_is_asked_for() {
    let scene = scene().await;
    let (tenant, other) = (scene.authorized("wxa").await.id, scene.authorized("wxb").await.id);
    let operator = scene.tenants.by(Actor::Operator(None)).registry().clone();
    let merchants = merchant(&scene.tenants);
    let strict = merchants.on(Terms { approval: true, ..Terms::default() });
    let plugin = upload(&merchants, tenant, b"code", &[]).await;
    upload(&merchants, other, b"code", &[]).await;
    let refused = strict.install(tenant, new(plugin, b"code", &[])).await.unwrap_err();
    assert!(matches!(refused, RegistryError::NotApproved(version) if version == Digest::of(b"code")), "{refused}");
    let by_the_operator = operator.on(Terms { approval: true, ..Terms::default() });
    assert!(by_the_operator.install(tenant, new(plugin, b"code", &[])).await.is_err(), "whoever installs it");
    assert_eq!(scene.number("SELECT count(*) FROM installations").await, 0);
    let waiting = operator.unapproved(None, 9).await.unwrap();
    assert_eq!(waiting.iter().map(|one| one.tenant).collect::<Vec<_>>(), [tenant, other]);
    assert_eq!(operator.unapproved(Some(waiting[0].number), 9).await.unwrap().len(), 1);

    let unknown = operator.approve(tenant, plugin, Digest::of(b"none")).await.unwrap_err();
    assert!(matches!(unknown, RegistryError::UnknownVersion(_)));
    let approved = operator.approve(tenant, plugin, Digest::of(b"code")).await.unwrap();
    assert_eq!((approved.approved_at, approved.approved_by.as_deref()), (Some(scene.clock.now()), Some("operator")));
    scene.hand.advance(1_000);
    assert_eq!(operator.approve(tenant, plugin, Digest::of(b"code")).await.unwrap(), approved, "once");
    assert_eq!(scene.audited(Action::VersionApproved).await, 1);
    strict.install(tenant, new(plugin, b"code", &[])).await.unwrap();
    assert_eq!(operator.unapproved(None, 9).await.unwrap().len(), 1, "of the other tenant");

    // The same bytes under another name need no second approval; other bytes do, and wait even as a replacement.
    let manifest = crate::ManifestRecord { hooks: vec![], grants: vec![] };
    let (_, again, _) = merchants.add_version(tenant, "labels", Digest::of(b"code"), manifest, b"code").await.unwrap();
    assert_eq!(again.approved_at, approved.approved_at);
    upload(&merchants, tenant, b"next", &[]).await;
    let next = InstallationPatch { version: Some(Digest::of(b"next")), ..InstallationPatch::default() };
    let id = strict.active(tenant).await.unwrap()[0].id;
    let refused = strict.patch_installation(tenant, id, next.clone()).await.unwrap_err();
    assert!(matches!(refused, RegistryError::NotApproved(_)), "{refused}");
    strict.patch_installation(tenant, id, resume()).await.unwrap();

    // What the operator uploads is approved by that, the merchant's bytes with it.
    upload(&operator, tenant, b"next", &[]).await;
    assert_eq!(scene.audited(Action::VersionApproved).await, 2);
    strict.patch_installation(tenant, id, next).await.unwrap();
    upload(&operator, tenant, b"own", &[]).await;
    let own = strict.version(tenant, Digest::of(b"own")).await.unwrap().unwrap();
    assert!(own.approved_at.is_some());
    assert_eq!(scene.audited(Action::VersionApproved).await, 2, "the entry of the upload says it");
}

#[tokio::test]
async fn what_was_approved_can_be_revoked_and_stays_so_whoever_uploads_it_again() {
    let scene = scene().await;
    let tenant = scene.authorized("wxa").await.id;
    let operator = scene.tenants.by(Actor::Operator(None)).registry().clone();
    let plugin = upload(&operator, tenant, b"code", &[]).await;
    let other = scene.authorized("wxb").await.id;
    upload(&operator, other, b"code", &[]).await;
    let id = operator.install(tenant, new(plugin, b"code", &[])).await.unwrap().id;
    assert!(!operator.installed(tenant).await.unwrap()[0].is_revoked(), "in memory");

    let revoked = operator.revoke(tenant, plugin, Digest::of(b"code")).await.unwrap();
    assert_eq!((revoked.approved_at, revoked.approved_by, revoked.revoked_at), (None, None, Some(scene.clock.now())));
    scene.hand.advance(1_000);
    let again = operator.revoke(tenant, plugin, Digest::of(b"code")).await.unwrap();
    assert_eq!((again.revoked_at, scene.audited(Action::VersionRevoked).await), (revoked.revoked_at, 1), "once");
    let held = operator.installed(tenant).await.unwrap()[0].clone();
    assert!(held.is_revoked() && held.state == InstallationState::Active, "memory follows");
    let unknown = operator.revoke(tenant, plugin, Digest::of(b"none")).await.unwrap_err();
    assert!(matches!(unknown, RegistryError::UnknownVersion(_)), "{unknown}");

    // Nobody asks for approvals here, and it can't be installed all the same: not by an upload of the operator either.
    let refused = operator.install(tenant, new(plugin, b"code", &[])).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Revoked(version) if version == Digest::of(b"code")), "{refused}");
    for registry in [&operator, &merchant(&scene.tenants)] {
        let manifest = crate::ManifestRecord { hooks: vec![], grants: vec![] };
        let name = if std::ptr::eq(registry, &operator) { "labels" } else { "marks" };
        let (named, version, fresh) =
            registry.add_version(tenant, name, Digest::of(b"code"), manifest, b"code").await.unwrap();
        assert!(fresh && version.revoked_at == revoked.revoked_at && version.approved_at.is_none(), "{name}");
        assert!(registry.install(tenant, new(named, b"code", &[])).await.is_err(), "{name}");
    }
    let theirs = operator.version(other, Digest::of(b"code")).await.unwrap().unwrap();
    assert!(theirs.revoked_at.is_none() && theirs.approved_at.is_some(), "another tenant's");

    // Another version works, and what waits for the revoked one does not.
    upload(&operator, tenant, b"next", &[]).await;
    let next = InstallationPatch { version: Some(Digest::of(b"next")), ..InstallationPatch::default() };
    let replaced = operator.patch_installation(tenant, id, next).await.unwrap();
    assert_eq!((replaced.is_revoked(), replaced.stopped()), (false, [(Digest::of(b"code"), Stop::Revoked)].into()));
    operator.approve(tenant, plugin, Digest::of(b"code")).await.unwrap();
    assert!(operator.installed(tenant).await.unwrap()[0].stopped().is_empty(), "memory follows");
    operator.install(tenant, new(plugin, b"code", &[])).await.unwrap();
}

#[tokio::test]
async fn all_that_waits_is_approved_at_once_with_an_entry_each_and_what_was_revoked_is_not() {
    let scene = scene().await;
    let (tenant, other) = (scene.authorized("wxa").await.id, scene.authorized("wxb").await.id);
    let operator = scene.tenants.by(Actor::Operator(None)).registry().clone();
    let merchants = merchant(&scene.tenants);
    // More than one write takes.
    for at in 0..60 {
        upload(&merchants, tenant, format!("code {at}").as_bytes(), &[]).await;
    }
    let manifest = crate::ManifestRecord { hooks: vec![], grants: vec![] };
    let named = Digest::of(b"code 1");
    let (second, ..) = merchants.add_version(tenant, "labels", named, manifest, b"code 1").await.unwrap();
    upload(&merchants, other, b"code 1", &[]).await;
    let plugin = upload(&merchants, tenant, b"bad", &[]).await;
    operator.revoke(tenant, plugin, Digest::of(b"bad")).await.unwrap();

    let of_one = operator.approve_all(tenant, Some(second)).await.unwrap();
    assert_eq!(of_one, [(second, named)]);
    let approved = operator.approve_all(tenant, None).await.unwrap();
    assert_eq!((approved.len(), scene.audited(Action::VersionApproved).await), (59, 60), "the same bytes once");
    assert!(approved.iter().all(|(plugin_of, version)| *plugin_of == plugin && *version != named));
    let left = operator.unapproved(None, 200).await.unwrap();
    let left: Vec<_> = left.iter().map(|one| (one.tenant, one.revoked_at.is_some())).collect();
    assert_eq!(left, [(other, false), (tenant, true)], "the other tenant's, and the one that was revoked");
    assert!(operator.approve_all(tenant, None).await.unwrap().is_empty());
    assert!(operator.approve_all(TenantId(99), None).await.is_err());
}

#[tokio::test]
async fn of_two_installs_at_once_one_has_room() {
    let scene = scene().await;
    let tenant = scene.authorized("wxa").await.id;
    let registry = scene.tenants.registry().on(Terms { hooks_per_event: Some(1), ..Terms::default() });
    let plugin = upload(&registry, tenant, b"code", &[]).await;
    upload(&registry, tenant, b"next", &[]).await;
    let (one, two) = tokio::join!(
        registry.install(tenant, new(plugin, b"code", &[])),
        registry.install(tenant, new(plugin, b"next", &[])),
    );
    let (made, refused) = if one.is_ok() { (one, two) } else { (two, one) };
    let refused = refused.unwrap_err();
    assert!(matches!(&refused, RegistryError::HooksPerEvent { hearing: 1, allowed: 1, .. }), "{refused}");
    assert_eq!(scene.number("SELECT count(*) FROM installations").await, 1);
    assert_eq!(scene.number("SELECT count(*) FROM subscriptions").await, 1);

    // What it hears already it goes on hearing.
    let id = made.unwrap().id;
    let next = InstallationPatch { version: Some(Digest::of(b"next")), ..InstallationPatch::default() };
    registry.patch_installation(tenant, id, next).await.unwrap();
    registry.remove(tenant, id).await.unwrap();
    registry.install(tenant, new(plugin, b"code", &[])).await.unwrap();
}
