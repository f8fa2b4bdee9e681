//! What the compiler writes: a mark, the digest of the code, the code. Whatever was cut off, or is something else, is told
//! apart before the engine looks at it.

use fangshi_runtime::digest_of;

const MARK: &[u8; 8] = b"FANGSHIC";
/// Bytes before the code.
pub const HEAD: usize = MARK.len() + 32;

/// The head that belongs to some code.
pub fn head(code: &[u8]) -> Vec<u8> {
    let mut head = MARK.to_vec();
    head.extend_from_slice(&digest_of(code));
    head
}

/// The code, if it is whole.
pub fn open(mut framed: Vec<u8>) -> Option<Vec<u8>> {
    let head_there = framed.get(..HEAD)?.to_vec();
    framed.drain(..HEAD);
    (!framed.is_empty() && head(&framed) == head_there).then_some(framed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_code_is_opened() {
        let code = b"machine code".to_vec();
        let framed = [head(&code), code.clone()].concat();
        assert_eq!(open(framed.clone()), Some(code));
        for length in 0..framed.len() {
            assert_eq!(open(framed[..length].to_vec()), None, "cut at {length}");
        }
        for at in 0..framed.len() {
            let mut damaged = framed.clone();
            damaged[at] ^= 1;
            assert_eq!(open(damaged), None, "byte {at}");
        }
        assert_eq!(open(b"fangshi: something went wrong, and these are words".to_vec()), None);
        assert_eq!(open(head(b"")), None);
    }
}
