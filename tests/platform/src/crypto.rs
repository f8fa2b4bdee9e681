//! The encryption of pushes (platform page 1.3), written from the page alone so that the host's is checked by another.

use aes::Aes256;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use sha1::{Digest, Sha1};

const BLOCK: usize = 16;
/// PKCS#7 is used with blocks of 32, twice the cipher's own.
const PAD: usize = 32;

/// 43 characters carry 258 bits: the two left over need not be zero, and in the well-known keys they are not.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Why a key or a ciphertext can't be used. Holds nothing of either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The EncodingAESKey is not 43 characters of base64 (official name -40004).
    #[error("the EncodingAESKey must have 43 characters of [A-Za-z0-9]")]
    Key,
    /// The ciphertext is not base64 (-40010).
    #[error("the ciphertext is not base64")]
    Base64,
    /// Length, padding or inner length are impossible (-40008).
    #[error("the ciphertext decrypts to an impossible buffer")]
    Buffer,
}

/// A decoded EncodingAESKey.
#[derive(Clone)]
pub struct AesKey {
    cipher: Aes256,
    iv: [u8; BLOCK],
}

impl std::fmt::Debug for AesKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AesKey(…)")
    }
}

impl AesKey {
    /// Decodes the 43 characters that the console shows.
    pub fn parse(encoding_aes_key: &str) -> Result<Self, CryptoError> {
        if encoding_aes_key.len() != 43 {
            return Err(CryptoError::Key);
        }
        let bytes = LENIENT.decode(format!("{encoding_aes_key}=")).map_err(|_| CryptoError::Key)?;
        let key: [u8; 32] = bytes.try_into().map_err(|_| CryptoError::Key)?;
        let mut iv = [0; BLOCK];
        iv.copy_from_slice(&key[..BLOCK]);
        Ok(AesKey { cipher: Aes256::new(&key.into()), iv })
    }

    /// `base64(AES-CBC(random16 ‖ u32 length ‖ message ‖ appid ‖ padding))`.
    pub fn encrypt(&self, random16: &[u8; 16], message: &[u8], appid: &str) -> String {
        let mut plain = Vec::with_capacity(20 + message.len() + appid.len() + PAD);
        plain.extend_from_slice(random16);
        plain.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
        plain.extend_from_slice(message);
        plain.extend_from_slice(appid.as_bytes());
        let pad = PAD - plain.len() % PAD;
        plain.resize(plain.len() + pad, pad as u8);

        let mut previous = self.iv;
        for chunk in plain.chunks_exact_mut(BLOCK) {
            let mut block = [0; BLOCK];
            for (out, (a, b)) in block.iter_mut().zip(chunk.iter().zip(previous)) {
                *out = a ^ b;
            }
            let mut block = aes::Block::from(block);
            self.cipher.encrypt_block(&mut block);
            previous.copy_from_slice(&block);
            chunk.copy_from_slice(&block);
        }
        STANDARD.encode(&plain)
    }

    /// The inverse of [`AesKey::encrypt`].
    pub fn decrypt(&self, encrypted: &str) -> Result<Opened, CryptoError> {
        let mut data = STANDARD.decode(encrypted).map_err(|_| CryptoError::Base64)?;
        if data.is_empty() || !data.len().is_multiple_of(PAD) {
            return Err(CryptoError::Buffer);
        }
        let mut previous = self.iv;
        for chunk in data.chunks_exact_mut(BLOCK) {
            let mut cipher_text = [0; BLOCK];
            cipher_text.copy_from_slice(chunk);
            let mut block = aes::Block::from(cipher_text);
            self.cipher.decrypt_block(&mut block);
            for (out, (a, b)) in chunk.iter_mut().zip(block.iter().zip(previous)) {
                *out = a ^ b;
            }
            previous = cipher_text;
        }
        let pad = usize::from(*data.last().ok_or(CryptoError::Buffer)?);
        if pad == 0 || pad > PAD || data.len() < pad + 20 {
            return Err(CryptoError::Buffer);
        }
        let (plain, padding) = data.split_at(data.len() - pad);
        if padding.iter().any(|b| usize::from(*b) != pad) {
            return Err(CryptoError::Buffer);
        }
        let mut random16 = [0; 16];
        random16.copy_from_slice(&plain[..16]);
        let length = u32::from_be_bytes([plain[16], plain[17], plain[18], plain[19]]) as usize;
        let body = &plain[20..];
        if length > body.len() {
            return Err(CryptoError::Buffer);
        }
        let (message, appid) = body.split_at(length);
        let appid = String::from_utf8(appid.to_vec()).map_err(|_| CryptoError::Buffer)?;
        Ok(Opened { random16, message: message.to_vec(), appid, padding: pad })
    }
}

