//! The chain: what is written into it, and what is noticed when somebody changes it.

use std::collections::BTreeSet;

use fangshi_database::{Digest, InstallationId, TenantId};
use serde_json::json;

use super::{Scene, authorized, contains, kek, scene, secret};
use crate::{
    Action, Actor, AuditFilter, Broken, Entry, ExportedHead, InstallationPatch, InstallationState, ManifestRecord,
    NewInstallation, NewToken, Restored, Role, StateChange, TenantPatch, Vault, Verified, read_heads, verify,
};

/// Somebody who may write the file: the triggers are gone first.
const UNLOCK: &str = "DROP TRIGGER audit_keeps_what_it_says; DROP TRIGGER audit_keeps_its_entries; \
                      DROP TRIGGER audit_goes_on_at_its_end;";

impl Scene {
    pub(super) async fn verified_with(&self, heads: &[ExportedHead]) -> Result<Verified, Broken> {
        self.verified_by(heads, &[]).await
    }

    pub(super) async fn verified_by(&self, heads: &[ExportedHead], dated: &[Restored]) -> Result<Verified, Broken> {
        let vault = Vault::load(self.db.reader(), &kek()).await.unwrap();
        verify(self.db.reader(), &vault, heads, dated).await.unwrap()
    }

    async fn verified(&self) -> Result<Verified, Broken> {
        self.verified_with(&[]).await
    }

    /// Action, actor and tenant of every entry, first to last.
    async fn told(&self) -> Vec<(String, String, TenantId)> {
        let mut all = self.tenants.audit().list(&AuditFilter { limit: 1000, ..AuditFilter::default() }).await.unwrap();
        all.reverse();
        all.into_iter().map(|entry| (entry.action, entry.actor, entry.tenant)).collect()
    }

    pub(super) async fn unlock(&self) {
        for statement in UNLOCK.split_inclusive(';') {
            self.sql(statement).await;
        }
    }

    /// Two tenants, and some entries about each.
    pub(super) async fn chain(&self) -> (TenantId, TenantId) {
        let operator = self.tenants.by(Actor::Operator(None));
        let one = operator.create(authorized("wxone", None, Some("refresh"))).await.unwrap().id;
        let two = operator.create(authorized("wxtwo", None, Some("refresh"))).await.unwrap().id;
        for id in [one, two] {
            let patch = TenantPatch { name: Some("CANARY new name".into()), ..TenantPatch::default() };
            operator.update(id, patch).await.unwrap();
        }
        (one, two)
    }
}

