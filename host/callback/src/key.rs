//! EncodingAESKey: 43 characters of base64 that name 32 bytes (platform page 1.3).

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use fangshi_tenants::CallbackKeys;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

/// 43 characters carry 258 bits. The two left over need not be zero: both well-known sample keys have them set, and a
/// strict decoder would refuse a shop's real key.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The AES-256 key of a callback address; its first half is the IV. Wiped on drop, never printed.
#[derive(Clone)]
pub struct AesKey(Zeroizing<[u8; 32]>);

/// The text is no EncodingAESKey: it must be 43 characters of base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an EncodingAESKey is 43 characters of A-Z, a-z, 0-9, + and /")]
pub struct BadKey;

impl AesKey {
    /// Decodes the text of the platform's console, with or without a closing `=`.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let text = text.strip_suffix('=').unwrap_or(text);
        if text.len() != 43 {
            return Err(BadKey);
        }
        let mut bytes = Zeroizing::new([0; 36]);
        match LENIENT.decode_slice(text, bytes.as_mut_slice()) {
            Ok(32) => {
                let mut key = Zeroizing::new([0; 32]);
                key.copy_from_slice(&bytes[..32]);
                Ok(Self(key))
            }
            _ => Err(BadKey),
        }
    }

    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn iv(&self) -> [u8; 16] {
        let mut iv = [0; 16];
        iv.copy_from_slice(&self.0[..16]);
        iv
    }
}

impl fmt::Debug for AesKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("AesKey(…)")
    }
}

/// The keys to try, in order: the current one, then the one before a rotation.
#[derive(Debug, Clone)]
pub struct KeyPair {
    /// What the platform should use now.
    pub current: AesKey,
    /// What it used before, while pushes sealed with it are still on their way.
    pub previous: Option<AesKey>,
}

impl KeyPair {
    /// Decodes both keys of a callback address.
    pub fn parse(keys: &CallbackKeys) -> Result<Self, BadKey> {
        Ok(Self {
            current: AesKey::parse(keys.encoding_aes_key.expose_secret())?,
            previous: match &keys.previous_encoding_aes_key {
                Some(text) => Some(AesKey::parse(text.expose_secret())?),
                None => None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_keys_with_trailing_bits_are_accepted() {
        for text in [
            "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
            "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ] {
            assert!(AesKey::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn other_lengths_and_alphabets_are_refused() {
        for text in [
            "",
            "A",
            &"A".repeat(42),
            &"A".repeat(44),
            &format!("{}-", "A".repeat(42)),
            &"=".repeat(43),
            &"é".repeat(43),
        ] {
            assert_eq!(AesKey::parse(text).map(|_| ()), Err(BadKey), "{text}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let key = AesKey::parse(&"Q".repeat(43)).unwrap();
        assert_eq!(format!("{key:?}"), "AesKey(…)");
    }
}
