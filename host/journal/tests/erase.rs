//! A deleted tenant leaves no row behind, however the deletion is cut off, and an export holds all of a tenant and nothing
//! of another.
#![allow(clippy::unwrap_used)]

mod rig;

use fangshi_journal::{EffectState, ExportCursor, InstallationId, JournalError, KvChange, Next};
use fangshi_tenants::{
    AuthorizationChange, ChangeKind, Credentials, ErasedList, NewTenant, Platform, Retention, StateChange, TenantId,
    TenantPatch,
};
use rig::{CANARY, Rig};
use serde_json::{Value, json};

const ONE: InstallationId = InstallationId(1);

/// Tables whose rows stay when a tenant goes, or belong to nobody.
/// What the audit says of a tenant stays, and can no longer be opened.
const NOT_A_TENANTS: [&str; 6] = ["_sqlx_migrations", "audit", "key_check", "deletions", "restores", "sqlite_sequence"];

/// Runs with everything that a run can have.
async fn busy(rig: &Rig, from: u8, runs: u8) {
    for n in from..from + runs {
        let (fence, run, event) = rig.entered(n).await;
        let buffer = rig.begin(run, 1);
        buffer.log(1, CANARY).unwrap();
        let intent = rig.intent(0, 0).await;
        rig.journal.intent(&fence, &buffer, &intent, None).await.unwrap();
        rig.journal.outcome(&fence, &buffer, &rig.outcome(&intent, EffectState::Applied).await).await.unwrap();
        let mut ending = rig.ending(event, Next::Done);
        ending.kv = vec![KvChange { key: format!("k{n}"), value: Some(CANARY.into()) }];
        rig.journal.end_attempt(&fence, &buffer, ONE, &ending).await.unwrap();
    }
}

/// Rows of the rooms that no run writes.
async fn entrusted(rig: &Rig) {
    let change = AuthorizationChange {
        appid: "wx0000000000000001".into(),
        kind: ChangeKind::Authorized,
        created_at: rig.clock.now() / 1_000,
        code: Some(CANARY.into()),
        pre_auth_code: None,
    };
    rig.journal.record_component_event(rig.event(200), Some(change)).await.unwrap();
    let written: Result<(), JournalError> = rig
        .db
        .writer()
        .submit(|c| {
            Box::pin(async move {
                for text in [
                    "INSERT INTO authorizations (nonce_digest, pre_auth_code, pre_auth_digest, requested_by, created_at, \
                     expires_at, state, appid, tenant_id) VALUES (x'01', x'01', x'01', 'o', 1, 2, 'done', \
                     'wx0000000000000001', 1), (x'02', x'01', x'02', 'o', 1, 2, 'working', 'wx0000000000000001', NULL)",
                    "INSERT OR REPLACE INTO tokens (tenant_id, kind, version, issued_at, refresh_at, expires_at) \
                     VALUES (1, 'access', 3, 0, 0, 0)",
                    "UPDATE tenants SET permission_sets = '[130]' WHERE id = 1",
                    "INSERT INTO decoded (tenant_id, order_id, version) VALUES (1, 'o', 1)",
                    "INSERT INTO decodes (tenant_id, installation_id, order_id, day, live, outcome, at) \
                     VALUES (1, 1, 'o', 1, 1, 1, 1)",
                    "INSERT INTO known_orders (tenant_id, order_id, status, update_time, read_at, facts) \
                     VALUES (1, 'o', 20, 1, 1, x'01')",
                    "INSERT INTO reconciled (tenant_id, order_id, event_seq, event, since, update_time) \
                     VALUES (1, 'o', 1, 'e', 0, 1)",
                    "INSERT INTO transitions VALUES (1, 'o', 1, 30, 20, 0, 1)",
                    "INSERT INTO reconciliations VALUES (1, x'01')",
                    "INSERT INTO refusals VALUES (1, 'window', 1, 1)",
                    "INSERT INTO alerts (kind, tenant_id, subject, count, first_at, last_at, next_at) \
                     VALUES ('tenant-stopped', 1, 'revoked', 1, 1, 1, 1)",
                    "INSERT INTO plugins (id, tenant_id, name, created_at) VALUES (1, 1, 'p', 1)",
                    "INSERT INTO components VALUES (1, x'01', x'01')",
                    "INSERT INTO versions (id, tenant_id, plugin_id, digest, size, hooks, grants, uploaded_at) \
                     VALUES (1, 1, 1, x'01', 1, '[]', '[]', 1)",
                    "INSERT INTO installations (id, tenant_id, plugin_id, digest, state, settings, limits, created_at, \
                     updated_at) VALUES (1, 1, 1, x'01', 'active', x'01', '{}', 1, 1)",
                    "INSERT INTO grants VALUES (1, 'notes')",
                    "INSERT INTO schedules VALUES (1, 'nightly', 1, '0 0 * * *', 'UTC', 1, 1, 0)",
                    "INSERT INTO faults VALUES (1, 'on-pay', 1, 1)",
                    "INSERT INTO access_tokens (role, tenant_id, door, digest, label, created_at, expires_at) \
                     VALUES ('merchant', 1, 'api', x'01', x'01', 1, 2)",
                    "INSERT INTO links (tenant_id, digest, purpose, created_at, expires_at) VALUES (1, x'01', x'01', 1, 2)",
                ] {
                    sqlx::query(text).execute(&mut *c).await?;
                }
                Ok(())
            })
        })
        .await;
    written.unwrap();
}

