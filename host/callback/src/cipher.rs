//! Opening a push: AES-256-CBC, PKCS#7 with a block of 32, random16 | u32 length | msg | appid
//! (platform page 1.3). Open only what the signature has vouched for: CBC alone authenticates nothing.

use aes::Aes256;
use aes::cipher::{BlockModeDecrypt, KeyIvInit, inout::InOutBuf};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::key::{AesKey, KeyPair};

/// PKCS#7 block of the platform; AES itself has 16.
const PAD: usize = 32;
/// random16 and the length before the message.
const HEAD: usize = 20;

/// A decrypted push. Keeps its buffer whole, so that opening costs one allocation.
#[derive(PartialEq, Eq)]
pub struct Plain {
    buffer: Vec<u8>,
    message_end: usize,
}

/// Why a ciphertext could not be opened. Carries nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CipherError {
    /// `Encrypt` is not base64.
    #[error("Encrypt is not base64")]
    Base64,
    /// The ciphertext is empty, or no multiple of 32 bytes.
    #[error("the ciphertext is empty or no multiple of 32 bytes")]
    Length,
    /// The last bytes are no PKCS#7 padding of 1 to 32: most often another EncodingAESKey.
    #[error("the padding is wrong: most often another EncodingAESKey")]
    Padding,
    /// The length inside the plaintext points beyond its end.
    #[error("the length inside the plaintext is wrong")]
    Layout,
    /// Opened, but it closes with another appid than the one expected here.
    #[error("the plaintext closes with another appid")]
    Appid,
}

impl Plain {
    /// The message alone, in the buffer it was opened in.
    pub fn into_message(mut self) -> Vec<u8> {
        self.buffer.truncate(self.message_end);
        self.buffer.drain(..HEAD);
        self.buffer
    }
}

/// Opens `encrypt` with the current key, then with the previous one; the plaintext must close with `appid`.
///
/// If neither opens it, the error is the current key's, unless one key fitted and only the appid did not.
pub fn open(keys: &KeyPair, encrypt: &str, appid: &str) -> Result<Plain, CipherError> {
    let sealed = decode(encrypt)?;
    let Some(previous) = &keys.previous else {
        return closes_with(open_in_place(&keys.current, sealed)?, appid);
    };
    let first = open_in_place(&keys.current, sealed.clone()).and_then(|plain| closes_with(plain, appid));
    match first {
        Ok(plain) => Ok(plain),
        Err(error) => match open_in_place(previous, sealed).and_then(|plain| closes_with(plain, appid)) {
            Ok(plain) => Ok(plain),
            Err(CipherError::Appid) => Err(CipherError::Appid),
            Err(_) => Err(error),
        },
    }
}

fn decode(encrypt: &str) -> Result<Vec<u8>, CipherError> {
    let sealed = STANDARD.decode(encrypt).map_err(|_| CipherError::Base64)?;
    if sealed.is_empty() || !sealed.len().is_multiple_of(PAD) {
        return Err(CipherError::Length);
    }
    Ok(sealed)
}

fn open_in_place(key: &AesKey, mut buffer: Vec<u8>) -> Result<Plain, CipherError> {
    let (blocks, _) = InOutBuf::from(buffer.as_mut_slice()).into_chunks();
    cbc::Decryptor::<Aes256>::new(key.key().into(), &key.iv().into()).decrypt_blocks_inout(blocks);
    let length = unpadded_length(&buffer).ok_or(CipherError::Padding)?;
    buffer.truncate(length);
    let message_length = match buffer.get(16..HEAD) {
        Some(&[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]) as usize,
        _ => return Err(CipherError::Layout),
    };
    match HEAD.checked_add(message_length) {
        Some(message_end) if message_end <= buffer.len() => Ok(Plain { buffer, message_end }),
        _ => Err(CipherError::Layout),
    }
}

/// A pad byte of 1 to 32, that many times. The general unpadding of the cipher crates knows 16 only.
fn unpadded_length(buffer: &[u8]) -> Option<usize> {
    let pad = *buffer.last()?;
    let count = usize::from(pad);
    if !(1..=PAD).contains(&count) {
        return None;
    }
    let length = buffer.len().checked_sub(count)?;
    buffer[length..].iter().all(|&byte| byte == pad).then_some(length)
}

fn closes_with(plain: Plain, appid: &str) -> Result<Plain, CipherError> {
    if plain.buffer[plain.message_end..] == *appid.as_bytes() { Ok(plain) } else { Err(CipherError::Appid) }
}

impl std::fmt::Debug for Plain {
    /// Lengths only: the message is other people's.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Plain({} bytes)", self.message_end - HEAD)
    }
}
