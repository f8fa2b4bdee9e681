//! A restore takes the end of the chain away, and says so: told apart from a cut, and from what somebody wrote who may write
//! the file and has no key.

use fangshi_database::{Digest, TenantId};
use serde_json::json;

use super::{Scene, scene};
use crate::audit::Link;
use crate::{Action, Actor, AuditFilter, Entry, ExportedHead, Restored};

const DAY_MS: i64 = 24 * 3_600_000;

/// The head of an entry that the store lost.
fn lost(date: &str, number: i64) -> ExportedHead {
    ExportedHead { date: date.into(), number, hash: Digest::of(&[number as u8]) }
}

/// A row of the chain, as whoever may write the file sees and writes it.
#[derive(sqlx::FromRow)]
struct Row {
    number: i64,
    at: i64,
    actor: String,
    action: String,
    tenant_id: i64,
    subjects: String,
    details_digest: Option<Vec<u8>>,
    prev: Vec<u8>,
}

impl Scene {
    async fn hash_of(&self, number: i64) -> Digest {
        let all = self.tenants.audit().list(&AuditFilter { limit: 1000, ..AuditFilter::default() }).await.unwrap();
        all.into_iter().find(|entry| entry.number == number).unwrap().hash
    }

    async fn restored(&self) {
        let entry = Entry::restored(Actor::Operator(None), self.clock.now(), 0, 0);
        self.tenants.audit().record(entry).await.unwrap();
    }

    /// Makes of an entry one of a restore at another time, cuts off what follows it, and hashes it anew: all that is possible
    /// without a key.
    async fn pass_off_as_a_restore(&self, number: i64, at: i64) {
        self.unlock().await;
        let mut row: Row = sqlx::query_as("SELECT * FROM audit WHERE number = $1")
            .bind(number)
            .fetch_one(self.db.reader())
            .await
            .unwrap();
        (row.action, row.at) = (Action::StoreRestored.code().to_owned(), at);
        let link = Link {
            number: row.number,
            at: row.at,
            actor: &row.actor,
            action: &row.action,
            tenant: row.tenant_id,
            subjects: &row.subjects,
            details_digest: row.details_digest.as_deref(),
            prev: &row.prev,
        };
        let hash = link.hash();
        let written: Result<(), fangshi_database::WriteError> = self
            .db
            .writer()
            .submit(move |c| {
                Box::pin(async move {
                    sqlx::query("DELETE FROM audit WHERE number > $1").bind(number).execute(&mut *c).await?;
                    sqlx::query("UPDATE audit SET action = $2, at = $3, hash = $4 WHERE number = $1")
                        .bind(number)
                        .bind(row.action)
                        .bind(row.at)
                        .bind(hash.as_bytes().as_slice())
                        .execute(c)
                        .await?;
                    Ok(())
                })
            })
            .await;
        written.unwrap();
        assert!(self.verified_with(&[]).await.is_ok(), "against itself the chain holds");
    }
}

#[tokio::test]
async fn heads_that_a_restore_cut_off_are_told_apart_and_the_rest_is_still_checked() {
    let scene = scene().await;
    let (one, _) = scene.chain().await;
    let before = ExportedHead { date: "2026-01-01".into(), number: 4, hash: scene.hash_of(4).await };
    // Of the store that was lost: it went on after the backup, on the day of the restore too.
    scene.hand.advance(DAY_MS);
    scene.restored().await;
    scene.tenants.audit().record(Entry::new(Actor::System, Action::Decoded, one)).await.unwrap();
    let after = ExportedHead { date: "2026-01-02".into(), number: 6, hash: scene.hash_of(6).await };
    let heads = [before.clone(), lost("2026-01-01", 5), lost("2026-01-02", 6), lost("2026-01-02", 900), after];
    let verified = scene.verified_with(&heads).await.unwrap();
    assert_eq!(verified.heads, 2);
    let cut: Vec<(i64, i64)> = verified.cut.iter().map(|cut| (cut.head.number, cut.restored)).collect();
    assert_eq!(cut, [(5, 5), (6, 5), (900, 5)]);
    // What no restore explains is broken all the same: a head below it, one that is younger, and entries behind it.
    for wrong in [lost("2026-01-01", 4), lost("2026-01-03", 6), lost("2026-01-03", 900)] {
        let broken = scene.verified_with(std::slice::from_ref(&wrong)).await.unwrap_err();
        assert_eq!(broken.number, wrong.number.min(7), "{wrong:?}");
    }
    scene.unlock().await;
    scene.sql("UPDATE audit SET actor = 'operator' WHERE number = 6").await;
    assert_eq!(scene.verified_with(&heads[..4]).await.unwrap_err().number, 6, "checked behind the restore");
}

