//! A step: statements that are carried out whole, or not at all with an error that says which condition did not hold.

use std::fmt::Display;

use fangshi_database::{Binding, Place, Ran, Script, ScriptError};
use sqlx::SqliteConnection;

use crate::lane::Fence;
use crate::{Journal, JournalError};

/// A script, and what it means that one of its conditions does not hold.
#[derive(Default)]
pub(crate) struct Step {
    pub(crate) script: Script,
    conditions: Vec<(Place, JournalError)>,
}

impl Step {
    /// None yet.
    pub(crate) fn new() -> Step {
        Step::default()
    }

    /// Of the holder of a lane: [`JournalError::Stale`] if its epoch is another one by then.
    pub(crate) fn held(fence: &Fence) -> Step {
        let mut step = Step::new();
        let held = step
            .script
            .require("(SELECT epoch FROM lanes WHERE tenant_id = $1 AND order_id = $2) = $3")
            .bind(fence.lane.tenant.0)
            .bind(fence.lane.order_id.to_string())
            .bind(fence.epoch)
            .place();
        step.or(held, JournalError::Stale);
        step
    }

    /// Adds a statement.
    pub(crate) fn add(&mut self, statement: &'static str) -> Binding<'_> {
        self.script.add(statement)
    }

    /// What it means that this condition does not hold.
    pub(crate) fn or(&mut self, condition: Place, error: JournalError) {
        self.conditions.push((condition, error));
    }

    /// The statement before it must have written something.
    pub(crate) fn must_change(&mut self, error: JournalError) {
        let changed = self.script.require("changes() > 0").place();
        self.or(changed, error);
    }

    /// The same, where only a broken store can be the reason that it did not.
    pub(crate) fn must_change_or_corrupt(&mut self, what: impl Display) {
        self.must_change(JournalError::Corrupt(what.to_string()));
    }

    /// Carries it out within a transaction that does more.
    pub(crate) async fn carry_out(mut self, conn: &mut SqliteConnection) -> Result<Ran, JournalError> {
        let script = std::mem::take(&mut self.script);
        script.run(conn).await.map_err(|error| self.error(error))
    }

    fn error(self, error: ScriptError) -> JournalError {
        match error {
            ScriptError::Refused(place) => {
                let told = self.conditions.into_iter().find(|(condition, _)| *condition == place);
                told.map_or_else(|| error.into(), |(_, told)| told)
            }
            ScriptError::Write(_) => error.into(),
        }
    }
}

impl Journal {
    /// Carries a step out, in a transaction of its own. Unless it is `synced`, the commit may be synced after the return: for
    /// what would be done again just so. Whatever is durable later makes it durable too.
    pub(crate) async fn take(&self, mut step: Step, synced: bool) -> Result<Ran, JournalError> {
        let script = std::mem::take(&mut step.script);
        self.db.writer().run(script, synced).await.map_err(|error| step.error(error))
    }
}
