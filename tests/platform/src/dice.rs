//! Randomness by seed: the same seed and the same sequence of calls give the same platform.

/// A splitmix64 stream. Not for secrets: everything it makes belongs to a fake.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// A stream of its own for one thing (one push, say), so that it does not depend on what else was drawn.
    pub(crate) fn for_thing(seed: u64, kind: &str, number: u64) -> Self {
        let mut mixed = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for byte in kind.bytes() {
            mixed = (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let mut dice = Dice(mixed);
        dice.next();
        dice
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound` (0 if the bound is 0).
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// True with the given probability, 0.0 to 1.0.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        // 53 bits fill an f64 exactly.
        ((self.next() >> 11) as f64) / ((1_u64 << 53) as f64) < probability
    }

    pub(crate) fn hex(&mut self, chars: usize) -> String {
        (0..chars).map(|_| char::from(b"0123456789abcdef"[self.below(16) as usize])).collect()
    }

    pub(crate) fn letters(&mut self, chars: usize) -> String {
        const SET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        (0..chars).map(|_| char::from(SET[self.below(SET.len() as u64) as usize])).collect()
    }

    pub(crate) fn digits(&mut self, chars: usize) -> String {
        (0..chars).map(|_| char::from(b'0' + self.below(10) as u8)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_stream_and_another_seed_another() {
        let draw = |seed| {
            let mut dice = Dice::new(seed);
            (dice.letters(43), dice.digits(10), dice.hex(8))
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_ne!(Dice::for_thing(1, "push", 1).next(), Dice::for_thing(1, "push", 2).next());
        assert_ne!(Dice::for_thing(1, "push", 1).next(), Dice::for_thing(1, "form", 1).next());
    }

    #[test]
    fn chance_keeps_to_its_probability() {
        let mut dice = Dice::new(3);
        let hits = (0..10_000).filter(|_| dice.chance(0.3)).count();
        assert!((2_800..3_200).contains(&hits), "{hits}");
        assert!(!(0..1_000).any(|_| dice.chance(0.0)));
        assert!((0..1_000).all(|_| dice.chance(1.0)));
    }
}