#[tokio::test]
async fn every_change_is_told_with_its_actor() {
    let scene = scene().await;
    let operator = scene.tenants.by(Actor::Operator(None));
    let tenant = operator.create(authorized("wxa", None, Some("refresh-0"))).await.unwrap().id;
    let new = NewToken { role: Role::Merchant(tenant), label: "erp".into(), expires_at: i64::MAX };
    let (token, _) = operator.access().make_token(new).await.unwrap();
    let merchant = scene.tenants.by(token.actor());

    let digest = Digest::of(b"code");
    let manifest = ManifestRecord { hooks: vec!["on-pay".into()], grants: vec![] };
    let (plugin, _, _) =
        merchant.registry().add_version(tenant, "tags", digest, manifest.clone(), b"code").await.unwrap();
    // The same bytes again change nothing, and nothing is told.
    merchant.registry().add_version(tenant, "tags", digest, manifest, b"code").await.unwrap();
    let new = NewInstallation {
        plugin,
        version: digest,
        grants: BTreeSet::new(),
        settings: json!({"password": "CANARY"}),
        limits: json!({}),
        schedules: Vec::new(),
    };
    let id: InstallationId = merchant.registry().install(tenant, new).await.unwrap().id;
    for patch in [
        InstallationPatch { state: Some(InstallationState::Paused), ..InstallationPatch::default() },
        InstallationPatch { state: Some(InstallationState::Active), ..InstallationPatch::default() },
        InstallationPatch { settings: Some(json!({"password": "CANARY-2"})), ..InstallationPatch::default() },
    ] {
        merchant.registry().patch_installation(tenant, id, patch).await.unwrap();
    }
    merchant.registry().remove(tenant, id).await.unwrap();
    // A change that is refused is not told.
    merchant.registry().remove(tenant, id).await.unwrap_err();

    scene.token(tenant).await.unwrap();
    let suspend =
        TenantPatch { state: Some(StateChange::Suspended { reason: "unpaid".into() }), ..TenantPatch::default() };
    operator.update(tenant, suspend).await.unwrap();
    let resume = TenantPatch { state: Some(StateChange::Active), ..TenantPatch::default() };
    operator.update(tenant, resume).await.unwrap();
    operator.access().make_link(tenant, "install", 10).await.unwrap();
    operator.access().revoke(token.id).await.unwrap();
    let decoded = Entry::new(Actor::System, Action::Decoded, tenant).about("37").with(json!({"left": 4}));
    scene.tenants.audit().record(decoded).await.unwrap();

    let merchant = format!("merchant:{}", token.id);
    let expected = [
        ("tenant-created", "operator"),
        ("access-token-made", "operator"),
        ("plugin-uploaded", &merchant),
        ("installation-made", &merchant),
        ("installation-paused", &merchant),
        ("installation-resumed", &merchant),
        ("installation-changed", &merchant),
        ("installation-removed", &merchant),
        ("token-refreshed", "system"), // the component's
        ("token-refreshed", "system"),
        ("tenant-suspended", "operator"),
        ("tenant-resumed", "operator"),
        ("link-made", "operator"),
        ("access-token-revoked", "operator"),
        ("decoded", "system"),
    ];
    let told = scene.told().await;
    let shown: Vec<(&str, &str)> = told.iter().map(|(action, actor, _)| (action.as_str(), actor.as_str())).collect();
    assert_eq!(shown, expected);
    for (action, actor, of) in &told {
        let host = action == "token-refreshed" && *of == TenantId::HOST;
        assert!(host || *of == tenant, "{action} by {actor} is told of {of}");
    }
    let filter = AuditFilter { tenant: Some(tenant), limit: 100, ..AuditFilter::default() };
    let own = scene.tenants.audit().list(&filter).await.unwrap();
    assert_eq!(own.len(), expected.len() - 1, "the component's token is the host's matter");
    assert_eq!(own[0].subjects, ["37"]);
    let changed = own.iter().find(|entry| entry.action == "installation-changed").unwrap();
    assert_eq!(changed.details.as_ref().unwrap()["changed"], json!(["settings"]));
    assert!(!format!("{own:?}").contains("CANARY"), "settings may hold secrets");
    let verified = scene.verified().await.unwrap();
    assert_eq!(verified.head.unwrap().number, expected.len() as i64);
}

#[tokio::test]
async fn a_refused_refresh_and_what_follows_from_it_are_told() {
    let scene = scene().await;
    let tenant = scene.tenants.create(authorized("wxa", None, None)).await.unwrap().id;
    scene.token(tenant).await.unwrap_err();
    let told: Vec<String> = scene.told().await.into_iter().map(|(action, ..)| action).collect();
    assert_eq!(told, ["tenant-created", "token-refreshed", "token-refused", "tenant-revoked"], "the account was asked");
}

#[tokio::test]
async fn the_table_refuses_to_be_changed() {
    let scene = scene().await;
    scene.chain().await;
    for sql in [
        "UPDATE audit SET actor = 'system' WHERE number = 1",
        "DELETE FROM audit WHERE number = 4",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT 2, at, actor, action, tenant_id, subjects, details_digest, details, prev, \
         hash FROM audit WHERE number = 1",
        "INSERT INTO audit SELECT 6, at, actor, action, tenant_id, subjects, details_digest, details, prev, hash \
         FROM audit WHERE number = 1",
    ] {
        let outcome: Result<(), fangshi_database::WriteError> = scene
            .db
            .writer()
            .submit(move |c| Box::pin(async move { Ok(sqlx::query(sql).execute(c).await.map(|_| ())?) }))
            .await;
        assert!(outcome.unwrap_err().to_string().contains("append-only"), "{sql}");
    }
    assert_eq!(scene.verified().await.unwrap().details, 4);
}