#[tokio::test]
async fn a_restore_that_the_host_did_not_write_excuses_no_cut() {
    let scene = scene().await;
    scene.chain().await;
    let head = lost("2026-01-01", 900);
    let forged = Entry::new(Actor::Operator(None), Action::StoreRestored, TenantId::HOST);
    scene.tenants.audit().record(forged).await.unwrap();
    assert!(scene.verified_with(std::slice::from_ref(&head)).await.is_err());
    scene.restored().await;
    assert_eq!(scene.verified_with(&[head]).await.unwrap().cut.len(), 1);
}

#[tokio::test]
async fn an_entry_that_is_passed_off_as_a_restore_excuses_no_cut() {
    // Of a tenant, and of the host itself: both have details that open.
    for host in [false, true] {
        let scene = scene().await;
        scene.chain().await;
        let shop = scene.authorized("wxa").await.id;
        scene.token(shop).await.unwrap();
        let all = scene.tenants.audit().list(&AuditFilter { limit: 1000, ..AuditFilter::default() }).await.unwrap();
        let refreshed = all
            .iter()
            .find(|entry| entry.action == Action::TokenRefreshed.code() && (entry.tenant == TenantId::HOST) == host);
        let number = refreshed.unwrap().number;
        scene.pass_off_as_a_restore(number, scene.clock.now() + 365 * DAY_MS).await;
        for number in [number, 900] {
            let broken = scene.verified_with(&[lost("2026-01-01", number)]).await;
            assert!(broken.is_err(), "{broken:?}");
        }
    }
}

#[tokio::test]
async fn a_restore_that_is_dated_later_excuses_nothing_that_came_after_it() {
    let scene = scene().await;
    scene.chain().await;
    scene.restored().await;
    let head = lost("2026-01-02", 900);
    assert!(scene.verified_with(std::slice::from_ref(&head)).await.is_err());
    scene.pass_off_as_a_restore(5, scene.clock.now() + 365 * DAY_MS).await;
    assert!(scene.verified_with(std::slice::from_ref(&head)).await.is_err());
    assert_eq!(scene.verified_with(&[lost("2026-01-01", 900)]).await.unwrap().cut.len(), 1, "its own day");
}

#[tokio::test]
async fn a_restore_that_seals_no_time_counts_by_the_word_of_whoever_asks_alone() {
    let scene = scene().await;
    scene.chain().await;
    // As builds wrote it before.
    let entry = Entry::new(Actor::Operator(None), Action::StoreRestored, TenantId::HOST);
    scene.tenants.audit().record(entry.with(json!({"sessions": 0, "links": 1}))).await.unwrap();
    let head = [lost("2026-01-01", 900)];
    let told = |number| [Restored { number, date: "2026-01-01".into() }];
    assert_eq!(scene.verified_with(&head).await.unwrap_err().undated, [5]);
    assert!(scene.verified_by(&head, &told(4)).await.is_err(), "of an entry that tells of none");
    assert_eq!(scene.verified_by(&head, &told(5)).await.unwrap().cut.len(), 1);
    assert!(scene.verified_by(&[lost("2026-01-02", 900)], &told(5)).await.is_err(), "of a day after it");
    // Cut off behind it and dated anew: nobody's word but the one who asks makes it explain more.
    scene.pass_off_as_a_restore(5, scene.clock.now() + 365 * DAY_MS).await;
    assert!(scene.verified_with(&head).await.is_err());
    assert!(scene.verified_by(&[lost("2026-01-02", 900)], &told(5)).await.is_err());
}

#[tokio::test]
async fn an_entry_that_seals_something_else_is_no_restore_whatever_is_said_of_it() {
    let scene = scene().await;
    scene.chain().await;
    let other = Entry::new(Actor::Operator(None), Action::StoreReleased, TenantId::HOST);
    scene.tenants.audit().record(other.with(json!({"orders": 1, "unreadable": 0}))).await.unwrap();
    scene.pass_off_as_a_restore(5, scene.clock.now()).await;
    let told = [Restored { number: 5, date: "2026-01-01".into() }];
    let broken = scene.verified_by(&[lost("2026-01-01", 900)], &told).await.unwrap_err();
    assert!(broken.undated.is_empty());
}
