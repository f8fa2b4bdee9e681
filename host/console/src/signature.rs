//! Signatures of uploads: whose components are taken at all. Ed25519 over the component's digest, as `minisign` makes it.

use std::sync::Arc;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::{PublicKey, Signature};

use crate::refusal::Refusal;

/// The header with the signature: the whole `.minisig` file in base64.
pub(crate) const HEADER: &str = "fangshi-signature";

/// Who may sign uploads. Every upload must be signed by one of them.
#[derive(Clone)]
pub struct TrustedKeys {
    keys: Vec<PublicKey>,
    names: Arc<[String]>,
}

impl TrustedKeys {
    /// Keys as the second line of a `.pub` file has them.
    ///
    /// # Errors
    /// The place of the first that is no such key, from 0; or 0 if there is none at all, since then nobody could upload.
    pub fn new(keys: &[String]) -> Result<TrustedKeys, usize> {
        let read = |(at, key): (usize, &String)| PublicKey::from_base64(key).map_err(|_| at);
        let names = keys.into();
        let keys = keys.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(0) } else { Ok(TrustedKeys { keys, names }) }
    }

    /// The keys, as the config has them.
    pub(crate) fn names(&self) -> Arc<[String]> {
        Arc::clone(&self.names)
    }

    /// Which of the keys signed these bytes.
    pub(crate) fn check(&self, given: Option<&str>, wasm: &[u8]) -> Result<String, Refusal> {
        let hint = "sign the component with `minisign -Sm FILE.wasm` and a key that the operator trusts, and send the header \
                    fangshi-signature: the file FILE.wasm.minisig in base64 on one line";
        let refused = |code, message: &str| Refusal::invalid(code, message, hint);
        let given = given.ok_or_else(|| refused("signature-missing", "this host takes signed components only"))?;
        let text = STANDARD.decode(given.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let signature = text.and_then(|text| Signature::decode(&text).ok());
        let signature = signature.ok_or_else(|| {
            refused("signature-malformed", "the header fangshi-signature holds no minisign signature")
        })?;
        let signer = self.keys.iter().position(|key| key.verify(wasm, &signature, false).is_ok());
        let name = signer.and_then(|place| self.names.get(place));
        name.cloned().ok_or_else(|| refused("signature-wrong", "no key that this host trusts signed these bytes"))
    }
}

/// The signature of a request, if it has one.
pub(crate) fn of(headers: &HeaderMap) -> Option<&str> {
    headers.get(HEADER).map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const OTHER: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO4";
    /// Of the bytes "test".
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
        trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
        wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==";

    fn code(keys: &[&str], given: Option<&str>, wasm: &[u8]) -> &'static str {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let checked = TrustedKeys::new(&keys).ok().unwrap().check(given, wasm);
        checked.map_or_else(|refusal| refusal.code(), |signer| if signer == KEY { "taken" } else { "by another" })
    }

    #[test]
    fn only_what_a_trusted_key_signed_is_taken() {
        let header = STANDARD.encode(SIGNATURE);
        assert_eq!(code(&[KEY], Some(&header), b"test"), "taken");
        assert_eq!(code(&[OTHER, KEY], Some(&header), b"test"), "taken");
        assert_eq!(code(&[KEY], Some(&header), b"tesT"), "signature-wrong");
        assert_eq!(code(&[OTHER], Some(&header), b"test"), "signature-wrong");
        assert_eq!(code(&[KEY], None, b"test"), "signature-missing");
        let claims_more = STANDARD.encode(SIGNATURE.replace("file:test", "file:other"));
        assert_eq!(code(&[KEY], Some(&claims_more), b"test"), "signature-wrong", "the comment is signed too");
        for malformed in ["", "rubbish", SIGNATURE, &header[..80]] {
            assert_eq!(code(&[KEY], Some(malformed), b"test"), "signature-malformed", "{malformed}");
        }
    }

    #[test]
    fn without_a_usable_key_nothing_is_trusted() {
        assert_eq!(TrustedKeys::new(&[]).err(), Some(0));
        assert_eq!(TrustedKeys::new(&[KEY.to_owned(), "rubbish".to_owned()]).err(), Some(1));
    }
}
