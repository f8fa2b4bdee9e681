//! Rows of the journal that nobody has written so: one value of the store is overwritten, everything is read as the host
//! reads it, and the value is put back.
use std::path::Path;

use anyhow::{Context, Result};
use async_trait::async_trait;
use fangshi_database::{EventSeq, RunId, TenantId};
use fangshi_harness::guest;
use fangshi_journal::{EventFilter, ExportCursor, LaneKey, RunFilter};
use fangshi_platform::{NewOrder, NewShop, Platform, Settings, Step};
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, Row};

use super::Target;
use crate::rooms::{self, Known};

/// What the journal is read of.
const TABLES: &[&str] =
    &["events", "lanes", "runs", "attempts", "calls", "effects", "snapshots", "logs", "kv", "alerts", "subscriptions"];
const GUESTS: [&str; 3] = ["one-effect", "kv-counter", "note-then-trap"];
const ORDERS: usize = 3;
/// Pages of one export; there are far fewer rows.
const PAGES: usize = 200;

/// A column that is overwritten, and what its rows are found by.
struct Column {
    table: &'static str,
    name: String,
    keys: Vec<String>,
}

/// A store with a little of everything, and a second way into it.
pub struct Rows {
    rooms: rooms::Rooms,
    store: SqliteConnection,
    columns: Vec<Column>,
    tenants: Vec<TenantId>,
    orders: Vec<String>,
    _platform: Platform,
    _code: tempfile::TempDir,
}

impl Rows {
    pub async fn open() -> Result<Rows> {
        let platform = Platform::start(Settings::default()).await?;
        let code = tempfile::tempdir()?;
        let rooms = rooms::Rooms::open(&platform, code.path()).await?;
        let (mut tenants, mut orders) = (Vec::new(), Vec::new());
        for name in GUESTS {
            let shop = platform.add_shop(NewShop::authorized())?;
            let issued = platform.issue_tokens(&shop.appid)?;
            let known = Known { appid: &shop.appid, user_name: &shop.user_name, access_token: issued.access() };
            let tenant = rooms.tenant(known, &guest(name)?, json!({})).await?;
            for _ in 0..ORDERS {
                let order = platform.add_order(&shop.appid, NewOrder::default())?;
                platform.drive(&order, Step::Pay)?;
                rooms.paid(tenant, &order).await?;
                orders.push(order);
            }
            tenants.push(tenant);
        }
        let lanes = rooms.start().await?;
        lanes.settle().await;
        lanes.stop(std::time::Duration::from_secs(60)).await;
        let mut store = open(&rooms.folder().join("fangshi.db")).await?;
        let mut columns = Vec::new();
        for table in TABLES {
            let sql = format!("SELECT name, pk > 0 AS key FROM pragma_table_info('{table}')");
            let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut store).await?;
            let names = |key: bool| {
                let wanted = rows.iter().filter(move |row| row.get::<bool, _>("key") == key);
                wanted.map(|row| row.get::<String, _>("name"))
            };
            let keys: Vec<String> = names(true).collect();
            // Keys stay: they are how the row is found again.
            columns.extend(names(false).map(|name| Column { table, name, keys: keys.clone() }));
        }
        anyhow::ensure!(columns.len() > TABLES.len(), "tables of the journal are missing");
        Ok(Rows { rooms, store, columns, tenants, orders, _platform: platform, _code: code })
    }

    /// Everything once, as lanes, console, replay and export do it. What can't be read is an error, and no more.
    async fn read(&self) {
        let journal = &self.rooms.journal;
        let _ = journal.unplanned_lanes(None, 100).await;
        let _ = journal.due_runs(i64::MAX, (i64::MIN, i64::MIN), 100).await;
        let _ = journal.backlog().await;
        let _ = journal.alerts(None, 100).await;
        for tenant in &self.tenants {
            let _ = journal.events(*tenant, &EventFilter { limit: 100, ..EventFilter::default() }).await;
            let _ = journal.runs(*tenant, &RunFilter { limit: 100, ..RunFilter::default() }).await;
            let _ = journal.open_lanes(*tenant).await;
            for order in &self.orders {
                let lane = LaneKey::new(*tenant, order);
                let _ = journal.lane(&lane).await;
                let _ = journal.effects_on(&lane, 0).await;
                let _ = journal.snapshot_near(&lane, i64::MAX).await;
            }
            for number in 1..=(GUESTS.len() * ORDERS) as i64 {
                let _ = journal.event(*tenant, EventSeq(number)).await;
                let _ = journal.run(*tenant, RunId(number)).await;
                let _ = journal.effects(*tenant, RunId(number)).await;
                let _ = journal.recorded_attempts(*tenant, RunId(number)).await;
                let _ = journal.recorded_attempt(*tenant, RunId(number), 1).await;
                let _ = journal.open_attempt(*tenant, RunId(number), 1).await;
            }
            let mut cursor = ExportCursor::default();
            for _ in 0..PAGES {
                if !matches!(journal.export(*tenant, &mut cursor).await, Ok(Some(_))) {
                    break;
                }
            }
        }
    }
}