#[tokio::test]
async fn tampering_with_any_column_is_noticed_at_its_entry() {
    for change in [
        "at = at + 1",
        "actor = 'system'",
        "action = 'tenant-created'",
        "tenant_id = 1",
        "subjects = 't1'",
        "details_digest = zeroblob(32)",
        "details_digest = NULL",
        "details = NULL",
        "details = zeroblob(80)",
        // Another last byte, whichever it was: what is sealed ends in any byte.
        "details = CAST(substr(details, 1, length(details) - 1) || iif(substr(details, -1) = x'00', x'01', x'00') AS BLOB)",
        "details = (SELECT details FROM audit WHERE number = 2)",
        "details_digest = NULL, details = NULL",
        "prev = zeroblob(32)",
        "hash = zeroblob(32)",
        "hash = (SELECT hash FROM audit WHERE number = 2)",
    ] {
        let scene = scene().await;
        scene.chain().await;
        scene.unlock().await;
        let sql: &'static str = Box::leak(format!("UPDATE audit SET {change} WHERE number = 3").into_boxed_str());
        // Entry 3 is of tenant 1: another value is wanted for the columns that would stay as they are.
        let sql = match change {
            "tenant_id = 1" => "UPDATE audit SET tenant_id = 2 WHERE number = 3",
            "subjects = 't1'" => "UPDATE audit SET subjects = 't2' WHERE number = 3",
            _ => sql,
        };
        scene.sql(sql).await;
        let broken = scene.verified().await.expect_err(change);
        assert_eq!(broken.number, 3, "{change}: {broken}");
    }
    // The number itself.
    let scene = scene().await;
    scene.chain().await;
    scene.unlock().await;
    scene.sql("UPDATE audit SET number = 9 WHERE number = 4").await;
    let broken = scene.verified().await.unwrap_err();
    assert!(broken.number == 4 && broken.problem.contains("missing"), "{broken}");
}

#[tokio::test]
async fn a_removed_or_moved_entry_is_noticed() {
    for (removed, first) in [("number = 1", 1), ("number = 3", 3), ("number < 3", 1)] {
        let scene = scene().await;
        scene.chain().await;
        scene.unlock().await;
        let sql: &'static str = Box::leak(format!("DELETE FROM audit WHERE {removed}").into_boxed_str());
        scene.sql(sql).await;
        assert_eq!(scene.verified().await.unwrap_err().number, first, "{removed}");
    }
    // Two entries change places.
    let moved = scene().await;
    moved.chain().await;
    moved.unlock().await;
    for sql in [
        "UPDATE audit SET number = 100 WHERE number = 2",
        "UPDATE audit SET number = 2 WHERE number = 3",
        "UPDATE audit SET number = 3 WHERE number = 100",
    ] {
        moved.sql(sql).await;
    }
    assert_eq!(moved.verified().await.unwrap_err().number, 2);
    // A gap that is closed by renumbering.
    let closed = scene().await;
    closed.chain().await;
    closed.unlock().await;
    closed.sql("DELETE FROM audit WHERE number = 2").await;
    closed.sql("UPDATE audit SET number = 2 WHERE number = 3").await;
    closed.sql("UPDATE audit SET number = 3 WHERE number = 4").await;
    assert_eq!(closed.verified().await.unwrap_err().number, 2);
}

#[tokio::test]
async fn a_cut_end_is_noticed_below_an_exported_head() {
    let scene = scene().await;
    let folder = scene.dir.path().join("audit-heads");
    let audit = scene.tenants.audit();
    assert!(!audit.export_head(&folder, scene.clock.now()).await.unwrap(), "nothing to export yet");
    scene.chain().await;
    assert!(audit.export_head(&folder, scene.clock.now()).await.unwrap());
    assert!(!audit.export_head(&folder, scene.clock.now() + 3_600_000).await.unwrap(), "once a day");
    let one = scene.tenants.get(TenantId(1)).unwrap().id;
    scene.tenants.audit().record(Entry::new(Actor::System, Action::Decoded, one)).await.unwrap();
    assert!(audit.export_head(&folder, scene.clock.now() + 24 * 3_600_000).await.unwrap());
    let heads = read_heads(&folder).unwrap();
    let told: Vec<(&str, i64)> = heads.iter().map(|head| (head.date.as_str(), head.number)).collect();
    assert_eq!(told, [("2026-01-01", 4), ("2026-01-02", 5)]);
    assert_eq!(scene.verified_with(&heads).await.unwrap().heads, 2);

    scene.unlock().await;
    scene.sql("DELETE FROM audit WHERE number = 5").await;
    assert!(scene.verified().await.is_ok(), "the chain alone cannot tell");
    let broken = scene.verified_with(&heads).await.unwrap_err();
    assert!(broken.number == 5 && broken.problem.contains("2026-01-02"), "{broken}");
    // Another end in its place has another hash.
    scene.tenants.audit().record(Entry::new(Actor::Operator(None), Action::Decoded, one)).await.unwrap();
    let broken = scene.verified_with(&heads).await.unwrap_err();
    assert!(broken.number == 5 && broken.problem.contains("exported"), "{broken}");
    // And so has a chain that was begun anew.
    scene.sql("DELETE FROM audit").await;
    assert_eq!(scene.verified_with(&heads).await.unwrap_err().number, 1);
}

