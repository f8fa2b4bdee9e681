//! The envelope of a sealed value: format, key version, nonce, ciphertext and tag. Pure but for the nonce.
//!
//! XChaCha20-Poly1305: its 24-byte nonce may be random however many values a key seals. What a value belongs to is
//! authenticated with it and not stored, so a value that was moved does not open.

use chacha20poly1305::aead::{Aead, AeadInOut, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;
/// Format and key version.
const HEADER: usize = 1 + 4;

/// Bytes that sealing adds to a value.
pub(crate) const OVERHEAD: usize = HEADER + NONCE + TAG;

/// A 256-bit key and its version.
pub(crate) struct SealKey {
    pub(crate) version: u32,
    cipher: XChaCha20Poly1305,
}

/// The value does not open, or cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

impl SealKey {
    pub(crate) fn new(version: u32, key: &[u8; 32]) -> SealKey {
        SealKey { version, cipher: XChaCha20Poly1305::new(key.into()) }
    }

    /// Seals `plain`, bound to `belongs`.
    pub(crate) fn seal(&self, belongs: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>, Closed> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| Closed)?;
        let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.version.to_be_bytes());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let body = &mut sealed[HEADER + NONCE..];
        let bound = bound(self.version, belongs);
        let nonce = XNonce::from(nonce);
        let tag = self.cipher.encrypt_inout_detached(&nonce, &bound, body.into()).map_err(|_| Closed)?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens what [`SealKey::seal`] made with this key and the same `belongs`.
    pub(crate) fn open(&self, belongs: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Closed> {
        if sealed.len() < OVERHEAD || key_version(sealed)? != self.version {
            return Err(Closed);
        }
        let (nonce, msg) = sealed[HEADER..].split_at(NONCE);
        let nonce = XNonce::try_from(nonce).map_err(|_| Closed)?;
        let aad = bound(self.version, belongs);
        self.cipher.decrypt(&nonce, Payload { msg, aad: &aad }).map(Zeroizing::new).map_err(|_| Closed)
    }
}

/// Which version of its key sealed a value.
pub(crate) fn key_version(sealed: &[u8]) -> Result<u32, Closed> {
    match sealed {
        [FORMAT, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(Closed),
    }
}

/// What the value belongs to, in a form in which no two lists of parts look alike.
fn bound(version: u32, belongs: &[&[u8]]) -> Vec<u8> {
    let mut text = Vec::with_capacity(16 + belongs.iter().map(|part| part.len() + 4).sum::<usize>());
    text.extend_from_slice(b"fangshi");
    text.push(FORMAT);
    text.extend_from_slice(&version.to_be_bytes());
    for part in belongs {
        text.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        text.extend_from_slice(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_where_it_belongs() {
        let key = SealKey::new(3, &[7; 32]);
        let sealed = key.seal(&[b"tokens", b"access"], b"secret").unwrap();
        assert_eq!(sealed.len(), 6 + OVERHEAD);
        assert_eq!(key_version(&sealed), Ok(3));
        assert_eq!(key.open(&[b"tokens", b"access"], &sealed).unwrap().as_slice(), b"secret");

        assert!(key.open(&[b"tokens", b"refresh"], &sealed).is_err());
        assert!(key.open(&[b"tokensa", b"ccess"], &sealed).is_err());
        assert!(key.open(&[b"tokens", b"access", b""], &sealed).is_err());
        assert!(SealKey::new(3, &[8; 32]).open(&[b"tokens", b"access"], &sealed).is_err());
        assert!(SealKey::new(4, &[7; 32]).open(&[b"tokens", b"access"], &sealed).is_err());
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let key = SealKey::new(1, &[7; 32]);
        let sealed = key.seal(&[b"a"], b"four").unwrap();
        for at in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[at / 8] ^= 1 << (at % 8);
            assert!(key.open(&[b"a"], &changed).is_err(), "bit {at}");
        }
        for length in 0..sealed.len() {
            assert!(key.open(&[b"a"], &sealed[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn nonces_do_not_repeat() {
        let key = SealKey::new(1, &[7; 32]);
        let nonces: std::collections::HashSet<Vec<u8>> =
            (0..1000).map(|_| key.seal(&[], b"same").unwrap()[HEADER..HEADER + NONCE].to_vec()).collect();
        assert_eq!(nonces.len(), 1000);
    }
}
