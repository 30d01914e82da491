//! The keyed hash of flow keys.

use crate::provider::Random;

/// The secret of a flow table's hash, drawn when the table is made.
///
/// The hash is pair-multiply-shift (Dietzfelbinger 1996; Thorup, "High speed hashing for integers and strings", section
/// 3.5): over keys of up to 48 bytes it is strongly universal, so whoever does not know the secret finds two keys with the
/// same hash with no better chance than 2^-32 a pair, whatever keys are tried.
#[derive(Clone)]
pub struct HashSeed {
    multipliers: [u64; WORDS],
    addend: u64,
}

/// 32-bit words of the longest key.
const WORDS: usize = 12;

impl HashSeed {
    /// A secret drawn from `random`.
    pub fn draw(random: &dyn Random) -> Self {
        let mut multipliers = [0; WORDS];
        for multiplier in &mut multipliers {
            *multiplier = random.next_u64();
        }
        Self {
            multipliers,
            addend: random.next_u64(),
        }
    }

    /// The hash of a key of `N` 64-bit words, of which the first six count.
    #[inline]
    pub fn hash<const N: usize>(&self, words: &[u64; N]) -> u32 {
        let mut sum = self.addend;
        for (word, pair) in words.iter().zip(self.multipliers.chunks_exact(2)) {
            if let [first, second] = pair {
                let low = word & 0xffff_ffff;
                let high = word >> 32;
                sum = sum.wrapping_add(
                    first
                        .wrapping_add(high)
                        .wrapping_mul(second.wrapping_add(low)),
                );
            }
        }
        (sum >> 32) as u32
    }
}

impl core::fmt::Debug for HashSeed {
    /// Keeps the secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HashSeed")
    }
}
