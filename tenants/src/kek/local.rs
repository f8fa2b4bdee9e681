//! A key-encryption key in this process's memory, from a file or from the environment.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use async_trait::async_trait;
use fangshi_database::{Database, Digest};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{KeyWrap, wanted};
use crate::KekError;
use crate::envelope::SealKey;

/// The key-encryption key. Never printed; wiped when dropped.
pub struct Kek {
    id: String,
    key: SealKey,
}

impl Kek {
    /// The key of a start: read from `path` if the file is there. If not, and the store has never been sealed, a new
    /// key is made there; a sealed store without its key is refused, naming the key wanted.
    ///
    /// # Errors
    /// See [`KekError`]; each says what to do.
    pub async fn at_start(db: &Database, path: &Path) -> Result<Kek, KekError> {
        if path.try_exists().map_err(|cause| KekError::File { path: path.to_owned(), cause })? {
            return Kek::from_file(path);
        }
        match wanted(db).await? {
            Some(wanted) => Err(KekError::Missing { path: path.to_owned(), wanted }),
            None => Kek::create_file(path),
        }
    }

    /// Reads a key file: 64 hex digits; lines that begin with `#` are for people.
    ///
    /// # Errors
    /// The file cannot be read, or holds no key.
    pub fn from_file(path: &Path) -> Result<Kek, KekError> {
        let text = std::fs::read_to_string(path).map_err(|cause| KekError::File { path: path.to_owned(), cause })?;
        let text = Zeroizing::new(text);
        let key = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        parse(key.unwrap_or_default()).ok_or_else(|| KekError::Malformed { place: path.display().to_string() })
    }

    /// Makes a key and its file, readable by its owner alone. An existing file is never overwritten.
    ///
    /// # Errors
    /// The file exists or cannot be made, or the system gives no random bytes.
    pub fn create_file(path: &Path) -> Result<Kek, KekError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|error| KekError::Random(error.to_string()))?;
        let kek = Kek::from_bytes(&bytes);
        let failed = |cause| KekError::File { path: path.to_owned(), cause };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        let hex = Zeroizing::new(hex::encode(bytes.as_slice()));
        writeln!(
            file,
            "# Fangshi key {}: without it the store cannot be read. Keep a copy apart from backups.",
            kek.id
        )
        .and_then(|()| writeln!(file, "{}", hex.as_str()))
        .and_then(|()| file.sync_all())
        // The name of the file must survive a loss of power as well: the first rows will be sealed under it.
        .and_then(|()| std::fs::File::open(folder)?.sync_all())
        .map_err(failed)?;
        Ok(kek)
    }

    /// The key from a text such as an environment variable; `place` names it in the error.
    ///
    /// # Errors
    /// The text is no key.
    pub fn from_text(text: &SecretString, place: &str) -> Result<Kek, KekError> {
        parse(text.expose_secret().trim()).ok_or_else(|| KekError::Malformed { place: place.to_owned() })
    }

    /// The key of these bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Kek {
        let mut named = Zeroizing::new(b"fangshi kek id\0".to_vec());
        named.extend_from_slice(bytes);
        let id = format!("k-{}", hex::encode(&Digest::of(&named).as_bytes()[..8]));
        Kek { id, key: SealKey::new(1, bytes) }
    }

    /// Names the key without telling it: `k-` and 16 hex digits.
    pub fn id(&self) -> String {
        self.id.clone()
    }
}

fn parse(text: &str) -> Option<Kek> {
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text, bytes.as_mut_slice()).ok()?;
    Some(Kek::from_bytes(&bytes))
}

#[async_trait]
impl KeyWrap for Kek {
    fn id(&self) -> String {
        self.id.clone()
    }

    async fn wrap(&self, belongs: &[u8], secret: &[u8]) -> Result<Vec<u8>, KekError> {
        self.key.seal(&[belongs], secret).map_err(|_| KekError::Random("the secret cannot be wrapped".into()))
    }

    async fn open(&self, belongs: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KekError> {
        self.key.open(&[belongs], wrapped).map_err(|_| KekError::NotOurs { id: self.id.clone() })
    }
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kek({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_gives_the_key_back_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/fangshi.key");
        let made = Kek::create_file(&path).unwrap();
        let read = Kek::from_file(&path).unwrap();
        assert_eq!(made.id(), read.id());
        let sealed = made.key.seal(&[b"x"], b"data key").unwrap();
        assert!(read.key.open(&[b"x"], &sealed).is_ok());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(matches!(Kek::create_file(&path), Err(KekError::File { .. })), "never overwritten");
        let refused = Kek::from_file(dir.path()).unwrap_err();
        assert!(
            matches!(&refused, KekError::File { .. })
                && refused.to_string().contains("it must be a file that this process may read")
        );
        assert_eq!(Kek::from_file(&path).unwrap().id(), made.id());
    }

    #[test]
    fn two_keys_have_two_ids_and_neither_tells_the_key() {
        let (a, b) = (Kek::from_bytes(&[1; 32]), Kek::from_bytes(&[2; 32]));
        assert_ne!(a.id(), b.id());
        assert!(!format!("{a:?}").contains(&hex::encode([1; 32])));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "0".repeat(65);
        for text in ["", "abc", long.as_str(), "not hex, but as long as a key is: 0123456789abcdef0123456789abcd"] {
            let refused = Kek::from_text(&SecretString::from(text), "FANGSHI_KEY");
            assert!(matches!(refused, Err(KekError::Malformed { .. })), "{text:?}");
        }
    }
}
