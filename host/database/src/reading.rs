//! Reading a store beside the host that works on it.

use std::path::Path;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use crate::database::DATABASE_FILE;
use crate::{DatabaseError, schema};

/// Opens the store of a data folder for reading alone: without its lock, so that a running host does not stand in the
/// way, and without changing it. The schema must be this binary's.
///
/// # Errors
/// There is no store, or it is of another schema.
pub async fn open_to_read(data_dir: &Path) -> Result<SqlitePool, DatabaseError> {
    let path = data_dir.join(DATABASE_FILE);
    let sql = |cause| DatabaseError::Sql { path: path.clone(), cause };
    if let Err(cause) = std::fs::metadata(&path) {
        return Err(DatabaseError::Folder { path, cause });
    }
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .read_only(true)
        .busy_timeout(Duration::from_secs(10))
        .foreign_keys(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(sql)?;
    let known = schema::known();
    let found: i64 =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&pool).await.map_err(sql)?;
    if found > known {
        return Err(DatabaseError::NewerSchema { path, found, known });
    }
    if found < known {
        let cause = format!("its schema is {found}, this binary's {known}: start the host once to bring it up to date");
        return Err(DatabaseError::ForeignSchema { path, cause });
    }
    Ok(pool)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Database, OpenOptions};

    #[tokio::test]
    async fn a_store_is_read_beside_its_host_and_not_written() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(open_to_read(dir.path()).await, Err(DatabaseError::Folder { .. })));
        let host = Database::open(OpenOptions::new(dir.path())).await.unwrap();
        let beside = open_to_read(dir.path()).await.unwrap();
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM tenants").fetch_one(&beside).await.unwrap();
        assert_eq!(count, 0);
        let refused = sqlx::query("DELETE FROM tenants").execute(&beside).await.unwrap_err();
        assert!(refused.to_string().contains("readonly"), "{refused}");
        beside.close().await;
        host.close().await;
    }
}
