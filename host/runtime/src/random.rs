//! The guest's random numbers: SHA-256 of the run's seed and a counter.
//!
//! Written out here instead of taken from a generator's crate, because recorded runs must give the same numbers after
//! every update of a dependency.

use sha2::{Digest, Sha256};

const DOMAIN: &[u8] = b"fangshi random 1";

pub(crate) struct Random {
    seed: [u8; 32],
    counter: u64,
    block: [u8; 32],
    /// Bytes of the block already given out.
    given: usize,
}

impl Random {
    pub fn new(seed: [u8; 32]) -> Self {
        Random { seed, counter: 0, block: [0; 32], given: 32 }
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.given == self.block.len() {
                let mut hash = Sha256::new();
                hash.update(DOMAIN);
                hash.update(self.seed);
                hash.update(self.counter.to_le_bytes());
                self.block = hash.finalize().into();
                self.counter += 1;
                self.given = 0;
            }
            *byte = self.block[self.given];
            self.given += 1;
        }
    }

    pub fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded runs depend on these bytes: they never change.
    #[test]
    fn the_stream_is_frozen() {
        let mut bytes = [0; 40];
        Random::new([7; 32]).fill(&mut bytes);
        let mut hash = Sha256::new();
        hash.update(b"fangshi random 1");
        hash.update([7; 32]);
        hash.update(0u64.to_le_bytes());
        assert_eq!(bytes[..32], hash.finalize()[..]);
        assert_eq!(hex::encode(&bytes[..8]), "2eedbfdc0d548b80");
    }

    #[test]
    fn the_way_of_reading_does_not_change_the_stream() {
        let (mut one, mut other) = (Random::new([1; 32]), Random::new([1; 32]));
        let mut whole = [0; 100];
        one.fill(&mut whole);
        let mut pieces = Vec::new();
        for length in [1, 31, 33, 35] {
            let mut piece = vec![0; length];
            other.fill(&mut piece);
            pieces.extend(piece);
        }
        assert_eq!(whole[..], pieces[..]);
        assert_ne!(Random::new([2; 32]).next_u32(), Random::new([1; 32]).next_u32());
    }
}
