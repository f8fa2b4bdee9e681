//! The list of deletions, kept outside of the store: a backup from before a deletion brings the tenant back, and with it its
//! data under its key. Whoever restores one repeats the deletions of the list.
//!
//! A line is `t7 wx0123456789abcdef 1764642403000`: the tenant, its appid, and when it was deleted, unix milliseconds.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fangshi_database::TenantId;

/// A deletion that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Whose.
    pub tenant: TenantId,
    /// Its appid until then.
    pub appid: String,
    /// When, unix milliseconds.
    pub at: i64,
}

/// The file of the list.
#[derive(Debug, Clone)]
pub struct ErasedList {
    file: PathBuf,
}

/// What a list says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    /// In the order in which they were noted.
    pub deletions: Vec<Deletion>,
    /// Lines that can't be read.
    pub unreadable: usize,
}

impl ErasedList {
    /// The list in a file, which need not be there yet.
    pub fn new(file: PathBuf) -> ErasedList {
        ErasedList { file }
    }

    /// Where it lies.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What it says; none if there is no such file.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn read(&self) -> io::Result<Option<Erased>> {
        let text = match std::fs::read(&self.file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut erased = Erased::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match Deletion::parse(line) {
                Some(deletion) => erased.deletions.push(deletion),
                None => erased.unreadable += 1,
            }
        }
        Ok(Some(erased))
    }

    /// Notes those that the list does not say yet; durable when it returns. Makes the file if there is none, so that its
    /// absence means something to whoever restores. A file that can't be written is an error though there be nothing to
    /// note: whoever deletes next must know before.
    ///
    /// # Errors
    /// The file can't be read or written.
    pub fn note(&self, deletions: &[Deletion]) -> io::Result<()> {
        let known = self.read()?;
        let is_new = known.is_none();
        let known = known.unwrap_or_default().deletions;
        let lines: String = deletions.iter().filter(|deletion| !known.contains(deletion)).map(Deletion::line).collect();
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&self.file)?;
        if lines.is_empty() && !is_new {
            return Ok(());
        }
        // A line that was cut off by a crash must not swallow this one.
        let torn = if ends_torn(&mut file)? { "\n" } else { "" };
        file.write_all(format!("{torn}{lines}").as_bytes())?;
        file.sync_all()?;
        match self.file.parent().filter(|folder| is_new && !folder.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Deletion {
    fn line(&self) -> String {
        format!("{} {} {}\n", self.tenant, self.appid, self.at)
    }

    fn parse(line: &str) -> Option<Deletion> {
        let mut words = line.split_whitespace();
        let (tenant, appid, at) = (words.next()?.parse().ok()?, words.next()?.to_owned(), words.next()?.parse().ok()?);
        words.next().is_none().then_some(Deletion { tenant, appid, at })
    }
}

fn ends_torn(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deletion(id: i64) -> Deletion {
        Deletion { tenant: TenantId(id), appid: format!("wx{id}"), at: 1_000 + id }
    }

    #[test]
    fn each_deletion_stands_once_whatever_a_crash_left() {
        let folder = tempfile::tempdir().unwrap();
        let list = ErasedList::new(folder.path().join("erased"));
        assert_eq!(list.read().unwrap(), None);
        list.note(&[]).unwrap();
        assert_eq!(list.read().unwrap(), Some(Erased::default()), "there, and empty");
        list.note(&[deletion(1)]).unwrap();
        // A line without its end.
        let mut file = OpenOptions::new().append(true).open(list.file()).unwrap();
        file.write_all(b"t2 wx").unwrap();
        list.note(&[deletion(1), deletion(2)]).unwrap();
        let erased = list.read().unwrap().unwrap();
        assert_eq!(erased, Erased { deletions: vec![deletion(1), deletion(2)], unreadable: 1 });
    }

    #[test]
    fn a_list_that_can_be_read_and_not_written_says_so_before_there_is_anything_to_note() {
        let folder = tempfile::tempdir().unwrap();
        let list = ErasedList::new(folder.path().join("erased"));
        list.note(&[deletion(1)]).unwrap();
        let mut permissions = std::fs::metadata(list.file()).unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(list.file(), permissions).unwrap();
        // Whoever is root may write it all the same.
        let writable = OpenOptions::new().append(true).open(list.file()).is_ok();
        assert_eq!(list.note(&[deletion(1)]).is_ok(), writable);
    }
}
