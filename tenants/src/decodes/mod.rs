//! Decoded buyer data: scarce (the platform gives a small number of decodes a day, platform page 4 and 8), so an answer is
//! kept, sealed, and shared by the tenant's installations that are granted it.
//!
//! - One row an order holds the last answer and the mark of the address it belongs to. Another mark, or a virtual number
//!   that has run out since, and the row no longer answers.
//! - At most one call an order is under way: a lease on the row, taken by compare-and-set, holds for the tasks of one
//!   process and for several processes alike. Whoever finds it taken waits and looks again.
//! - A budget a tenant and day (Asia/Shanghai), counted in the transaction that takes the lease. A call counts from then
//!   on, whether its answer comes or is lost; a refusal of the platform gives it back.
//! - `decide`: what is good, which day it is, pure
//! - `rows`: the rows, sealed and opened
//! - `record`: every decode that was served, in one place

mod decide;
mod record;
mod rows;

use std::sync::Arc;

use fangshi_database::{Digest, InstallationId, TenantId};
use serde_json::Value;

use self::decide::Kept;
use crate::TenantsError;
use crate::custody::decide::{LEASE_MS, is_leased};
use crate::directory::Directory;

/// Decodes a tenant and day, unless the tenant's setting says otherwise: what one voice of the forum says that the platform
/// gives (platform page, unconfirmed).
pub const DECODES_A_DAY: u32 = 30;

/// Who wants an order decoded, and what the order shows.
#[derive(Debug, Clone)]
pub struct DecodeAsk {
    /// Whose order.
    pub tenant: TenantId,
    /// For whom; its grant was checked.
    pub installation: InstallationId,
    /// The order.
    pub order_id: String,
    /// Names the address that the order shows; see [`ShownAddress`].
    pub address: ShownAddress,
}

/// What an order shows of its address without decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownAddress {
    /// The digest of the platform's `hash_code`, or of the masked members where that is empty.
    pub mark: Digest,
    /// When the virtual number that it shows ends, unix seconds.
    pub number_until: Option<i64>,
}

/// What became of asking.
#[derive(Debug)]
pub enum Begun {
    /// It was kept: nothing is to be sent.
    Kept(Value),
    /// The caller sends the one call, and then settles the ticket.
    Live(DecodeTicket),
    /// Another call for this order is under way.
    Elsewhere,
    /// The budget of the day is used up.
    UsedUp,
}

/// The right to one call. Dropped without being settled, it runs out and counts.
#[derive(Debug, Clone)]
pub struct DecodeTicket {
    ask: DecodeAsk,
    version: i64,
    owner: String,
    row: i64,
}

/// What a call came to.
#[derive(Debug, Clone)]
pub enum Came {
    /// The answer; with the end of its virtual number, unix seconds.
    Answer(Arc<Value>, Option<i64>),
    /// The platform refused, or nothing was sent: it does not count.
    Refused,
    /// Sent, and no answer that can be used: it counts.
    Lost,
}

/// A tenant's decodes of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeUsage {
    /// How many a day may be asked for.
    pub budget: u32,
    /// How many of today were.
    pub used: u32,
    /// When the next day begins, unix ms.
    pub until: i64,
}

impl DecodeUsage {
    /// How many of today are left.
    pub fn left(&self) -> u32 {
        self.budget.saturating_sub(self.used)
    }
}

/// The decodes of all tenants. Clones are the same.
#[derive(Clone)]
pub struct Decodes {
    directory: Arc<Directory>,
}

impl Decodes {
    pub(crate) fn new(directory: Arc<Directory>) -> Decodes {
        Decodes { directory }
    }

