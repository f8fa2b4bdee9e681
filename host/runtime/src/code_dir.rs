//! Compiled code on disk. Loading machine code is running it, so a file counts only if this host wrote it: each carries
//! an HMAC-SHA256 under the host's key over the component's digest, the engine's version and settings, and the code.
//!
//! The code is read into memory and authenticated there, not mapped: a mapped file could be changed after the check.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"FANGSHI1";
const TAG: usize = 32;

/// The folder of one engine version and configuration.
pub(crate) struct CodeDir {
    dir: PathBuf,
    key: Zeroizing<[u8; 32]>,
    compatibility: [u8; 32],
}

impl CodeDir {
    /// Makes the folder. Code of other engine versions stays beside it, in folders of their own.
    pub fn open(root: &Path, key: Zeroizing<[u8; 32]>, compatibility: [u8; 32]) -> io::Result<CodeDir> {
        let dir = root.join(hex::encode(&compatibility[..8]));
        fs::create_dir_all(&dir)?;
        Ok(CodeDir { dir, key, compatibility })
    }

    /// The code of a component, if there is an authentic file of it. Any other file is removed.
    pub fn read(&self, digest: &[u8; 32]) -> Option<Vec<u8>> {
        let path = self.path(digest);
        let mut file = fs::read(&path).ok()?;
        let code_starts = MAGIC.len() + TAG;
        let authentic = file.len() > code_starts
            && file[..MAGIC.len()] == MAGIC[..]
            && self
                .mac(digest, &file[code_starts..])
                .is_some_and(|mac| mac.verify_slice(&file[MAGIC.len()..code_starts]).is_ok());
        if authentic {
            file.drain(..code_starts);
            return Some(file);
        }
        tracing::warn!(path = %path.display(), "compiled code is damaged or not ours: removed, compiling again");
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "it can't be removed");
        }
        None
    }

    /// Keeps code. A crash in between leaves no half file under the name.
    pub fn write(&self, digest: &[u8; 32], code: &[u8]) -> io::Result<()> {
        let mac = self.mac(digest, code).ok_or_else(|| io::Error::other("no key"))?;
        let path = self.path(digest);
        let part = path.with_extension(format!("{:016x}.part", rand::random::<u64>()));
        let written = (|| {
            let mut file = fs::File::create_new(&part)?;
            file.write_all(MAGIC)?;
            file.write_all(&mac.finalize().into_bytes())?;
            file.write_all(code)?;
            fs::rename(&part, &path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        written
    }

    /// Where the code of a component is kept.
    pub fn path(&self, digest: &[u8; 32]) -> PathBuf {
        self.dir.join(hex::encode(digest)).with_extension("code")
    }

    /// Removes the code of components that nobody has any more, of other engines too, and of engines that compiled nothing
    /// for `stale`: going back to one of those compiles anew. Gives the number of files removed.
    pub fn sweep(&self, wanted: impl Fn(&[u8; 32]) -> bool, stale: Duration) -> io::Result<u64> {
        let mut removed = 0;
        for folder in fs::read_dir(self.dir.parent().unwrap_or(&self.dir))? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            let folder = folder.path();
            let files = fs::read_dir(&folder)?.map(|file| Ok(file?.path())).collect::<io::Result<Vec<_>>>()?;
            let of = |extension: &'static str| {
                files.iter().filter(move |file| file.extension() == Some(OsStr::new(extension)))
            };
            let newest = of("code").map(|file| age(file)).min().unwrap_or_default();
            let is_stale = folder != self.dir && newest > stale;
            let is_left = |file: &Path| digest_in(file).is_some_and(|digest| !wanted(&digest));
            let code = of("code").filter(|file| is_stale || is_left(file));
            // A part that is being written is younger than a day.
            let parts = of("part").filter(|file| age(file) > Duration::from_hours(24));
            for file in code.chain(parts) {
                match fs::remove_file(file) {
                    Ok(()) => removed += 1,
                    // Somebody was faster.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(removed)
    }

    fn mac(&self, digest: &[u8; 32], code: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_slice()).ok()?;
        mac.update(MAGIC);
        mac.update(&self.compatibility);
        mac.update(digest);
        mac.update(&(code.len() as u64).to_le_bytes());
        mac.update(code);
        Some(mac)
    }
}

/// The digest that a file of code is named by.
fn digest_in(file: &Path) -> Option<[u8; 32]> {
    hex::decode(file.file_stem()?.to_str()?).ok()?.try_into().ok()
}

/// Since the last change; none for a time in the future, and for what is gone by now.
fn age(path: &Path) -> Duration {
    let changed = fs::metadata(path).and_then(|there| there.modified()).ok();
    changed.and_then(|changed| changed.elapsed().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(root: &Path, key: u8, compatibility: u8) -> CodeDir {
        CodeDir::open(root, Zeroizing::new([key; 32]), [compatibility; 32]).unwrap()
    }

    #[test]
    fn what_was_written_is_read_back() {
        let root = tempfile::tempdir().unwrap();
        let dir = folder(root.path(), 1, 1);
        assert_eq!(dir.read(&[9; 32]), None);
        dir.write(&[9; 32], b"machine code").unwrap();
        assert_eq!(dir.read(&[9; 32]).as_deref(), Some(&b"machine code"[..]));
        assert_eq!(fs::read_dir(dir.dir).unwrap().count(), 1, "no part is left behind");
    }

    #[test]
    fn every_flipped_byte_is_noticed_and_the_file_removed() {
        let root = tempfile::tempdir().unwrap();
        let dir = folder(root.path(), 1, 1);
        dir.write(&[9; 32], b"machine code").unwrap();
        let whole = fs::read(dir.path(&[9; 32])).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            fs::write(dir.path(&[9; 32]), &damaged).unwrap();
            assert_eq!(dir.read(&[9; 32]), None, "byte {at}");
            assert!(!dir.path(&[9; 32]).exists());
        }
        for length in 0..whole.len() {
            fs::write(dir.path(&[9; 32]), &whole[..length]).unwrap();
            assert_eq!(dir.read(&[9; 32]), None, "cut at {length}");
        }
    }

    #[test]
    fn another_key_engine_or_component_makes_it_worthless() {
        let root = tempfile::tempdir().unwrap();
        let ours = folder(root.path(), 1, 1);
        ours.write(&[9; 32], b"machine code").unwrap();
        let file = fs::read(ours.path(&[9; 32])).unwrap();
        for (other, digest) in [
            (folder(root.path(), 2, 1), [9; 32]),
            (folder(root.path(), 1, 2), [9; 32]),
            (folder(root.path(), 1, 1), [8; 32]),
        ] {
            fs::write(other.path(&digest), &file).unwrap();
            assert_eq!(other.read(&digest), None);
        }
    }

    #[test]
    fn code_that_nobody_wants_is_swept_and_the_rest_stays() {
        let root = tempfile::tempdir().unwrap();
        let (ours, before) = (folder(root.path(), 1, 1), folder(root.path(), 1, 2));
        for dir in [&ours, &before] {
            dir.write(&[8; 32], b"code").unwrap();
            dir.write(&[9; 32], b"code").unwrap();
        }
        let part = ours.path(&[8; 32]).with_extension("0.part");
        fs::write(&part, b"half").unwrap();
        fs::write(root.path().join("no folder"), b"left alone").unwrap();
        let month = Duration::from_hours(24 * 30);
        assert_eq!(ours.sweep(|digest| digest[0] == 9, month).unwrap(), 2);
        for dir in [&ours, &before] {
            assert!(dir.path(&[9; 32]).exists() && !dir.path(&[8; 32]).exists());
        }
        assert!(part.exists(), "somebody may be writing it");
        let aged = std::time::SystemTime::UNIX_EPOCH;
        fs::File::open(before.path(&[9; 32])).unwrap().set_modified(aged).unwrap();
        fs::File::open(&part).unwrap().set_modified(aged).unwrap();
        assert_eq!(ours.sweep(|_| true, month).unwrap(), 2);
        assert!(ours.path(&[9; 32]).exists() && !before.path(&[9; 32]).exists() && !part.exists());
    }
}
