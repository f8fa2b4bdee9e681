//! The two signatures of the platform: SHA-1 over its sorted parts (platform page 1.3 and 1.4).

use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

/// Lowercase hex of a SHA-1, as it stands in the query.
pub type SignatureText = [u8; 40];

/// `msg_signature`: covers the ciphertext, and so authenticates a POST.
pub fn msg_signature(token: &str, timestamp: &str, nonce: &str, encrypt: &str) -> SignatureText {
    sorted_sha1([token.as_bytes(), timestamp.as_bytes(), nonce.as_bytes(), encrypt.as_bytes()])
}

/// `signature`: covers no body; good for the GET check alone, never for a POST.
pub fn url_signature(token: &str, timestamp: &str, nonce: &str) -> SignatureText {
    sorted_sha1([token.as_bytes(), timestamp.as_bytes(), nonce.as_bytes()])
}

/// Compares in constant time. Another length is simply wrong: lengths are no secret.
pub fn verify(expected: &SignatureText, given: &str) -> bool {
    expected.as_slice().ct_eq(given.as_bytes()).into()
}

fn sorted_sha1<const N: usize>(mut parts: [&[u8]; N]) -> SignatureText {
    // Byte-wise order and no separator: that is the platform's rule.
    parts.sort_unstable();
    let mut sha = Sha1::new();
    for part in parts {
        sha.update(part);
    }
    let digest: [u8; 20] = sha.finalize().into();
    hex_text(digest)
}

fn hex_text(digest: [u8; 20]) -> SignatureText {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 40];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_official_url_check_and_its_neighbours() {
        let expected = url_signature("AAAAA", "1714036504", "1514711492");
        assert!(verify(&expected, "f464b24fc39322e44b38aa78f5edd27bd1441696"));
        assert!(!verify(&expected, "F464B24FC39322E44B38AA78F5EDD27BD1441696"));
        assert!(!verify(&expected, "f464b24fc39322e44b38aa78f5edd27bd144169"));
        assert!(!verify(&expected, ""));
    }

    #[test]
    fn parts_are_sorted_as_bytes() {
        assert_eq!(msg_signature("b", "a", "D", "c"), msg_signature("D", "c", "b", "a"));
        assert_ne!(msg_signature("b", "a", "D", "c"), msg_signature("bb", "a", "D", "c"));
    }
}
