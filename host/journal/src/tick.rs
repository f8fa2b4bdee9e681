//! Ticks of schedules: which are due, and the event that one becomes.

use fangshi_database::{InstallationId, TenantId, insert_row};
use fangshi_tenants::Schedule;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::event::{NewEvent, Source};
use crate::hook::TICK;
use crate::lane::LaneKey;
use crate::{Journal, JournalError};

/// Stored in a unique index beside the keys of callbacks; its making must not change.
const FORM: &[u8] = b"fangshi tick key 1\n";
/// Leading bytes of a key that hold the time, as in the keys of callbacks.
const TIME: usize = 5;
/// A clock that was set back: what was worked out further ahead than this is worked out again, milliseconds.
const AHEAD_MS: i64 = 60_000;

/// A schedule whose next tick is due, or whose next tick no clock can have told yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueSchedule {
    /// Whose.
    pub tenant: TenantId,
    /// Of which installation.
    pub installation: InstallationId,
    /// Name, cron and zone.
    pub schedule: Schedule,
    /// The tick, unix seconds.
    pub next_at: i64,
    /// Whether installation and tenant work, and the version's approval was not taken back.
    pub working: bool,
}

/// What becomes of a due schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// The tick that becomes an event, unix seconds; none: all that were due are skipped.
    pub due_at: Option<i64>,
    /// The next one, unix seconds.
    pub next_at: i64,
    /// Ticks that were due and become no event.
    pub skipped: i64,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticked {
    /// Whether there is a new event.
    pub made: bool,
    /// How many ticks were skipped.
    pub skipped: i64,
}

/// Tenant, installation, name, cron, zone, next tick, whether it works.
type DueRow = (i64, i64, String, String, String, i64, bool);

