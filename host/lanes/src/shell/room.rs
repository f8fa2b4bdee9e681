//! Room in the installation's own store, as an attempt sees it: what is committed with what it changed itself. Attempts side by
//! side do not see each other; the end of each is held against what is there then (`Journal::end_attempt`).

use std::collections::{BTreeMap, HashMap};

use fangshi_runtime::CallError;

use super::host::Host;

/// The installation's own store, as one attempt changes it.
#[derive(Default)]
pub(super) struct Store {
    /// What it set, and removed.
    pub set: BTreeMap<String, Option<Vec<u8>>>,
    /// Keys and bytes that were committed when it first asked.
    committed: Option<(u64, u64)>,
    /// What of that each key took that was looked at.
    sizes: HashMap<String, Option<u64>>,
}

impl Host {
    /// The refusal of a value for which there is no room. A removed key opens room in the same attempt, a replaced value counts
    /// once, and what does not grow the store always has room.
    pub(super) async fn no_room(&mut self, key: &str, value: &[u8]) -> Result<Option<CallError>, CallError> {
        let allowed = self.known.kv_allowed;
        let (keys, bytes) = self.committed().await?;
        let new = size(key, value);
        // As if every key were new. Most stores are far from full, and no key has to be looked at.
        let written: u64 =
            self.kv.set.iter().map(|(key, value)| value.as_ref().map_or(0, |value| size(key, value))).sum();
        let most = (keys + self.kv.set.len() as u64 + 1, bytes + written + new);
        if most.0 <= allowed.keys && most.1 <= allowed.bytes {
            return Ok(None);
        }
        for key in self.kv.set.keys().map(String::as_str).chain([key]) {
            if !self.kv.sizes.contains_key(key) {
                let committed = self.known.journal.kv_key_size(self.tenant(), self.known.installation, key).await;
                let committed = committed.map_err(|error| self.failed(error))?;
                self.kv.sizes.insert(key.to_owned(), committed);
            }
        }
        let (keys, bytes) = self.kv.now(keys, bytes);
        let replaced = match self.kv.set.get(key) {
            Some(set) => set.as_ref().map(|value| size(key, value)),
            None => self.kv.sizes.get(key).copied().flatten(),
        };
        // Waiting opens no room: `limited` would be the wrong word.
        let refusal = |limit: &str, figure: u64| {
            Some(CallError::Invalid(format!("{limit}: {figure} allowed; delete some first")))
        };
        Ok(match replaced {
            None if keys >= allowed.keys => refusal("kv_keys", allowed.keys),
            replaced => {
                let old = replaced.unwrap_or_default();
                let grows = new > old && bytes - old.min(bytes) + new > allowed.bytes;
                if grows { refusal("kv_bytes", allowed.bytes) } else { None }
            }
        })
    }

    async fn committed(&mut self) -> Result<(u64, u64), CallError> {
        if let Some(committed) = self.kv.committed {
            return Ok(committed);
        }
        let committed = self.known.journal.kv_size(self.known.installation).await;
        let committed = committed.map_err(|error| self.failed(error))?;
        self.kv.committed = Some(committed);
        Ok(committed)
    }
}

impl Store {
    /// Keys and bytes with all changes so far; the size of each changed key must be known.
    fn now(&self, keys: u64, bytes: u64) -> (u64, u64) {
        let changed = || self.set.keys().filter_map(|key| self.sizes.get(key).copied().flatten());
        let set = || self.set.iter().filter_map(|(key, value)| Some(size(key, value.as_ref()?)));
        let keys = keys.saturating_sub(changed().count() as u64) + set().count() as u64;
        (keys, bytes.saturating_sub(changed().sum()) + set().sum::<u64>())
    }
}

/// Bytes that a key and its value count.
fn size(key: &str, value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64
}
