//! The schema: migrations in `migrations/sqlite`, one folder for the tables of tenants and journal.

use std::path::Path;

use sqlx::SqliteConnection;
use sqlx::migrate::{MigrateError, Migrator};

use crate::DatabaseError;

pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/sqlite");

/// Brings the store at `path` up to this binary's schema; refuses one that is newer or was changed.
pub(crate) async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), DatabaseError> {
    refuse_newer(connection, path).await?;
    MIGRATIONS.run_direct(None, connection, false).await.map_err(|error| match error {
        MigrateError::Execute(cause) => DatabaseError::Sql { path: path.to_owned(), cause },
        other => DatabaseError::ForeignSchema { path: path.to_owned(), cause: other.to_string() },
    })
}

/// The newest migration of this binary.
pub(crate) fn known() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

async fn refuse_newer(connection: &mut SqliteConnection, path: &Path) -> Result<(), DatabaseError> {
    let sql = |cause| DatabaseError::Sql { path: path.to_owned(), cause };
    let known = known();
    let fresh: Option<i64> = sqlx::query_scalar("SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations'")
        .fetch_optional(&mut *connection)
        .await
        .map_err(sql)?;
    if fresh.is_none() {
        return Ok(());
    }
    let found: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(&mut *connection)
        .await
        .map_err(sql)?;
    match found {
        Some(found) if found > known => Err(DatabaseError::NewerSchema { path: path.to_owned(), found, known }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Connection;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;

    /// An attempt that was parked with its run counts: what comes after the repair takes the number after it.
    #[tokio::test]
    async fn attempts_that_an_older_store_parked_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true).foreign_keys(false);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        migrate(&mut connection, &path).await.unwrap();
        // Parked; repaired, with another one before; cut off still; counted already.
        sqlx::raw_sql(
            "DELETE FROM _sqlx_migrations WHERE version = 31; \
             INSERT INTO runs (id, event_seq, tenant_id, order_id, installation_id, version, hook, state, attempts, \
             budget_from, next_at, created_at) VALUES (1, 1, 7, '', 1, x'', '', 4, 0, 0, 1, 1), \
             (2, 2, 7, '', 1, x'', '', 0, 1, 1, 1, 1), (3, 3, 7, '', 1, x'', '', 0, 0, 0, 1, 1), \
             (4, 4, 7, '', 1, x'', '', 1, 2, 0, 1, 1); \
             INSERT INTO attempts (run_id, number, epoch, version, engine, clock_ms, inputs, started_at, ended_at) \
             VALUES (1, 1, 1, x'', '', 1, x'', 1, 2), (2, 1, 1, x'', '', 1, x'', 1, 2), \
             (2, 2, 1, x'', '', 1, x'', 1, 2), (3, 1, 1, x'', '', 1, x'', 1, NULL), \
             (4, 1, 1, x'', '', 1, x'', 1, 2), (4, 2, 1, x'', '', 1, x'', 1, 2)",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        migrate(&mut connection, &path).await.unwrap();
        let counted: Vec<(i64, i64, i64)> = sqlx::query_as("SELECT id, attempts, budget_from FROM runs ORDER BY 1")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        assert_eq!(counted, [(1, 1, 1), (2, 2, 2), (3, 0, 0), (4, 2, 0)]);
    }

    /// What a store of before kept of its own is counted when it is brought up to date.
    #[tokio::test]
    async fn kv_of_an_older_store_has_its_totals() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        migrate(&mut connection, &path).await.unwrap();
        sqlx::raw_sql(
            "DROP TRIGGER kv_totals_grow; DROP TRIGGER kv_totals_follow; DROP TRIGGER kv_totals_shrink; \
                 DROP TABLE kv_totals; DELETE FROM _sqlx_migrations WHERE version = 28; \
                 INSERT INTO kv VALUES (1, x'01', 7, x'', x'', 10, 1, 1), (1, x'02', 7, x'', x'', 5, 1, 1), \
                 (2, x'01', 7, x'', x'', 3, 1, 1)",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        migrate(&mut connection, &path).await.unwrap();
        let totals: Vec<(i64, i64, i64, i64)> =
            sqlx::query_as("SELECT * FROM kv_totals ORDER BY 1").fetch_all(&mut connection).await.unwrap();
        assert_eq!(totals, [(1, 7, 2, 15), (2, 7, 1, 3)]);
    }

    /// Whose a pause of before is, the audit knows.
    #[tokio::test]
    async fn pauses_of_an_older_store_are_whose_the_audit_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true).foreign_keys(false);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        migrate(&mut connection, &path).await.unwrap();
        sqlx::raw_sql(
            "ALTER TABLE installations DROP COLUMN paused_by; DELETE FROM _sqlx_migrations WHERE version = 30; \
             INSERT INTO installations (id, tenant_id, plugin_id, digest, state, settings, limits, created_at, \
             updated_at, quarantined_at) VALUES (1, 7, 1, x'', 'paused', x'', '{}', 1, 1, NULL), \
             (2, 7, 1, x'', 'paused', x'', '{}', 1, 1, NULL), (3, 7, 1, x'', 'paused', x'', '{}', 1, 1, NULL), \
             (4, 7, 1, x'', 'paused', x'', '{}', 1, 1, 5), (11, 7, 1, x'', 'active', x'', '{}', 1, 1, NULL); \
             INSERT INTO audit (number, at, actor, action, tenant_id, subjects, prev, hash) VALUES \
             (1, 1, 'operator:k1', 'installation-paused', 7, 'i1 p1', x'', x''), \
             (2, 1, 'operator', 'installation-paused', 7, 'i2 p1', x'', x''), \
             (3, 1, 'merchant:k2', 'installation-paused', 7, 'i2 p1', x'', x''), \
             (4, 1, 'merchant:k2', 'installation-paused', 7, 'i11 p1', x'', x'')",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        migrate(&mut connection, &path).await.unwrap();
        let of: Vec<(i64, Option<String>)> = sqlx::query_as("SELECT id, paused_by FROM installations ORDER BY 1")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let of: Vec<_> = of.iter().map(|(id, by)| (*id, by.as_deref())).collect();
        let (operator, merchant) = (Some("operator"), Some("merchant"));
        assert_eq!(of, [(1, operator), (2, merchant), (3, operator), (4, None), (11, None)]);
    }
}
