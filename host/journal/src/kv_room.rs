//! Room in an installation's own store, held in the transaction that writes to it: attempts that run side by side do not see
//! each other's changes before.

use fangshi_database::{InstallationId, Place, Ran, Script};

use crate::JournalError;

/// How much an installation may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvAllowed {
    /// Keys.
    pub keys: u64,
    /// Bytes of them and their values.
    pub bytes: u64,
}

impl KvAllowed {
    /// No bounds.
    pub const ANY: KvAllowed = KvAllowed { keys: u64::MAX, bytes: u64::MAX };
}

/// What is kept before and after some changes: two statements of their script.
pub(crate) struct Room {
    allowed: KvAllowed,
    before: Place,
    after: Option<Place>,
}

impl Room {
    /// To be called before the changes are added.
    pub fn before(script: &mut Script, installation: InstallationId, allowed: KvAllowed) -> Room {
        Room { allowed, before: totals(script, installation), after: None }
    }

    /// And after them.
    pub fn after(&mut self, script: &mut Script, installation: InstallationId) {
        self.after = Some(totals(script, installation));
    }

    /// Refuses changes that let the store grow beyond what is allowed. One that is too large already, since less is allowed than
    /// was, may become smaller.
    pub fn check(&self, ran: &Ran) -> Result<(), JournalError> {
        let kept = |place: Place| -> Result<(u64, u64), JournalError> {
            let (keys, bytes): (i64, i64) = ran.row(place)?.unwrap_or_default();
            Ok((keys.unsigned_abs(), bytes.unsigned_abs()))
        };
        let Some(after) = self.after else { return Ok(()) };
        let ((keys_before, bytes_before), (keys, bytes)) = (kept(self.before)?, kept(after)?);
        for (limit, before, after, allowed) in
            [("kv_keys", keys_before, keys, self.allowed.keys), ("kv_bytes", bytes_before, bytes, self.allowed.bytes)]
        {
            if after > allowed && after > before {
                return Err(JournalError::KvFull { limit, allowed });
            }
        }
        Ok(())
    }
}

fn totals(script: &mut Script, installation: InstallationId) -> Place {
    script.add("SELECT keys, bytes FROM kv_totals WHERE installation_id = $1").bind(installation.0).place()
}
