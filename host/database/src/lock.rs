//! One process per data folder: two hosts on one store would break the lanes. Tools that know what they do may share it
//! among themselves, and never with a host.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use fs4::fs_std::FileExt;

use crate::DatabaseError;

const LOCK_FILE: &str = "fangshi.lock";

/// Held as long as the store is open; the system frees it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// `shared`: beside others that share it as well.
    pub(crate) fn take(data_dir: &Path, shared: bool) -> Result<FolderLock, DatabaseError> {
        let path = data_dir.join(LOCK_FILE);
        let failed = |cause| DatabaseError::Folder { path: path.clone(), cause };
        let mut file =
            OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&path).map_err(failed)?;
        let locked = if shared { FileExt::try_lock_shared(&file) } else { FileExt::try_lock_exclusive(&file) };
        if !locked.map_err(failed)? {
            return Err(DatabaseError::Locked { data_dir: data_dir.to_owned(), holder: holder(&mut file) });
        }
        if shared {
            return Ok(FolderLock { _file: file });
        }
        // Who holds it, for the message of the one that is refused.
        file.set_len(0).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        writeln!(file, "process {}", std::process::id()).map_err(failed)?;
        Ok(FolderLock { _file: file })
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    // A holder that has not yet written its id is still a holder.
    let read = file.take(64).read_to_string(&mut text);
    match (read, text.trim()) {
        (Ok(_), said) if said.starts_with("process ") => said.to_owned(),
        _ => "another process".to_owned(),
    }
}
