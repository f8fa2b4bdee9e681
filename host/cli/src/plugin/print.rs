//! What `fangshi plugin` prints: for a person, in the order in which things happened.

use std::collections::BTreeSet;
use std::io::{Result, Write};
use std::path::Path;

use fangshi_database::Digest;
use fangshi_runtime::{Limits, Manifest, Outcome, RunReport, Snapshot};
use fangshi_tenants::{PropertyKind, SettingsSchema};

use super::event_file::EventFile;
use super::list;
use super::recorder::Record;

/// What a component subscribes to and asks for.
pub fn manifest(out: &mut impl Write, file: &Path, digest: &Digest, manifest: &Manifest) -> Result<()> {
    writeln!(out, "plugin   {}", file.display())?;
    writeln!(out, "version  {digest}")?;
    writeln!(out, "size     {} bytes", manifest.size)?;
    hooks(out, manifest)?;
    if manifest.grants.is_empty() {
        writeln!(out, "grants   none")?;
    }
    for grant in &manifest.grants {
        let known = fangshi_operations::grant(&grant.name);
        let sensitivity = known.map_or("", |known| known.interface.sensitivity.name());
        match grant.functions.as_slice() {
            [] => writeln!(out, "grant    {} ({sensitivity})", grant.name)?,
            functions => writeln!(out, "grant    {} ({sensitivity}): {}", grant.name, functions.join(", "))?,
        }
    }
    for export in &manifest.extra_exports {
        writeln!(out, "export   {export} (never called)")?;
    }
    Ok(())
}

/// Every hook of a component, whichever of them is called.
pub fn hooks(out: &mut impl Write, manifest: &Manifest) -> Result<()> {
    writeln!(out, "hooks    {}", manifest.hooks.join(", "))
}

/// What it says about its settings.
pub fn settings(out: &mut impl Write, schema: Option<&SettingsSchema>) -> Result<()> {
    for property in schema.into_iter().flat_map(SettingsSchema::properties) {
        let kind = match property.kind {
            PropertyKind::Text { .. } if property.secret => "secret",
            PropertyKind::Text { .. } => "text",
            PropertyKind::Integer { .. } => "integer",
            PropertyKind::Number { .. } => "number",
            PropertyKind::Switch => "true or false",
        };
        let usual = match &property.default {
            Some(default) => format!("; {default} if it is not set"),
            None if property.required => "; must be set".to_owned(),
            None => String::new(),
        };
        writeln!(out, "setting  {} ({kind}{usual})", property.name)?;
    }
    Ok(())
}

/// What the run starts from.
pub fn event(
    out: &mut impl Write,
    event: &EventFile,
    hook: &str,
    order: Option<&Snapshot>,
    grants: &BTreeSet<String>,
) -> Result<()> {
    match event.order_id.as_str() {
        "" => writeln!(out, "event    {} at {}", event.event, event.created_at)?,
        order_id => writeln!(out, "event    {} at {}, order {order_id}", event.event, event.created_at)?,
    }
    if let Some(order) = order {
        writeln!(out, "order    {} of the order file", order.order_id)?;
        if order.order_id != event.order_id && !event.order_id.is_empty() {
            writeln!(
                out,
                "note     the event names another order than the order file; the plugin is given the file's"
            )?;
        }
    }
    writeln!(out, "hook     {hook}")?;
    writeln!(out, "grants   {}", list(grants))
}

/// What happened during it.
pub fn record(out: &mut impl Write, record: &Record, done: bool) -> Result<()> {
    for (number, (call, answer)) in record.calls.iter().enumerate() {
        writeln!(out, "call {:<3} {call}\n         {answer}", number + 1)?;
    }
    for (level, text) in &record.log {
        writeln!(out, "log      {} {text}", level_name(*level))?;
    }
    if !record.kv.is_empty() {
        let keys: Vec<&str> = record.kv.keys().map(String::as_str).collect();
        let fate = if done { "kept" } else { "dropped, since the attempt did not end ok" };
        writeln!(out, "kv       {}: {fate}", keys.join(", "))?;
    }
    Ok(())
}

/// How it ended and what it used.
pub fn report(out: &mut impl Write, report: &RunReport, limits: &Limits) -> Result<()> {
    writeln!(out, "outcome  {}", outcome(&report.outcome))?;
    writeln!(out, "fuel     {} of {}", report.fuel_used, limits.fuel)?;
    writeln!(out, "memory   {} of {} bytes at most", report.peak_memory, limits.memory_bytes)?;
    writeln!(out, "calls    {} of {} host calls", report.host_calls, limits.host_calls)?;
    writeln!(out, "logged   {} of {} bytes", report.log_bytes, limits.log_bytes)?;
    writeln!(out, "time     {} ms", report.wall_ms)
}

fn level_name(level: u8) -> &'static str {
    match level {
        0 => "debug  ",
        2 => "warning",
        3 => "error  ",
        _ => "info   ",
    }
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "done".to_owned(),
        Outcome::RetryLater { reason, after: Some(after) } => format!("retry later, in {after} s at least: {reason}"),
        Outcome::RetryLater { reason, after: None } => format!("retry later: {reason}"),
        Outcome::Reject { reason } => format!("rejected: {reason}"),
        Outcome::Trap { message } => format!("trap: {message}"),
        Outcome::Limit { limit, allowed } => format!("limit {limit} of {allowed} reached"),
        Outcome::Deadline => "deadline passed".to_owned(),
        Outcome::EventUnfit { reason } => format!("event unfit: {reason}"),
        Outcome::Aborted(abort) => format!("aborted: {abort}"),
        Outcome::HostFault(cause) => format!("host fault: {cause}"),
    }
}
