//! Whose word a pause is: what the operator paused, no merchant lets go on.

use fangshi_database::{InstallationId, PluginId, TenantId};
use sqlx::SqliteConnection;

use super::records::{Installation, InstallationState, PausedBy};
use crate::RegistryError;
use crate::audit::Actor;

impl PausedBy {
    /// Whose word this actor's is: whoever is no merchant acts for the operator.
    pub(super) fn of(actor: Actor) -> PausedBy {
        match actor {
            Actor::Merchant(_) => PausedBy::Merchant,
            Actor::Operator(_) | Actor::System => PausedBy::Operator,
        }
    }

    pub(super) fn code(self) -> &'static str {
        match self {
            PausedBy::Operator => "operator",
            PausedBy::Merchant => "merchant",
        }
    }

    pub(super) fn from_code(code: &str) -> Option<PausedBy> {
        [PausedBy::Operator, PausedBy::Merchant].into_iter().find(|by| by.code() == code)
    }
}

/// Pauses or resumes as somebody asks. A pause of the operator stays the operator's; any other is whoever asked last. It ends a
/// quarantine, which nobody had asked for.
///
/// # Errors
/// A merchant resumes what the operator paused.
pub(super) fn set(i: &mut Installation, state: InstallationState, actor: Actor) -> Result<(), RegistryError> {
    let by = PausedBy::of(actor);
    let is_held = i.paused_by == Some(PausedBy::Operator) && by == PausedBy::Merchant;
    match state {
        InstallationState::Paused if is_held => {}
        InstallationState::Paused => {
            i.paused_by = Some(by);
            i.quarantine = None;
        }
        _ if is_held => return Err(RegistryError::PausedByOperator(i.id)),
        _ => i.paused_by = None,
    }
    i.state = state;
    Ok(())
}

/// Whether the pause passed to somebody else: from the host, or from the merchant to the operator.
pub(super) fn is_taken_over(before: &Installation, now: &Installation) -> bool {
    let are_paused = [before, now].iter().all(|one| one.state == InstallationState::Paused);
    are_paused && before.paused_by != now.paused_by
}

/// Refuses a merchant to install a plugin anew while the operator keeps it paused: removing it would else end the pause. Of
/// those that are removed the last one counts.
pub(super) async fn check_install(
    c: &mut SqliteConnection,
    tenant: TenantId,
    plugin: PluginId,
    actor: Actor,
) -> Result<(), RegistryError> {
    if PausedBy::of(actor) == PausedBy::Operator {
        return Ok(());
    }
    let held: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM installations WHERE tenant_id = $1 AND plugin_id = $2 AND paused_by = 'operator' \
         AND (removed_at IS NULL OR id = (SELECT max(id) FROM installations WHERE tenant_id = $1 AND plugin_id = $2)) \
         ORDER BY id DESC LIMIT 1",
    )
    .bind(tenant.0)
    .bind(plugin.0)
    .fetch_optional(c)
    .await?;
    held.map_or(Ok(()), |id| Err(RegistryError::PausedByOperator(InstallationId(id))))
}