    /// Whether any answer is kept for an order, for whatever address.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn is_kept(&self, tenant: TenantId, order_id: &str) -> Result<bool, TenantsError> {
        Ok(rows::is_kept(self.directory.db.reader(), tenant, order_id).await?)
    }

    /// The kept answer, if it is still good; serving it is recorded first.
    ///
    /// # Errors
    /// No such tenant, or the store refused.
    pub async fn kept(&self, ask: &DecodeAsk) -> Result<Option<Value>, TenantsError> {
        let Some(row) = rows::read(self.directory.db.reader(), &self.directory.vault, ask).await? else {
            return Ok(None);
        };
        let now = self.directory.clock.now();
        let Some(kept) = row.kept.filter(|kept| decide::is_good(kept, &ask.address, now)) else { return Ok(None) };
        let (ask, directory) = (ask.clone(), Arc::clone(&self.directory));
        let recorded = self.directory.db.writer().submit(move |c| {
            Box::pin(async move { record::record_decode(c, &directory.vault, &record::Served::kept(&ask, now)).await })
        });
        recorded.await?;
        Ok(Some(kept.answer))
    }

    /// Looks at the row again, inside a write, and takes the lease if a call is due and the budget has room.
    ///
    /// # Errors
    /// No such tenant, or the store refused.
    pub async fn begin(&self, ask: &DecodeAsk) -> Result<Begun, TenantsError> {
        let found = self.directory.get(ask.tenant).ok_or(TenantsError::Unknown(ask.tenant))?;
        // Waiters look often: they must not load the writer.
        let row = rows::read(self.directory.db.reader(), &self.directory.vault, ask).await?;
        if row.is_some_and(|row| is_leased(row.lease_until, self.directory.clock.now())) {
            return Ok(Begun::Elsewhere);
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| crate::CustodyError::Seal(error.to_string()))?;
        let (directory, ask, owner) = (Arc::clone(&self.directory), ask.clone(), hex::encode(random));
        let budget = found.decode_budget;
        let begun = self.directory.db.writer().submit(move |c| {
            Box::pin(async move {
                let now = directory.clock.now();
                let row = rows::current(c, &directory.vault, &ask).await?;
                let (version, kept) = match row {
                    Some(row) if is_leased(row.lease_until, now) => return Ok(Begun::Elsewhere),
                    Some(row) => (row.version, row.kept),
                    None => (0, None),
                };
                if let Some(kept) = kept.filter(|kept| decide::is_good(kept, &ask.address, now)) {
                    record::record_decode(c, &directory.vault, &record::Served::kept(&ask, now)).await?;
                    return Ok(Begun::Kept(kept.answer));
                }
                let day = decide::day(now);
                if rows::used(c, ask.tenant, day).await? >= budget {
                    return Ok(Begun::UsedUp);
                }
                if !rows::lease(c, &ask, version, &owner, now, now.saturating_add(LEASE_MS)).await? {
                    return Ok(Begun::Elsewhere);
                }
                let row = rows::asked(c, &ask, day, now).await?;
                Ok(Begun::Live(DecodeTicket { ask, version, owner, row }))
            })
        });
        begun.await
    }

    /// Takes the lease for one more call, whose time must be shorter than the lease (30 s): to be asked right before each send,
    /// since fetching a token may have taken long. False if another call for the order may be under way: nothing is sent.
    ///
    /// # Errors
    /// The store refused: nothing is sent.
    pub async fn hold_on(&self, ticket: &DecodeTicket) -> Result<bool, TenantsError> {
        let directory = Arc::clone(&self.directory);
        let (ask, version, owner) = (ticket.ask.clone(), ticket.version, ticket.owner.clone());
        let held = self.directory.db.writer().submit(move |c| {
            Box::pin(async move {
                let until = directory.clock.now().saturating_add(LEASE_MS);
                Ok::<_, TenantsError>(rows::hold_on(c, &ask, version, &owner, until).await?)
            })
        });
        held.await
    }

    /// Ends a call: keeps its answer, gives the lease back, and counts or does not. Done again it changes nothing more.
    ///
    /// # Errors
    /// The store refused: an answer is not to be served, since the audit does not tell of it. The lease runs out by itself and
    /// the call counts.
    pub async fn settle(&self, ticket: &DecodeTicket, came: &Came) -> Result<(), TenantsError> {
        let (directory, ticket, came) = (Arc::clone(&self.directory), ticket.clone(), came.clone());
        let settled = self.directory.db.writer().submit(move |c| {
            Box::pin(async move {
                let now = directory.clock.now();
                let DecodeTicket { ask, version, owner, row } = ticket;
                match came {
                    Came::Answer(answer, number_until) => {
                        let number_until = number_until.max(ask.address.number_until);
                        let mark = ask.address.mark;
                        let kept = Kept { mark, number_until, decoded_at: now, answer: Value::clone(&answer) };
                        rows::keep(c, &directory.vault, &ask, version, &owner, &kept).await?;
                        record::record_decode(c, &directory.vault, &record::Served::live(&ask, now, row)).await?;
                    }
                    Came::Refused => {
                        rows::release(c, &ask, version, &owner).await?;
                        rows::refused(c, row).await?;
                    }
                    Came::Lost => rows::release(c, &ask, version, &owner).await?,
                }
                Ok(())
            })
        });
        settled.await
    }

    /// Up to `limit` kept answers after an order id, by order id: order, when it was decoded (unix ms), answer.
    ///
    /// # Errors
    /// The store cannot be read, or a value does not open.
    pub async fn all(
        &self,
        tenant: TenantId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<(String, i64, Value)>, TenantsError> {
        rows::all(self.directory.db.reader(), &self.directory.vault, tenant, after, limit).await
    }

    /// The tenant's decodes of today.
    ///
    /// # Errors
    /// No such tenant, or the store cannot be read.
    pub async fn usage(&self, tenant: TenantId) -> Result<DecodeUsage, TenantsError> {
        let found = self.directory.get(tenant).ok_or(TenantsError::Unknown(tenant))?;
        let day = decide::day(self.directory.clock.now());
        let mut connection = self.directory.db.reader().acquire().await?;
        let used = rows::used(&mut connection, tenant, day).await?;
        Ok(DecodeUsage { budget: found.decode_budget, used, until: decide::begin_of(day + 1) })
    }
}

impl std::fmt::Debug for Decodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decodes").finish_non_exhaustive()
    }
}
