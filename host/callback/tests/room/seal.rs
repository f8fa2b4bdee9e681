//! Sealing a push as the platform does, from the EncodingAESKey's own text.
#![allow(dead_code)]

use aes::Aes256;
use aes::cipher::{BlockModeEncrypt, KeyIvInit, inout::InOutBuf};
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

/// The platform's PKCS#7 block.
const PAD: usize = 32;

/// random16 | u32 length | message | appid, padded and sealed.
pub fn encrypt(key: &str, random: &[u8; 16], message: &[u8], appid: &str) -> String {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let mut buffer = [&random[..], &length, message, appid.as_bytes()].concat();
    let pad = PAD - buffer.len() % PAD;
    buffer.resize(buffer.len() + pad, pad as u8);
    encrypt_blocks(key, buffer)
}

/// Seals bytes as they are, unpadded, for any padding and layout. Bytes after the last whole block of 16 are dropped.
pub fn encrypt_blocks(key: &str, mut buffer: Vec<u8>) -> String {
    let key = bytes(key);
    let iv: [u8; 16] = key[..16].try_into().unwrap();
    let (blocks, _) = InOutBuf::from(buffer.as_mut_slice()).into_chunks();
    cbc::Encryptor::<Aes256>::new(&key.into(), &iv.into()).encrypt_blocks_inout(blocks);
    buffer.truncate(buffer.len() / 16 * 16);
    STANDARD.encode(buffer)
}

/// 43 characters name 32 bytes; the two bits left over may be set.
fn bytes(key: &str) -> [u8; 32] {
    let lenient =
        GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
    lenient.decode(format!("{key}=")).unwrap().try_into().unwrap()
}
