//! The key that authenticates compiled plugins on disk.
//!
//! It is random, made once, and lies sealed in the data folder: only a process with the key-encryption key can read it,
//! so whoever can write the data folder but lacks that key can't make the host run machine code of his own.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use fangshi_tenants::{Place, TenantId, Tenants};
use zeroize::Zeroizing;

const FILE: &str = "compiled.key";
const PLACE: Place = Place { table: "files", column: "compiled.key" };
const ROW: &[u8] = b"";

/// The key, made if there is none yet. One that can't be read is replaced: compiled code can always be made anew.
pub fn keep(tenants: &Tenants, data_dir: &Path) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let path = data_dir.join(FILE);
    match std::fs::read(&path) {
        Ok(sealed) => match open(tenants, &sealed) {
            Some(key) => Ok(key),
            None => {
                tracing::warn!(file = %path.display(), "the key of compiled plugins does not open: made anew, plugins are compiled again");
                make(tenants, &path)
            }
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(tenants, &path),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

fn open(tenants: &Tenants, sealed: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let plain = tenants.vault().unseal(TenantId::HOST, PLACE, ROW, sealed).ok()?;
    let bytes: [u8; 32] = plain.as_slice().try_into().ok()?;
    Some(Zeroizing::new(bytes))
}

fn make(tenants: &Tenants, path: &Path) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(key.as_mut_slice()).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    let sealed = tenants.vault().seal(TenantId::HOST, PLACE, ROW, key.as_slice())?;
    // Written beside and renamed: a half-written key would only cost compilations, but why.
    let beside = path.with_extension("key.new");
    let write = || {
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(&sealed)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().with_context(|| path.display().to_string())?;
    Ok(key)
}
