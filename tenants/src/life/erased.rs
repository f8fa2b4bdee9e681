//! The list of deletions, kept outside of the store: a backup from before a deletion brings the tenant back, and with it its
//! data under its key. Whoever restores one repeats the deletions of the list.
//!
//! A line is `done      t7 wx0123456789abcdef 1764642403000`: how far the deletion came, the tenant, its appid, and when it was
//! deleted, unix milliseconds. A line without the first word, as builds before wrote it, is of one that was done.
//!
//! It goes in as `intended`, durable before the tenant is destroyed, and that word is written over in its place by `done` or
//! `withdrawn`: a full disk shows before anything is destroyed, and the end needs no room. What is left as intended was cut off
//! by a crash, and the store knows its end: the row of the deletion, or none, since the tenant lives. Where that store is lost,
//! nobody knows; whoever restores carries it out then, since it was ordered, and the backup is still there.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fangshi_database::TenantId;

use crate::TenantsError;
use crate::to_the_end::cut_off;

/// A deletion.
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
    /// Those that were carried out, in the order in which they were noted.
    pub deletions: Vec<Deletion>,
    /// Those that were ordered, and nobody said yet what became of them.
    pub intended: Vec<Deletion>,
    /// Lines that can't be read.
    pub unreadable: usize,
}

/// How far a deletion came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Intended,
    Done,
    Withdrawn,
}

struct Line {
    /// Where it begins in the file.
    begins: u64,
    progress: Progress,
    deletion: Deletion,
}

#[derive(Default)]
struct Lines {
    lines: Vec<Line>,
    unreadable: usize,
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
        let Some(Lines { lines, unreadable }) = self.lines()? else { return Ok(None) };
        let mut erased = Erased { unreadable, ..Erased::default() };
        for line in lines {
            match line.progress {
                Progress::Done => erased.deletions.push(line.deletion),
                Progress::Intended => erased.intended.push(line.deletion),
                Progress::Withdrawn => {}
            }
        }
        Ok(Some(erased))
    }

    /// Notes that a deletion is about to be carried out; durable when it returns, with room for how it ends.
    ///
    /// # Errors
    /// The file can't be read or written: nothing may be destroyed.
    pub fn intend(&self, deletion: &Deletion) -> io::Result<()> {
        self.add(&Progress::Intended.line(deletion))
    }

    /// Brings the list in line with the store that carried out these deletions, and no others: those that it does not say yet
    /// are noted, and what is left as intended is done, or withdrawn if its tenant `is_there` still. A store that knows neither
    /// (another one, or a new one after a loss) decides nothing. Durable when it returns. Makes the file if there is none,
    /// so that its absence means something to whoever restores. A file that can't be written is an error though there be
    /// nothing to note: whoever deletes next must know before.
    ///
    /// # Errors
    /// The file can't be read or written.
    pub fn note(&self, carried_out: &[Deletion], is_there: &dyn Fn(&Deletion) -> bool) -> io::Result<()> {
        let known = self.lines()?;
        let is_new = known.is_none();
        let lines = known.unwrap_or_default().lines;
        let says =
            |deletion: &Deletion| lines.iter().any(|l| l.progress != Progress::Withdrawn && l.deletion.is(deletion));
        let missing: String =
            carried_out.iter().filter(|done| !says(done)).map(|done| Progress::Done.line(done)).collect();
        // First, since it needs no room.
        self.end(lines.iter().filter(|line| line.progress == Progress::Intended), carried_out, is_there)?;
        if missing.is_empty() && !is_new {
            return OpenOptions::new().append(true).open(&self.file).map(drop);
        }
        self.add(&missing)
    }

    /// Writes over the word of each of these lines.
    fn end<'a>(
        &self,
        intended: impl Iterator<Item = &'a Line>,
        carried_out: &[Deletion],
        is_there: &dyn Fn(&Deletion) -> bool,
    ) -> io::Result<()> {
        let mut intended = intended.peekable();
        if intended.peek().is_none() {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).open(&self.file)?;
        for line in intended {
            let was_done = carried_out.iter().any(|done| done.is(&line.deletion));
            let progress = match was_done {
                true => Progress::Done,
                false if is_there(&line.deletion) => Progress::Withdrawn,
                false => continue,
            };
            file.write_all_at(progress.word().as_bytes(), line.begins)?;
        }
        file.sync_all()
    }

    fn add(&self, lines: &str) -> io::Result<()> {
        let is_new = !self.file.try_exists()?;
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&self.file)?;
        let length = file.metadata()?.len();
        // A line that was cut off by a crash must not swallow this one.
        let torn = if ends_torn(&mut file)? { "\n" } else { "" };
        let written = file.write_all(format!("{torn}{lines}").as_bytes()).and_then(|()| file.sync_all());
        if written.is_err() {
            // Whoever asked is told that it does not stand there.
            let _ = file.set_len(length);
        }
        written?;
        match self.file.parent().filter(|folder| is_new && !folder.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }

    fn lines(&self) -> io::Result<Option<Lines>> {
        let bytes = match std::fs::read(&self.file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let (mut all, mut begins) = (Lines::default(), 0);
        for line in bytes.split(|byte| *byte == b'\n') {
            let text = std::str::from_utf8(line).ok();
            match text.and_then(|text| Line::parse(begins, text)) {
                Some(line) => all.lines.push(line),
                None if line.trim_ascii().is_empty() => {}
                None => all.unreadable += 1,
            }
            begins += line.len() as u64 + 1;
        }
        Ok(Some(all))
    }

    /// Works on the file where waiting for the disk holds nobody up.
    pub(crate) async fn apart<F>(self, work: F) -> Result<(), TenantsError>
    where
        F: FnOnce(&ErasedList) -> io::Result<()> + Send + 'static,
    {
        let file = self.file.clone();
        let done = tokio::task::spawn_blocking(move || work(&self)).await;
        let done = done.unwrap_or_else(|ended| Err(io::Error::other(cut_off(&ended))));
        done.map_err(|cause| TenantsError::ErasedList { file, cause })
    }
}

