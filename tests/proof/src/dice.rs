//! Choices that all come from one seed.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A generator of choices: the same seed gives the same choices (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// The choices of a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Choices of their own for one part of the work, so that one more choice elsewhere changes nothing there.
    #[must_use]
    pub fn fork(&self, part: &str) -> Self {
        let mut fork = Self::new(self.state);
        for byte in part.bytes() {
            fork.state ^= u64::from(byte);
            fork.bits();
        }
        Self::new(fork.bits())
    }

    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of the range.
    pub fn number(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (low, high) = (*range.start(), *range.end());
        let span = high.saturating_sub(low).saturating_add(1);
        low + self.bits() % span
    }

    /// True so many times out of a hundred.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.number(0..=99) < chance
    }

    /// A number of milliseconds of the range.
    pub fn millis(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(range))
    }

    /// An index into `len` things, of which there must be one.
    pub fn index(&mut self, len: usize) -> usize {
        let last = u64::try_from(len).unwrap_or(u64::MAX).saturating_sub(1);
        usize::try_from(self.number(0..=last)).unwrap_or(0)
    }

    /// One of several things, of which there must be one.
    pub fn one_of<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.index(things.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn a_seed_gives_the_same_choices_and_another_seed_others() {
        let rolls = |seed| {
            let mut dice = Dice::new(seed);
            (0..50)
                .map(|_| dice.number(0..=1_000_000))
                .collect::<Vec<_>>()
        };
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7), rolls(8));
    }

    #[test]
    fn forks_go_their_own_ways() {
        let dice = Dice::new(7);
        let first = |mut dice: Dice| dice.number(0..=u64::MAX - 1);
        assert_ne!(first(dice.fork("a")), first(dice.fork("b")));
        assert_eq!(first(dice.fork("a")), first(dice.fork("a")));
    }

    #[test]
    fn numbers_stay_in_their_range_and_fill_it() {
        let mut dice = Dice::new(1);
        let mut seen = [0; 6];
        for _ in 0..6000 {
            let number = dice.number(1..=6);
            seen[usize::try_from(number).unwrap() - 1] += 1;
        }
        assert!(
            seen.iter().all(|count| (800..1200).contains(count)),
            "{seen:?}"
        );
    }
}