impl Journal {
    /// Up to `limit` schedules that are due at a time (unix milliseconds): one of each tenant, then a second one of each, and so
    /// on.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn due_schedules(&self, now: i64, limit: u32) -> Result<Vec<DueSchedule>, JournalError> {
        let rows: Vec<DueRow> = sqlx::query_as(
            "SELECT tenant_id, installation_id, name, cron, time_zone, next_at, working FROM (\
             SELECT s.tenant_id, s.installation_id, s.name, s.cron, s.time_zone, s.next_at, \
             i.state = 'active' AND t.state = 'active' AND NOT EXISTS (SELECT 1 FROM versions v \
             WHERE v.plugin_id = i.plugin_id AND v.digest = i.digest AND v.revoked_at IS NOT NULL) AS working, \
             row_number() OVER (PARTITION BY s.tenant_id ORDER BY s.next_at, s.installation_id, s.name) AS turn \
             FROM schedules s JOIN installations i ON i.id = s.installation_id JOIN tenants t ON t.id = s.tenant_id \
             WHERE s.next_at <= $1 OR s.planned_at > $2) \
             ORDER BY turn, next_at, installation_id, name LIMIT $3",
        )
        .bind(now.div_euclid(1_000))
        .bind(now.saturating_add(AHEAD_MS))
        .bind(limit)
        .fetch_all(self.reader())
        .await?;
        let due = |(tenant, installation, name, cron, time_zone, next_at, working): DueRow| DueSchedule {
            tenant: TenantId(tenant),
            installation: InstallationId(installation),
            schedule: Schedule { name, cron, time_zone },
            next_at,
            working,
        };
        Ok(rows.into_iter().map(due).collect())
    }

    /// Moves a schedule on, and makes the event of its tick in the same transaction: one an installation, name and time,
    /// whoever else looks at it and however often. While the tick before is not done there is none. The lane of a new
    /// event is poked.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn tick(&self, due: &DueSchedule, tick: Tick) -> Result<Ticked, JournalError> {
        let now = self.clock.now();
        let lane = LaneKey::of_schedule(due.tenant, due.installation, &due.schedule.name);
        let row = tick.due_at.map(|due_at| self.sealed(event(due, due_at, &lane, now))).transpose()?;
        let (due, key) = (due.clone(), lane.clone());
        let ticked = self
            .write(move |c| {
                Box::pin(async move {
                    let moved = sqlx::query(
                        "UPDATE schedules SET next_at = $1, planned_at = $2, skipped = skipped + $3 \
                         WHERE installation_id = $4 AND name = $5 AND next_at = $6 AND cron = $7 AND time_zone = $8",
                    )
                    .bind(tick.next_at)
                    .bind(now)
                    .bind(tick.skipped)
                    .bind(due.installation.0)
                    .bind(due.schedule.name.as_str())
                    .bind(due.next_at)
                    .bind(due.schedule.cron.as_str())
                    .bind(due.schedule.time_zone.as_str())
                    .execute(&mut *c)
                    .await?;
                    // Somebody else has moved it on, or it was changed.
                    if moved.rows_affected() == 0 {
                        return Ok(Ticked { made: false, skipped: 0 });
                    }
                    let Some(row) = row else { return Ok(Ticked { made: false, skipped: tick.skipped }) };
                    let busy: bool = sqlx::query_scalar(
                        "SELECT EXISTS (SELECT 1 FROM events WHERE tenant_id = $1 AND order_id = $2 AND state = 0) \
                         OR EXISTS (SELECT 1 FROM runs WHERE tenant_id = $1 AND order_id = $2 AND state < 2)",
                    )
                    .bind(key.tenant.0)
                    .bind(&*key.order_id)
                    .fetch_one(&mut *c)
                    .await?;
                    if busy {
                        sqlx::query(
                            "UPDATE schedules SET skipped = skipped + 1 WHERE installation_id = $1 AND name = $2",
                        )
                        .bind(due.installation.0)
                        .bind(due.schedule.name.as_str())
                        .execute(&mut *c)
                        .await?;
                        return Ok(Ticked { made: false, skipped: tick.skipped + 1 });
                    }
                    let inserted = insert_row(&row, &mut *c).await?;
                    if !inserted.duplicate {
                        // The installation hears it: the rule by which callbacks are marked does not know ticks.
                        sqlx::query("UPDATE events SET state = 0 WHERE seq = $1")
                            .bind(inserted.number)
                            .execute(&mut *c)
                            .await?;
                    }
                    Ok::<_, JournalError>(Ticked { made: !inserted.duplicate, skipped: tick.skipped })
                })
            })
            .await?;
        if ticked.made {
            self.poke(&lane);
        }
        Ok(ticked)
    }
}

/// The event of a tick, in the form of a callback: canonical JSON, every scalar a text.
fn event(due: &DueSchedule, due_at: i64, lane: &LaneKey, now: i64) -> NewEvent {
    let name = &due.schedule.name;
    let body = json!({
        "CreateTime": due_at.to_string(), "Event": TICK, "MsgType": "event",
        "tick": {"due_at": due_at.to_string(), "name": name},
    });
    NewEvent {
        tenant: due.tenant,
        event: TICK.to_owned(),
        order_id: lane.order_id.to_string(),
        source: Source::Schedule,
        ext_type: None,
        created_at: due_at,
        received_at: now,
        dedup: key(due, due_at),
        body: body.to_string().into_bytes(),
    }
}

/// One tick of one installation and name is one event.
fn key(due: &DueSchedule, due_at: i64) -> [u8; 32] {
    let mut sha = Sha256::new();
    sha.update(FORM);
    for number in [due.tenant.0, due.installation.0, due_at] {
        sha.update(number.to_be_bytes());
    }
    sha.update(due.schedule.name.as_bytes());
    let digest = sha.finalize();
    let mut key = [0; 32];
    key[..TIME].copy_from_slice(&due_at.to_be_bytes()[8 - TIME..]);
    key[TIME..].copy_from_slice(&digest[..32 - TIME]);
    key
}