async fn open(store: &Path) -> Result<SqliteConnection> {
    let mut store = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(store)).await?;
    for pragma in ["PRAGMA foreign_keys = OFF", "PRAGMA ignore_check_constraints = ON", "PRAGMA busy_timeout = 10000"] {
        sqlx::query(pragma).execute(&mut store).await?;
    }
    Ok(store)
}

#[async_trait]
impl Target for Rows {
    fn name(&self) -> &'static str {
        "journal-rows"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        // Two bytes for the column, one for the row, one for the kind of the value, and the value.
        let values: [&[u8]; 8] = [
            b"",
            b"0",
            b"-1",
            b"9223372036854775807",
            b"{}",
            b"[[\"kv\",1]]",
            b"done",
            b"{\"kind\":\"limited\",\"detail\":[]}",
        ];
        let columns = 0..self.columns.len() as u16;
        let seed = |column: u16| {
            let value = values[usize::from(column) % values.len()];
            let [high, low] = column.to_be_bytes();
            [&[high, low, low.wrapping_mul(7), low.wrapping_mul(3)], value].concat()
        };
        columns.map(seed).collect()
    }

    async fn feed(&mut self, input: &[u8]) -> Result<()> {
        let Some((&[high, low, row, kind], value)) = input.split_first_chunk::<4>() else { return Ok(()) };
        let Column { table, name, keys } =
            &self.columns[usize::from(u16::from_be_bytes([high, low])) % self.columns.len()];
        let sql = |text: String| sqlx::query(AssertSqlSafe(text));
        let all_keys = keys.join(", ");
        let place =
            format!("({all_keys}) = (SELECT {all_keys} FROM {table} ORDER BY {all_keys} LIMIT 1 OFFSET {})", row % 9);
        sql(format!("CREATE TEMP TABLE kept AS SELECT * FROM {table} WHERE {place}")).execute(&mut self.store).await?;
        let update = sql(format!("UPDATE {table} SET {name} = $1 WHERE {place}"));
        let text = String::from_utf8_lossy(value).into_owned();
        let update = match kind % 4 {
            0 => update.bind(value.to_vec()),
            1 => update.bind(text),
            2 => update.bind(value.iter().fold(0_i64, |number, byte| number.wrapping_mul(256) + i64::from(*byte))),
            _ => update.bind(None::<i64>),
        };
        // A strict column or an index may refuse it: then there is nothing to read.
        if update.execute(&mut self.store).await.is_ok() {
            self.read().await;
        }
        let same: Vec<String> = keys.iter().map(|key| format!("{table}.{key} = kept.{key}")).collect();
        let back = format!("UPDATE {table} SET {name} = kept.{name} FROM kept WHERE {}", same.join(" AND "));
        sql(back).execute(&mut self.store).await.context("putting the value back")?;
        sql("DROP TABLE kept".to_owned()).execute(&mut self.store).await?;
        Ok(())
    }
}
