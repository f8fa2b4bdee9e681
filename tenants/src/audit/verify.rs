//! Whether the chain says what was written: against itself, and against heads that were exported.

use fangshi_database::{Digest, TenantId};
use sqlx::SqlitePool;

use super::entry::{Action, GENESIS, RESTORED_AT};
use super::heads::ExportedHead;
use super::rows::{self, Head, RawEntry};
use crate::{AuditError, CustodyError, Vault};

/// Rows read at once.
const PAGE: u32 = 1000;

/// A chain that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Its last entry; `None` if there is none.
    pub head: Option<Head>,
    /// Entries whose details were opened and fit.
    pub details: u64,
    /// Entries whose details can no longer be read, because the tenant's data key is gone.
    pub deleted: u64,
    /// Exported heads that were found in the chain.
    pub heads: usize,
    /// Exported heads of entries that a restore took away.
    pub cut: Vec<CutHead>,
}

/// An exported head of the chain as it was before a restore, which put an older one in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutHead {
    /// The head.
    pub head: ExportedHead,
    /// The number of the entry that tells of the restore.
    pub restored: i64,
}

/// An entry that tells of a restore, and its day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Its number.
    pub number: i64,
    /// The day, UTC: `2026-01-31`.
    pub date: String,
}

/// The restore that took a head away: it stands at the head's number or below, and is no older. A day is what is known of a
/// head, so one of the restore's own day counts as from before it.
fn cut_by(head: &ExportedHead, restores: &[Restored]) -> Option<i64> {
    let by = restores.iter().find(|restored| restored.number <= head.number && head.date <= restored.date);
    by.map(|restored| restored.number)
}

/// What a restore's entry seals.
enum Sealed {
    /// When it was, unix ms.
    At(i64),
    /// What it ended, and no time: as builds wrote it before they sealed that.
    Undated,
}

/// What the entry tells of a restore, if it does. The chain has no key of its own: whoever may write the file gives an entry
/// another action or another time, and hashes on from there. Only what is sealed is the host's word, for the host and this very
/// number. The time that stands beside it is not, so an entry that seals none explains nothing by itself: cut off behind it and
/// dated anew, it would excuse every head since.
fn sealed(entry: &RawEntry, vault: &Vault) -> Option<Sealed> {
    if entry.action != Action::StoreRestored.code() || entry.tenant != TenantId::HOST.0 {
        return None;
    }
    let salted = entry.open(vault)?.ok()?;
    let details = RawEntry::read(&salted)?;
    match details.get(RESTORED_AT) {
        Some(at) => at.as_i64().map(Sealed::At),
        None => (details.get("sessions").is_some() && details.get("links").is_some()).then_some(Sealed::Undated),
    }
}

/// The first entry that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {number}: {problem}")]
pub struct Broken {
    /// Its number.
    pub number: i64,
    /// What is wrong with it.
    pub problem: String,
    /// Entries before it that tell of a restore and not when: whoever knows may say so.
    pub undated: Vec<i64>,
}

/// Walks the whole chain. `vault` opens the details; a tenant without a data key counts as deleted. Heads that a restore cut
/// off are told of apart: that it was meant is for a person to say. `dated`: the days of restores whose entries don't seal
/// them, by the word of whoever asks.
///
/// # Errors
/// The store cannot be read. A chain that does not hold is no error but the inner [`Broken`].
pub async fn verify(
    db: &SqlitePool,
    vault: &Vault,
    exported: &[ExportedHead],
    dated: &[Restored],
) -> Result<Result<Verified, Broken>, AuditError> {
    let mut undated: Vec<i64> = Vec::new();
    let broken = |number, problem, undated: Vec<i64>| Ok(Err(Broken { number, problem, undated }));
    let mut verified = Verified { head: None, details: 0, deleted: 0, heads: 0, cut: Vec::new() };
    let mut restores: Vec<Restored> = Vec::new();
    let mut last = Head { number: 0, hash: Digest(GENESIS) };
    loop {
        let entries = rows::after(db, last.number, PAGE).await?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            let hash = match step(&entry, last, vault, &mut verified) {
                Ok(hash) => hash,
                Err(problem) => return broken(last.number + 1, problem, undated),
            };
            last = Head { number: entry.number, hash };
            match sealed(&entry, vault) {
                Some(Sealed::At(at)) => {
                    restores.push(Restored { number: entry.number, date: rows::date(db, at).await? })
                }
                Some(Sealed::Undated) => match dated.iter().find(|told| told.number == entry.number) {
                    Some(told) => restores.push(told.clone()),
                    None => undated.push(entry.number),
                },
                None => {}
            }
            for head in exported.iter().filter(|head| head.number == entry.number) {
                if head.hash == hash {
                    verified.heads += 1;
                } else if let Some(restored) = cut_by(head, &restores) {
                    verified.cut.push(CutHead { head: head.clone(), restored });
                } else {
                    let problem = format!("its hash is not the one that was exported on {}", head.date);
                    return broken(entry.number, problem, undated);
                }
            }
        }
    }
    let mut beyond: Vec<&ExportedHead> = exported.iter().filter(|head| head.number > last.number).collect();
    beyond.sort_by_key(|head| head.number);
    for head in beyond {
        if let Some(restored) = cut_by(head, &restores) {
            verified.cut.push(CutHead { head: head.clone(), restored });
            continue;
        }
        let problem = format!("is missing: on {} the chain went up to entry {}", head.date, head.number);
        return broken(last.number + 1, problem, undated);
    }
    verified.head = (last.number > 0).then_some(last);
    Ok(Ok(verified))
}

/// One entry after the one before it; gives its hash, or what is wrong.
fn step(entry: &RawEntry, last: Head, vault: &Vault, verified: &mut Verified) -> Result<Digest, String> {
    if entry.number != last.number + 1 {
        return Err(format!("is missing: the chain goes on with entry {}", entry.number));
    }
    if entry.prev != last.hash.as_bytes() {
        return Err("does not follow the entry before it".to_owned());
    }
    let hash = entry.link().hash();
    if entry.hash != hash.as_bytes() {
        return Err("was changed: its hash does not fit".to_owned());
    }
    match (&entry.details_digest, entry.open(vault)) {
        (None, None) => {}
        (Some(_), None) => return Err("has lost its details".to_owned()),
        (None, Some(_)) => return Err("has details that it was written without".to_owned()),
        (Some(_), Some(Err(CustodyError::NoKey { .. }))) => verified.deleted += 1,
        (Some(_), Some(Err(_))) => return Err("has details that were changed or moved".to_owned()),
        (Some(digest), Some(Ok(salted))) => {
            if digest != Digest::of(&salted).as_bytes() {
                return Err("has details of another entry".to_owned());
            }
            verified.details += 1;
        }
    }
    Ok(hash)
}
