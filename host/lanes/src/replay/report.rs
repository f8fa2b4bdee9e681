//! What a backtest tells, as JSON and as a table. Requests are redacted by the table of operations.

use std::fmt::Write;

use fangshi_journal::{EventSeq, InstallationId, RunId, TenantId};
use serde::Serialize;

use super::compare::{Difference, EffectSeen};

/// A new version over recorded events.
#[derive(Debug, Clone, Serialize)]
pub struct BacktestReport {
    /// Whose events.
    pub tenant: TenantId,
    /// The installation that the version would work for.
    pub installation: InstallationId,
    /// sha256 of the component, in hex.
    pub version: String,
    /// Events that the version was tried on.
    pub events: u32,
    /// Sums over them.
    pub totals: Totals,
    /// The events where something would be otherwise, is uncertain, was taken for given or could not be tried; oldest first.
    pub items: Vec<EventTried>,
}

/// Sums of a backtest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Effects that stay.
    pub same: u32,
    /// Effects that would be added.
    pub added: u32,
    /// Effects that would be lost.
    pub lost: u32,
    /// Effects that would have another request.
    pub changed: u32,
    /// Events whose run would end otherwise.
    pub outcomes_changed: u32,
    /// Events where the journal lacks an answer, so that nobody can tell for sure.
    pub uncertain: u32,
    /// Events where something was taken for given: an effect as done, an order of another time, a key as absent.
    pub assumed: u32,
    /// Events that the version could not be tried on: nothing of theirs is in the other sums.
    pub untried: u32,
}

/// An event that the version could not be tried on.
#[derive(Debug, Clone, Serialize)]
pub struct Untried {
    /// Why.
    pub reason: String,
    /// The effects of then: compared with nothing.
    pub effects: Vec<EffectSeen>,
}

impl Untried {
    pub(super) fn new(reason: &str, effects: Vec<EffectSeen>) -> Untried {
        Untried { reason: reason.to_owned(), effects }
    }
}

/// One event of a backtest.
#[derive(Debug, Clone, Serialize)]
pub struct EventTried {
    /// The event.
    pub event: EventSeq,
    /// The platform's Event.
    pub name: String,
    /// Empty without an order.
    pub order_id: String,
    /// The hook.
    pub hook: String,
    /// The run that was; none: the version of then did not hear it.
    pub run: Option<RunId>,
    /// How that run ended: a code, `parked: CODE`, or `waiting: CODE`. The code is that of its last attempt, if it had one.
    pub outcome_then: Option<String>,
    /// How it would end; none: the new version does not hear it, or could not be tried.
    pub outcome_now: Option<String>,
    /// Why it could not be tried; none: it was.
    pub untried: Option<Untried>,
    /// Its effects.
    #[serde(flatten)]
    pub difference: Difference,
    /// Calls that the journal has no answer for.
    pub unanswered: Vec<String>,
    /// What was taken for given.
    pub assumed: Vec<String>,
}

impl EventTried {
    /// Whether the run would end otherwise. A run that waits or is parked ended its last attempt with the code behind.
    pub(super) fn ends_otherwise(&self) -> bool {
        let Some(then) = self.outcome_then.as_deref().filter(|_| self.untried.is_none()) else { return false };
        Some(then.rsplit(": ").next().unwrap_or(then)) != self.outcome_now.as_deref()
    }

    pub(super) fn tells(&self) -> bool {
        let otherwise = self.ends_otherwise() || !self.difference.is_none();
        otherwise || !self.unanswered.is_empty() || !self.assumed.is_empty() || self.untried.is_some()
    }
}

impl BacktestReport {
    /// Counts an event, and keeps it if there is something to tell.
    pub(super) fn add(&mut self, tried: EventTried) {
        let totals = &mut self.totals;
        self.events += 1;
        totals.same += tried.difference.same;
        totals.added += tried.difference.added.len() as u32;
        totals.lost += tried.difference.lost.len() as u32;
        totals.changed += tried.difference.changed.len() as u32;
        totals.outcomes_changed += u32::from(tried.ends_otherwise());
        totals.uncertain += u32::from(!tried.unanswered.is_empty());
        totals.assumed += u32::from(!tried.assumed.is_empty());
        totals.untried += u32::from(tried.untried.is_some());
        if tried.tells() {
            self.items.push(tried);
        }
    }

    /// The report for people: a line an effect that would be otherwise, and the sums.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "{:<10} {:<20} {:<20} {:<28} difference", "event", "order", "hook", "outcome");
        for item in &self.items {
            let then = item.outcome_then.as_deref().unwrap_or("-");
            let now = item.outcome_now.as_deref().unwrap_or("-");
            let outcome = if item.ends_otherwise() { format!("{then} -> {now}") } else { now.to_owned() };
            let mut head =
                format!("{:<10} {:<20} {:<20} {:<28} ", item.event.to_string(), item.order_id, item.hook, outcome);
            let lines = lines(item);
            if lines.is_empty() {
                let _ = writeln!(text, "{}", head.trim_end());
            }
            for line in lines {
                let _ = writeln!(text, "{head}{line}");
                head = " ".repeat(head.chars().count());
            }
        }
        let Totals { same, added, lost, changed, outcomes_changed, uncertain, assumed, untried } = self.totals;
        let _ = writeln!(
            text,
            "\n{} events: {same} effects the same, {added} added, {lost} lost, {changed} changed; {outcomes_changed} \
             outcomes changed; {uncertain} uncertain; {assumed} with something assumed; {untried} not tried",
            self.events
        );
        text
    }
}

fn lines(item: &EventTried) -> Vec<String> {
    let line = |sign: char, effect: &EffectSeen| format!("{sign} {} {}", effect.operation, effect.request.redacted());
    let mut lines: Vec<String> = item.difference.added.iter().map(|effect| line('+', effect)).collect();
    lines.extend(item.difference.lost.iter().map(|effect| line('-', effect)));
    for changed in &item.difference.changed {
        lines.push(format!("~ {} ({})", changed.operation, changed.members.join(", ")));
    }
    lines.extend(item.unanswered.iter().map(|name| format!("? {name}: the journal has no answer")));
    lines.extend(item.assumed.iter().map(|text| format!("= assumed: {text}")));
    if let Some(Untried { reason, effects }) = &item.untried {
        lines.push(format!("! not tried: {reason}"));
        lines.extend(effects.iter().map(|effect| line('!', effect)));
    }
    lines
}