impl Progress {
    const ALL: [Progress; 3] = [Progress::Intended, Progress::Done, Progress::Withdrawn];
    /// Every word is as long, so that one can be written over another.
    const LONG: usize = 9;

    fn word(self) -> &'static str {
        match self {
            Progress::Intended => "intended ",
            Progress::Done => "done     ",
            Progress::Withdrawn => "withdrawn",
        }
    }

    fn line(self, deletion: &Deletion) -> String {
        format!("{} {} {} {}\n", self.word(), deletion.tenant, deletion.appid, deletion.at)
    }
}

impl Line {
    fn parse(begins: u64, text: &str) -> Option<Line> {
        if let Some(deletion) = Deletion::parse(text) {
            return Some(Line { begins, progress: Progress::Done, deletion });
        }
        let (word, rest) = text.split_at_checked(Progress::LONG)?;
        let deletion = Deletion::parse(rest.strip_prefix(' ')?)?;
        // A word that a crash left half written over says neither.
        let progress = Progress::ALL.into_iter().find(|progress| progress.word() == word);
        Some(Line { begins, progress: progress.unwrap_or(Progress::Intended), deletion })
    }
}

impl Deletion {
    /// Whether it is the same one: a restored store may have another number for the tenant.
    pub(crate) fn is(&self, other: &Deletion) -> bool {
        (&self.appid, self.at) == (&other.appid, other.at)
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

    fn list() -> (tempfile::TempDir, ErasedList) {
        let folder = tempfile::tempdir().unwrap();
        let list = ErasedList::new(folder.path().join("erased"));
        (folder, list)
    }

    fn says(list: &ErasedList) -> Erased {
        list.read().unwrap().unwrap()
    }

    #[test]
    fn each_deletion_stands_once_whatever_a_crash_left() {
        let (_folder, list) = list();
        assert_eq!(list.read().unwrap(), None);
        list.note(&[], &|_| true).unwrap();
        assert_eq!(list.read().unwrap(), Some(Erased::default()), "there, and empty");
        list.note(&[deletion(1)], &|_| true).unwrap();
        // A line without its end.
        let mut file = OpenOptions::new().append(true).open(list.file()).unwrap();
        file.write_all(b"t2 wx").unwrap();
        let renumbered = Deletion { tenant: TenantId(9), ..deletion(1) };
        list.note(&[renumbered, deletion(2)], &|_| true).unwrap();
        let expected = Erased { deletions: vec![deletion(1), deletion(2)], unreadable: 1, ..Erased::default() };
        assert_eq!(says(&list), expected);
    }

    #[test]
    fn an_intention_ends_in_its_place_as_the_store_says() {
        let (_folder, list) = list();
        for number in 1..=3 {
            list.intend(&deletion(number)).unwrap();
        }
        let intended = Erased { intended: (1..=3).map(deletion).collect(), ..Erased::default() };
        assert_eq!(says(&list), intended);
        let size = std::fs::metadata(list.file()).unwrap().len();
        list.note(&[deletion(2)], &|_| true).unwrap();
        let ended = Erased { deletions: vec![deletion(2)], ..Erased::default() };
        assert_eq!(says(&list), ended);
        assert_eq!(std::fs::metadata(list.file()).unwrap().len(), size, "no room was needed");
        // One that was taken back and carried out later all the same, at that very time.
        list.note(&[deletion(2), deletion(3)], &|_| true).unwrap();
        assert_eq!(says(&list).deletions, [deletion(2), deletion(3)]);
    }

    #[test]
    fn what_a_crash_left_of_a_line_is_never_a_deletion_that_was_done() {
        let (_folder, list) = list();
        let whole = Progress::Intended.line(&deletion(1));
        for cut in 1..whole.len() {
            std::fs::write(list.file(), &whole[..cut]).unwrap();
            let erased = says(&list);
            assert_eq!(erased.deletions, [], "cut after {cut}");
            list.note(&[], &|_| true).unwrap();
            assert_eq!(says(&list).intended, [], "cut after {cut}");
        }
        // A word that was being written over, from either end.
        for to in [Progress::Done, Progress::Withdrawn] {
            for cut in 1..Progress::LONG {
                let (from, to) = (Progress::Intended.word(), to.word());
                for word in [format!("{}{}", &to[..cut], &from[cut..]), format!("{}{}", &from[..cut], &to[cut..])] {
                    if word == to {
                        continue;
                    }
                    std::fs::write(list.file(), whole.replace(from, &word)).unwrap();
                    assert_eq!(says(&list).intended, [deletion(1)], "{word:?}");
                }
            }
        }
    }

    #[test]
    fn a_line_of_an_earlier_build_is_of_a_deletion_that_was_done() {
        let (_folder, list) = list();
        std::fs::write(list.file(), "t1 wx1 1001\n").unwrap();
        list.intend(&deletion(2)).unwrap();
        list.note(&[deletion(1), deletion(2)], &|_| true).unwrap();
        let expected = Erased { deletions: vec![deletion(1), deletion(2)], ..Erased::default() };
        assert_eq!(says(&list), expected);
    }

    #[test]
    fn a_list_that_can_be_read_and_not_written_says_so_before_there_is_anything_to_note() {
        let (_folder, list) = list();
        list.note(&[deletion(1)], &|_| true).unwrap();
        let mut permissions = std::fs::metadata(list.file()).unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(list.file(), permissions).unwrap();
        // Whoever is root may write it all the same.
        let writable = OpenOptions::new().append(true).open(list.file()).is_ok();
        assert_eq!(list.note(&[deletion(1)], &|_| true).is_ok(), writable);
    }
}