/// What a ciphertext held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The random start.
    pub random16: [u8; 16],
    /// The message, byte for byte.
    pub message: Vec<u8>,
    /// The appid at the end: the component's for authorized shops, else the shop's own.
    pub appid: String,
    /// Bytes of padding, 1 to 32.
    pub padding: usize,
}

/// `signature` and `msg_signature`: lowercase hex of sha1 over the parts, sorted by their bytes, without separator.
pub fn sign(parts: &[&str]) -> String {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable();
    let mut sha = Sha1::new();
    for part in sorted {
        sha.update(part.as_bytes());
    }
    hex::encode(sha.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors() -> Vec<Value> {
        let file: Value = serde_json::from_str(include_str!("../fixtures/crypto-vectors.json")).unwrap();
        file["vectors"].as_array().unwrap().clone()
    }

    #[test]
    fn all_twelve_vectors_recompute() {
        let (mut signed, mut opened, mut sealed) = (0, 0, 0);
        for vector in vectors() {
            let id = vector["id"].as_str().unwrap();
            let text = |name: &str| vector[name].as_str().unwrap_or_else(|| panic!("{id}: {name}"));
            match text("kind") {
                "url_verify" | "plain_signature" => {
                    assert_eq!(sign(&[text("token"), text("timestamp"), text("nonce")]), text("signature"), "{id}");
                    signed += 1;
                }
                "decrypt" => {
                    let parts = [text("token"), text("timestamp"), text("nonce"), text("encrypt")];
                    assert_eq!(sign(&parts), text("msg_signature"), "{id}");
                    let key = AesKey::parse(text("encoding_aes_key")).unwrap();
                    let open = key.decrypt(text("encrypt")).unwrap();
                    assert_eq!(String::from_utf8(open.message.clone()).unwrap(), text("expect_plaintext"), "{id}");
                    assert_eq!(open.appid, text("appid"), "{id}");
                    assert_eq!(open.padding as u64, vector["expect_pad"].as_u64().unwrap(), "{id}");
                    assert_eq!(open.message.len() as u64, vector["expect_msg_len"].as_u64().unwrap(), "{id}");
                    assert_eq!(open.random16, *text("expect_random16").as_bytes(), "{id}");
                    assert_eq!(key.encrypt(&open.random16, &open.message, &open.appid), text("encrypt"), "{id}");
                    opened += 1;
                }
                "encrypt" => {
                    let key = AesKey::parse(text("encoding_aes_key")).unwrap();
                    let random: [u8; 16] = text("random16").as_bytes().try_into().unwrap();
                    let encrypt = key.encrypt(&random, text("plaintext").as_bytes(), text("appid"));
                    assert_eq!(encrypt, text("expect_encrypt"), "{id}");
                    if let Some(expected) = vector["expect_msg_signature"].as_str() {
                        assert_eq!(
                            sign(&[text("token"), text("timestamp"), text("nonce"), &encrypt]),
                            expected,
                            "{id}"
                        );
                    }
                    sealed += 1;
                }
                other => panic!("{id}: unknown kind {other}"),
            }
        }
        assert_eq!((signed, opened, sealed), (2, 6, 4));
    }

    #[test]
    fn a_full_last_block_gets_32_bytes_of_padding() {
        let key = AesKey::parse(&"A".repeat(43)).unwrap();
        // 16 + 4 + 6 + 6 = 32
        let open = key.decrypt(&key.encrypt(&[7; 16], b"abcdef", "wx1234")).unwrap();
        assert_eq!((open.padding, open.message.as_slice(), open.appid.as_str()), (32, b"abcdef".as_slice(), "wx1234"));
    }

    #[test]
    fn broken_keys_and_ciphertexts_are_refused() {
        assert_eq!(AesKey::parse("short").unwrap_err(), CryptoError::Key);
        assert_eq!(AesKey::parse(&"!".repeat(43)).unwrap_err(), CryptoError::Key);
        let key = AesKey::parse(&"B".repeat(43)).unwrap();
        assert_eq!(key.decrypt("%%%").unwrap_err(), CryptoError::Base64);
        assert_eq!(key.decrypt("").unwrap_err(), CryptoError::Buffer);
        let other = AesKey::parse(&"C".repeat(43)).unwrap();
        assert!(other.decrypt(&key.encrypt(&[0; 16], b"message", "wx1")).is_err());
        assert!(!format!("{key:?}").contains('B'));
    }
}
