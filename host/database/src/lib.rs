//! The store under the rooms `tenants` and `journal`: one SQLite database in the data folder.
//!
//! [`Database::open`] locks the folder, brings the schema up to date and hands out two things: a pool of read
//! connections and the one [`Writer`]. Every change of the store passes through the writer, which commits whatever
//! waits in one transaction (group commit): one `fsync` pays for hundreds of rows, and an answer leaves only after it.
//!
//! The crate also holds the small words that both rooms share: ids, [`Digest`] and [`Clock`]. It knows no table:
//! the SQL of the tables lives in `tenants` and `journal`, their schema in `migrations/sqlite`, one folder for both.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod backup;
mod clock;
mod database;
mod digest;
mod error;
mod ids;
mod lock;
mod reading;
mod recent;
mod schema;
mod script;
mod writer;

pub use backup::{back_up, put_back, stage};
pub use clock::{Clock, ManualClock};
pub use database::{Database, OpenOptions};
pub use digest::Digest;
pub use error::{DatabaseError, WriteError};
pub use ids::{
    AttemptId, AuthorizationId, EventSeq, InstallationId, LinkId, ParseIdError, PluginId, RunId, TenantId, TokenId,
};
pub use reading::open_to_read;
pub use recent::Recent;
pub use script::{Binding, Place, Ran, Script, ScriptError};
pub use writer::{BatchInsert, Inserted, Rows, Writer, WriterStats, insert_row};

pub use futures_util::future::BoxFuture;
