//! A row of `tokens` in memory: the rules of `custody::rows`, one commit at a time.

use crate::custody::decide::{LEASE_MS, Standing, is_leased};

/// One commit on the row.
#[derive(Debug, Clone)]
pub enum Write {
    Lease {
        version: i64,
        owner: String,
    },
    Release {
        version: i64,
        owner: String,
    },
    Settle {
        version: i64,
        owner: String,
        fresh: Fresh,
    },
    /// The platform refused the version.
    Invalidate {
        version: i64,
    },
    /// A new authorization.
    Plant {
        refresh: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    pub access: String,
    pub refresh: String,
    pub previous: Option<String>,
    pub issued_at: i64,
    pub refresh_at: i64,
    pub expires_at: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    pub version: i64,
    pub access: Option<String>,
    pub refresh: Option<String>,
    pub previous: Option<String>,
    pub refresh_at: i64,
    pub expires_at: i64,
    pub lease_owner: Option<String>,
    pub lease_until: i64,
}

impl Row {
    pub fn standing(&self) -> Standing<'_> {
        Standing {
            has_access: self.access.is_some(),
            refresh_at: self.refresh_at,
            expires_at: self.expires_at,
            lease_owner: self.lease_owner.as_deref(),
            lease_until: self.lease_until,
            refused: false,
        }
    }

    /// Whether the write took effect on the version that it names.
    pub fn commit(&mut self, write: &Write, now: i64) -> bool {
        match write {
            Write::Lease { version, owner } => {
                let elsewhere = self.lease_owner.as_deref().is_some_and(|holder| holder != *owner);
                if self.version != *version || (elsewhere && is_leased(self.lease_until, now)) {
                    return false;
                }
                self.lease_owner = Some(owner.clone());
                self.lease_until = now + LEASE_MS;
                true
            }
            Write::Release { version, owner } => {
                let mine = self.holds(*version, owner);
                if mine {
                    (self.lease_owner, self.lease_until) = (None, 0);
                }
                mine
            }
            Write::Settle { version, owner, fresh } => {
                if self.holds(*version, owner) {
                    self.put(fresh);
                    return true;
                }
                let known = [&self.refresh, &self.previous].into_iter().flatten().any(|known| *known == fresh.refresh);
                if !known {
                    self.previous = Some(fresh.refresh.clone());
                }
                false
            }
            Write::Invalidate { version } => {
                if self.version == *version {
                    (self.refresh_at, self.expires_at) = (0, 0);
                }
                self.version == *version
            }
            Write::Plant { refresh } => {
                self.version += 1;
                self.previous = self.refresh.replace(refresh.clone());
                (self.access, self.refresh_at, self.expires_at) = (None, now, 0);
                (self.lease_owner, self.lease_until) = (None, 0);
                true
            }
        }
    }

    fn holds(&self, version: i64, owner: &str) -> bool {
        self.version == version && self.lease_owner.as_deref() == Some(owner)
    }

    fn put(&mut self, fresh: &Fresh) {
        *self = Row {
            version: self.version + 1,
            access: Some(fresh.access.clone()),
            refresh: Some(fresh.refresh.clone()),
            previous: fresh.previous.clone(),
            refresh_at: fresh.refresh_at,
            expires_at: fresh.expires_at,
            lease_owner: None,
            lease_until: 0,
        };
    }
}