async fn second(rig: &Rig) -> Rig2 {
    let new = NewTenant {
        platform: Platform::Weixin,
        appid: "wx0000000000000002".into(),
        user_name: Some("gh_2".into()),
        name: "other".into(),
        credentials: Credentials::Authorized { access_token: None, expires_in: None, refresh_token: None },
    };
    let id = rig.tenants.create(new).await.unwrap().id;
    rig::subscribe(&rig.db, id).await;
    Rig2(id)
}

struct Rig2(TenantId);

async fn delete(rig: &Rig) {
    let state = Some(StateChange::Revoked { reason: "unauthorized".into() });
    rig.tenants.update(rig.tenant, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    rig.tenants.delete(rig.tenant, "wx0000000000000001").await.unwrap();
}

/// Rows of the tables, those of nobody left out.
async fn rows(rig: &Rig) -> Vec<(String, i64)> {
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        .fetch_all(rig.db.reader())
        .await
        .unwrap();
    let mut rows = Vec::new();
    for table in tables.into_iter().filter(|table| !NOT_A_TENANTS.contains(&table.as_str())) {
        let text = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        rows.push((table, sqlx::query_scalar(text).fetch_one(rig.db.reader()).await.unwrap()));
    }
    rows
}

#[tokio::test]
async fn what_is_deleted_goes_on_though_the_next_deletion_can_not_be_noted() {
    let rig = Rig::new().await;
    delete(&rig).await;
    let next = second(&rig).await.0;
    let state = Some(StateChange::Revoked { reason: "unauthorized".into() });
    rig.tenants.update(next, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    // A list that can't be written.
    rig.tenants.note_deletions_in(ErasedList::new(folder.path().to_owned()));
    for _ in 0..2 {
        rig.journal.tend_tenants(Retention::Days(0), rig.clock.now()).await.unwrap_err();
        rig.hand.advance(60_000);
    }
    assert!(rig.tenants.deletions().await.unwrap().is_empty());
    assert!(rig.tenants.get(next).is_some());
}

#[tokio::test]
async fn nothing_is_left_of_a_deleted_tenant() {
    let rig = Rig::new().await;
    let empty = {
        let bare = Rig::new().await;
        delete(&bare).await;
        bare.hand.advance(60_000);
        for _ in 0..2 {
            bare.journal.tend_tenants(Retention::Keep, bare.clock.now()).await.unwrap();
        }
        rows(&bare).await
    };
    busy(&rig, 1, 20).await;
    entrusted(&rig).await;
    // A new table with rows of tenants is to be written here and erased there.
    for (table, count) in rows(&rig).await {
        assert!(count > 0, "{table} is not tested");
    }
    delete(&rig).await;
    assert!(rig.journal.record_event(rig.event(99)).await.is_err(), "nothing is sealed for it any more");
    rig.journal.tend_tenants(Retention::Keep, rig.clock.now()).await.unwrap();
    assert_eq!(rig.tenants.deletions().await.unwrap().len(), 1, "looked through once more before it ends");
    rig.hand.advance(60_000);
    rig.journal.tend_tenants(Retention::Keep, rig.clock.now()).await.unwrap();
    assert!(rig.tenants.deletions().await.unwrap().is_empty());
    assert_eq!(rows(&rig).await, empty);
    assert_eq!(rig.count("SELECT count(*) FROM authorizers WHERE code IS NOT NULL OR work IS NOT NULL").await, 0);
    let bytes = std::fs::read(rig.db.path()).unwrap();
    assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
}

#[tokio::test]
async fn a_deletion_goes_on_where_it_was_cut_off_and_spares_the_others() {
    let mut rig = Rig::new().await;
    busy(&rig, 1, 10).await;
    let Rig2(other) = second(&rig).await;
    let deleted = std::mem::replace(&mut rig.tenant, other);
    busy(&rig, 101, 2).await;
    rig.tenant = deleted;
    delete(&rig).await;
    // The store refuses in the middle of the runs.
    let refuse = "CREATE TRIGGER full BEFORE DELETE ON runs WHEN old.id = 9 BEGIN SELECT raise(ABORT, 'full'); END";
    let sql = |text: &'static str| {
        let writer = rig.db.writer().clone();
        async move {
            let done: Result<(), JournalError> = writer
                .submit(move |c| Box::pin(async move { Ok(sqlx::query(text).execute(c).await.map(drop)?) }))
                .await;
            done.unwrap();
        }
    };
    sql(refuse).await;
    assert!(rig.journal.tend_tenants(Retention::Keep, rig.clock.now()).await.is_err());
    let left = rig.count("SELECT count(*) FROM runs WHERE tenant_id = 1").await;
    assert_eq!(left, 2, "steps that were done stay done");
    sql("DROP TRIGGER full").await;
    rig.hand.advance(60_000);
    for _ in 0..2 {
        rig.journal.tend_tenants(Retention::Keep, rig.clock.now()).await.unwrap();
    }
    assert!(rig.tenants.deletions().await.unwrap().is_empty());
    for (text, expected) in [
        ("SELECT count(*) FROM runs", 2),
        ("SELECT count(*) FROM logs", 2),
        ("SELECT count(*) FROM effects", 2),
        ("SELECT count(*) FROM kv", 2),
        ("SELECT count(*) FROM tenants", 1),
        ("SELECT count(*) FROM subscriptions", 1),
    ] {
        assert_eq!(rig.count(text).await, expected, "{text}");
    }
}

#[tokio::test]
async fn a_revoked_tenant_is_deleted_when_its_retention_is_over() {
    let rig = Rig::new().await;
    busy(&rig, 1, 1).await;
    let state = Some(StateChange::Revoked { reason: "unauthorized".into() });
    rig.tenants.update(rig.tenant, TenantPatch { state, ..TenantPatch::default() }).await.unwrap();
    // Callbacks are recorded until then.
    rig.journal.record_event(rig.event(2)).await.unwrap();
    let end = rig.clock.now() + 30 * 86_400_000;
    rig.journal.tend_tenants(Retention::Keep, end).await.unwrap();
    rig.journal.tend_tenants(Retention::default(), end - 1).await.unwrap();
    assert!(rig.tenants.get(rig.tenant).is_some());
    rig.journal.tend_tenants(Retention::default(), end).await.unwrap();
    assert!(rig.tenants.get(rig.tenant).is_none());
    assert_eq!(rig.count("SELECT count(*) FROM events").await, 0);
}

#[tokio::test]
async fn an_export_holds_all_of_one_tenant() {
    let mut rig = Rig::new().await;
    busy(&rig, 1, 25).await;
    let Rig2(other) = second(&rig).await;
    let first = std::mem::replace(&mut rig.tenant, other);
    busy(&rig, 101, 3).await;
    for (tenant, runs) in [(first, 25), (other, 3)] {
        let mut cursor = ExportCursor::default();
        let mut lines: Vec<Value> = Vec::new();
        while let Some(page) = rig.journal.export(tenant, &mut cursor).await.unwrap() {
            assert!(page.len() <= 100, "a page is bounded");
            lines.extend(page);
        }
        let of = |kind: &str| lines.iter().filter(|line| line["line"] == kind).count();
        assert_eq!((of("event"), of("run"), of("snapshot"), of("kv")), (runs, runs, 1, runs));
        let run = lines.iter().find(|line| line["line"] == "run").unwrap();
        let attempt = &run["attempt_list"][0];
        assert_eq!(attempt["logs"][0]["text"], CANARY);
        assert_eq!(attempt["calls"][0]["request"]["text"], CANARY);
        assert_eq!(run["effects"][0]["operation"], "notes/set-merchant-notes");
        let event = lines.iter().find(|line| line["line"] == "event").unwrap();
        assert_eq!(event["body"]["order_info"]["note"], json!(CANARY), "buyer data is part of it");
        assert_eq!(rig.journal.export(tenant, &mut cursor).await.unwrap(), None, "the end stays the end");
    }
}
