//! Deleting a tenant: its line goes into the list, the store destroys it, and the line is ended. A store that came from a
//! backup repeats what the list says.

use fangshi_database::TenantId;

use super::Tenants;
use crate::directory::Order;
use crate::to_the_end::to_the_end;
use crate::{Deletion, ErasedList, TenantsError, life};

impl Tenants {
    /// Begins the deletion of a tenant that is suspended or revoked; `appid` repeats its appid. From the return on its data
    /// can't be read, its callbacks are those of an unknown tenant, and its appid can be onboarded anew. The rows that are
    /// left go with [`Tenants::erase`].
    ///
    /// It is in the list of deletions before it is carried out, and carried to its end whether the caller waits for it or not.
    /// A line that can't be ended is no error, since the tenant is deleted: the next [`Tenants::note_deletions`] ends it.
    ///
    /// # Errors
    /// [`TenantsError::Unknown`], [`TenantsError::StillActive`], [`TenantsError::Invalid`] for another appid.
    /// [`TenantsError::ErasedList`]: the list can't be kept, so nothing was deleted.
    pub async fn delete(&self, id: TenantId, appid: &str) -> Result<(), TenantsError> {
        let (tenants, appid) = (self.clone(), appid.to_owned());
        to_the_end(async move {
            // Whoever compares list and store in between would take the intention back.
            let _noting = tenants.noting.lock().await;
            let list = tenants.erased.get().cloned();
            let outcome = tenants.destroy(id, &appid, Order::New(list)).await;
            let was_begun = !matches!(
                outcome,
                Err(TenantsError::Unknown(_)
                    | TenantsError::StillActive(_)
                    | TenantsError::Invalid { .. }
                    | TenantsError::ErasedList { .. })
            );
            if was_begun && let Err(error) = tenants.compare().await {
                tracing::error!(tenant = %id, %error, "a deletion's line in the list is not ended yet: it is tried again");
            }
            outcome
        })
        .await
    }

    /// Repeats a deletion in a store that came from a backup, and tells whether there was anything to delete: a tenant of the
    /// same appid, made before that. Its number says nothing: after a restore a shop that comes anew may have another shop's.
    /// A store that never had it remembers the deletion all the same: the platform's list may show the account on, and must
    /// make no tenant of it.
    ///
    /// # Errors
    /// The store refused.
    pub async fn delete_again(&self, deletion: &Deletion) -> Result<bool, TenantsError> {
        let known = life::all(self.directory.db.reader()).await?;
        if known.iter().any(|one| one.is(deletion)) {
            // The backup is younger than it: whoever has the appid now came back, whatever the clocks said.
            return Ok(false);
        }
        match self.by_appid(&deletion.appid) {
            Some(tenant) if tenant.created_at <= deletion.at => {
                self.destroy(tenant.id, &deletion.appid, Order::Again(deletion.at)).await?;
                Ok(true)
            }
            // The shop came back after it.
            Some(_) => Ok(false),
            None => {
                self.onboarding.remember_deletion(self.actor, deletion).await?;
                Ok(false)
            }
        }
    }

    async fn destroy(&self, id: TenantId, appid: &str, order: Order) -> Result<(), TenantsError> {
        self.directory.delete(self.actor, id, appid, order).await?;
        self.custody.forget(id);
        self.registry.forget(id);
        self.refusals.forget(id);
        Ok(())
    }

    /// Deletions are noted in this list from now on.
    pub fn note_deletions_in(&self, list: ErasedList) {
        let _ = self.erased.set(list);
    }

    /// Notes what the list of deletions lacks, and ends what is left in it as intended; nothing without a list.
    ///
    /// # Errors
    /// The store or the list refused.
    pub async fn note_deletions(&self) -> Result<(), TenantsError> {
        let _noting = self.noting.lock().await;
        self.compare().await
    }

    /// To be called while no other deletion is between its two lines.
    async fn compare(&self) -> Result<(), TenantsError> {
        let Some(list) = self.erased.get().cloned() else { return Ok(()) };
        let carried_out = life::all(self.directory.db.reader()).await?;
        let tenants = self.clone();
        let is_there =
            move |of: &Deletion| tenants.by_appid(&of.appid).is_some_and(|tenant| tenant.created_at <= of.at);
        list.apart(move |list| list.note(&carried_out, &is_there)).await
    }
}
