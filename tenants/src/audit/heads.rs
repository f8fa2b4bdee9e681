//! The file of exported heads: a line a day, `2026-01-31 17 HASH`. It is only added to.
//!
//! It lies in the data folder, where whoever changes the store may change it too: copy it elsewhere.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use fangshi_database::Digest;

use super::rows::Head;
use crate::AuditError;

const FILE: &str = "heads.txt";

/// A head that was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedHead {
    /// The day, UTC: `2026-01-31`.
    pub date: String,
    /// The last number of that time.
    pub number: i64,
    /// Its hash.
    pub hash: Digest,
}

impl ExportedHead {
    pub(super) fn new(date: String, head: Head) -> ExportedHead {
        ExportedHead { date, number: head.number, hash: head.hash }
    }

    fn parse(line: &str) -> Option<ExportedHead> {
        let mut parts = line.split(' ');
        let date = parts.next()?.to_owned();
        let number = parts.next()?.parse().ok()?;
        let hash = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(ExportedHead { date, number, hash })
    }
}

/// The heads in a file, or in the file of a folder of exported heads; none if there is no file yet.
///
/// # Errors
/// The file cannot be read, or a line of it is no head.
pub fn read_heads(place: &Path) -> Result<Vec<ExportedHead>, AuditError> {
    let path = if place.is_dir() { place.join(FILE) } else { place.to_owned() };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(AuditError::Heads { path, problem: error.to_string() }),
    };
    // What a crash left of a last line was never durable, and is no head.
    let whole = text.rfind('\n').map_or("", |at| &text[..at]);
    let mut heads = Vec::new();
    for (at, line) in whole.lines().enumerate() {
        let head = ExportedHead::parse(line).ok_or_else(|| AuditError::Heads {
            path: path.clone(),
            problem: format!("line {} is no exported head (DATE NUMBER HASH)", at + 1),
        })?;
        heads.push(head);
    }
    Ok(heads)
}

/// Adds a head unless its day has one already; durable when it returns true.
pub(super) fn export(folder: &Path, head: &ExportedHead) -> Result<bool, AuditError> {
    let path = folder.join(FILE);
    let failed = |error: std::io::Error| AuditError::Heads { path: path.clone(), problem: error.to_string() };
    std::fs::create_dir_all(folder).map_err(failed)?;
    cut_half_a_line(&path).map_err(failed)?;
    if read_heads(&path)?.iter().any(|known| known.date == head.date) {
        return Ok(false);
    }
    let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
    file.write_all(format!("{} {} {}\n", head.date, head.number, head.hash).as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    // The file's name must last as well, the first time.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(true)
}

/// Takes away what a crash left of a line; it was never durable.
fn cut_half_a_line(path: &Path) -> std::io::Result<()> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < text.len() {
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_line_and_half_a_line_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("audit-heads");
        let head = |date: &str, number| ExportedHead { date: date.into(), number, hash: Digest::of(&[1]) };
        assert!(export(&place, &head("2026-01-01", 3)).unwrap());
        assert!(!export(&place, &head("2026-01-01", 4)).unwrap());
        let file = place.join(FILE);
        let mut text = std::fs::read_to_string(&file).unwrap();
        text.push_str("2026-01-02 9");
        std::fs::write(&file, text).unwrap();
        assert!(export(&place, &head("2026-01-02", 5)).unwrap());
        assert_eq!(read_heads(&place).unwrap(), vec![head("2026-01-01", 3), head("2026-01-02", 5)]);
        std::fs::write(&file, "yesterday\n").unwrap();
        assert!(read_heads(&file).unwrap_err().to_string().contains("line 1"));
    }
}
