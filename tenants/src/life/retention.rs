//! How long the data of a revoked tenant stays.

use crate::tenant::TenantState;

const DAY_MS: i64 = 86_400_000;

/// What becomes of a tenant's data after it took its authorization back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// It stays until somebody deletes it.
    Keep,
    /// It is deleted after so many days.
    Days(u32),
}

impl Default for Retention {
    fn default() -> Self {
        Retention::Days(30)
    }
}

impl Retention {
    /// When the data of a tenant in this state is to be deleted, unix ms.
    pub fn ends(self, state: &TenantState) -> Option<i64> {
        match (self, state) {
            (Retention::Days(days), TenantState::Revoked { since, .. }) => {
                Some(since.saturating_add(i64::from(days) * DAY_MS))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::SuspendedBy;

    #[test]
    fn only_revoked_tenants_end_and_only_after_their_days() {
        let revoked = TenantState::Revoked { reason: String::new(), since: 1_000 };
        assert_eq!(Retention::default().ends(&revoked), Some(1_000 + 30 * DAY_MS));
        assert_eq!(Retention::Days(0).ends(&revoked), Some(1_000));
        assert_eq!(Retention::Keep.ends(&revoked), None);
        let suspended = TenantState::Suspended { by: SuspendedBy::Operator, reason: String::new(), since: 1_000 };
        assert_eq!(Retention::Days(0).ends(&suspended), None);
        assert_eq!(Retention::Days(0).ends(&TenantState::Active), None);
    }
}