#[tokio::test]
async fn a_changed_budget_of_decodes_is_told_with_who_changed_it() {
    let scene = scene().await;
    let tenant = scene.authorized("wxa").await.id;
    let patch = TenantPatch { decode_budget: Some(5), ..TenantPatch::default() };
    scene.tenants.by(Actor::Operator(None)).update(tenant, patch).await.unwrap();
    let filter = AuditFilter { limit: 1, ..AuditFilter::default() };
    let last = scene.tenants.audit().list(&filter).await.unwrap().remove(0);
    assert_eq!((last.action.as_str(), last.actor.as_str(), last.tenant), ("tenant-changed", "operator", tenant));
    assert_eq!(last.details.unwrap()["changed"], json!(["decode_budget"]));
    // Another process, and the next start, go by it.
    let again = super::tenants_of(&scene.db, &scene.clock).await;
    assert_eq!(again.get(tenant).unwrap().decode_budget, 5);
}

#[tokio::test]
async fn details_are_gone_with_the_data_key_and_the_chain_still_holds() {
    let scene = scene().await;
    let (one, two) = scene.chain().await;
    assert!(!contains(&scene.raw_files(), "CANARY"), "details are sealed");
    scene.sql("DELETE FROM data_keys WHERE tenant_id = 1").await;
    let verified = scene.verified().await.unwrap();
    assert_eq!((verified.details, verified.deleted), (2, 2));
    let vault = Vault::load(scene.db.reader(), &kek()).await.unwrap();
    for (tenant, readable) in [(one, false), (two, true)] {
        let filter = AuditFilter { tenant: Some(tenant), limit: 10, ..AuditFilter::default() };
        let entries = crate::audit::list_with(scene.db.reader(), &vault, &filter).await.unwrap();
        assert_eq!(entries.len(), 2);
        assert!(entries.iter().all(|entry| entry.details.is_some() == readable), "{entries:?}");
    }
    // What stays readable is covered all the same.
    scene.unlock().await;
    scene.sql("UPDATE audit SET actor = 'system' WHERE number = 1").await;
    assert_eq!(scene.verified().await.unwrap_err().number, 1);
}

#[tokio::test]
async fn an_entry_lives_and_dies_with_its_change() {
    let scene = scene().await;
    let (one, _) = scene.chain().await;
    let audit = scene.tenants.audit();
    let outcome: Result<(), crate::AuditError> = scene
        .db
        .writer()
        .submit(move |c| {
            Box::pin(async move {
                audit.append(c, Entry::new(Actor::System, Action::Decoded, one)).await?;
                Err(crate::AuditError::Sql(sqlx::Error::RowNotFound))
            })
        })
        .await;
    outcome.unwrap_err();
    assert_eq!(scene.number("SELECT count(*) FROM audit").await, 4);
    // Changes at the same time extend one chain.
    let all = (0..50).map(|n| {
        let tenants = scene.tenants.clone();
        async move {
            let patch = TenantPatch { name: Some(format!("name {n}")), ..TenantPatch::default() };
            tenants.update(one, patch).await.map(|_| ())
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    for change in all {
        tasks.spawn(change);
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
    }
    assert_eq!(scene.verified().await.unwrap().head.unwrap().number, 54);
}

#[tokio::test]
async fn no_secret_enters_the_audit() {
    let scene = scene().await;
    let (one, _) = scene.chain().await;
    let patch = TenantPatch {
        access_token: Some((secret("CANARY-access"), None)),
        refresh_token: Some(secret("CANARY-refresh")),
        ..TenantPatch::default()
    };
    scene.tenants.update(one, patch).await.unwrap();
    let filter = AuditFilter { limit: 1, ..AuditFilter::default() };
    let last = scene.tenants.audit().list(&filter).await.unwrap().remove(0);
    assert_eq!(last.details.as_ref().unwrap()["changed"], json!(["access_token", "refresh_token"]));
    assert!(!format!("{last:?}").contains("CANARY"));
}
