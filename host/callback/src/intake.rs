//! The seam to what makes a callback durable. The answer `success` stands or falls with it.

use std::error::Error;
use std::future::Future;

use fangshi_journal::{Journal, NewEvent, Recorded};
use fangshi_tenants::{AuthorizationChange, Tenants};
use secrecy::SecretString;

/// Nothing was written, as far as is known; the platform must push again. The cause is for the operator.
#[derive(Debug, thiserror::Error)]
#[error("not recorded")]
pub struct NotRecorded(#[source] pub Box<dyn Error + Send + Sync>);

/// Where events and tickets go. [`Durable`] in the host; a test may refuse or delay.
pub trait Intake: Send + Sync + 'static {
    /// Returns `Ok` after the commit only.
    fn record(&self, event: NewEvent) -> impl Future<Output = Result<Recorded, NotRecorded>> + Send;

    /// As [`Intake::record`], for what is pushed to the component, with what follows from it: both or neither.
    fn record_component(
        &self,
        event: NewEvent,
        change: Option<AuthorizationChange>,
    ) -> impl Future<Output = Result<Recorded, NotRecorded>> + Send;

    /// Keeps the component's ticket in custody. `created_at` in unix seconds.
    fn keep_ticket(
        &self,
        ticket: SecretString,
        created_at: i64,
    ) -> impl Future<Output = Result<(), NotRecorded>> + Send;
}

/// The journal and the custody of the host.
#[derive(Clone)]
pub struct Durable {
    /// Takes the events, and pokes their lanes.
    pub journal: Journal,
    /// Takes the ticket.
    pub tenants: Tenants,
}

impl Intake for Durable {
    async fn record(&self, event: NewEvent) -> Result<Recorded, NotRecorded> {
        self.journal.record_event(event).await.map_err(|error| NotRecorded(Box::new(error)))
    }

    async fn record_component(
        &self,
        event: NewEvent,
        change: Option<AuthorizationChange>,
    ) -> Result<Recorded, NotRecorded> {
        let recorded = self.journal.record_component_event(event, change).await;
        recorded.map_err(|error| NotRecorded(Box::new(error)))
    }

    async fn keep_ticket(&self, ticket: SecretString, created_at: i64) -> Result<(), NotRecorded> {
        let kept = self.tenants.custody().keep_ticket(ticket, created_at).await;
        kept.map_err(|error| NotRecorded(Box::new(error)))?;
        self.tenants.onboarding().ticket_came();
        Ok(())
    }
}
