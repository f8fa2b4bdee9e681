//! Where the key-encryption key comes from, and where deletions are listed.

use std::path::{Path, PathBuf};

use fangshi_tenants::Kek;
use secrecy::SecretString;

use super::keys;
use super::reader::{Environment, Reader, folder_of};

/// The environment variable that may hold the key-encryption key, 64 hex digits, instead of a file.
pub const KEY_VARIABLE: &str = "FANGSHI_CUSTODY_KEY";

/// The key file's name beside the config file, if `custody.key_file` is not set.
const KEY_FILE_NAME: &str = "fangshi.key";
/// The list of deletions beside the key file, if `custody.erased_file` is not set.
const ERASED_FILE_NAME: &str = "fangshi.erased";

/// Where the key-encryption key comes from.
#[derive(Debug)]
pub enum KeySource {
    /// A file; made at the first start.
    File(PathBuf),
    /// The environment.
    Text(SecretString),
}

/// The key's source.
pub(super) fn key(reader: &mut Reader<'_>, file: &Path, environment: Environment<'_>) -> KeySource {
    let key_file = reader.path(&keys::KEY_FILE);
    match environment(KEY_VARIABLE) {
        Some(text) => {
            let text = SecretString::from(text);
            if Kek::from_text(&text, KEY_VARIABLE).is_err() {
                reader.wrong_variable(KEY_VARIABLE, "expected 64 hex digits in the environment; found another text");
            }
            KeySource::Text(text)
        }
        None => KeySource::File(key_file.unwrap_or_else(|| folder_of(file).join(KEY_FILE_NAME))),
    }
}

/// The list of deletions: beside the key, unless it is named.
pub(super) fn erased_file(reader: &mut Reader<'_>, file: &Path, key: &KeySource) -> PathBuf {
    reader.path(&keys::ERASED_FILE).unwrap_or_else(|| match key {
        KeySource::File(key) => key.with_file_name(ERASED_FILE_NAME),
        KeySource::Text(_) => folder_of(file).join(ERASED_FILE_NAME),
    })
}
