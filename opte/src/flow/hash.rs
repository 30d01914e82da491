//! The keyed hash of flow keys.

use super::cell::{LOW, V4, is_v4};
use crate::provider::Random;

/// The secret of a flow table's hash, drawn when the table is made.
///
/// The hash is pair-multiply-shift (Thorup, "High speed hashing for integers and strings", section 3.5) over the key's eleven words
/// of 32 bits, in pairs: the upper half of a sum of products of 64 bits. It is proven: whoever does not know the secret
/// finds two keys with the same hash with no better chance than 2^-32 a pair, whatever keys are tried.
#[derive(Clone)]
pub struct HashSeed {
    pairs: [[u64; 2]; 6],
    /// With what the last word comes to if it is zero: of the others so much more is its factor.
    addend: u64,
    /// With what the constant words of keys with IPv4 addresses come to.
    addend_of_v4: u64,
}

impl HashSeed {
    /// A secret drawn from `random`.
    pub fn draw(random: &dyn Random) -> Self {
        let mut seed = Self {
            pairs: [[0; 2]; 6].map(|pair| pair.map(|_| random.next_u64())),
            addend: random.next_u64(),
            addend_of_v4: 0,
        };
        let [_, _, last, v4, zeros, others] = seed.pairs;
        seed.addend = seed.addend.wrapping_add(product(last, 0, 0));
        seed.addend_of_v4 = (seed.addend)
            .wrapping_add(product(v4, V4, V4))
            .wrapping_add(product(zeros, 0, 0))
            .wrapping_add(product(others, 0, 0));
        seed
    }

    /// The hash of a key of at most 42 bytes in words, the last of which is below 2^16.
    #[inline(always)]
    pub fn hash(&self, words: [u64; 6]) -> u32 {
        let [a, b, c, d, e, f] = words;
        let [pa, pb, [_, factor], pd, pe, pf] = self.pairs;
        let varying = product(pa, b >> 32, d >> 32)
            .wrapping_add(product(pb, e & LOW, e >> 32))
            .wrapping_add(f.wrapping_mul(factor));
        let rest = if is_v4(&words) {
            // The same in fewer steps.
            self.addend_of_v4
        } else {
            self.addend
                .wrapping_add(product(pd, b & LOW, d & LOW))
                .wrapping_add(product(pe, a & LOW, a >> 32))
                .wrapping_add(product(pf, c & LOW, c >> 32))
        };
        let sum = varying.wrapping_add(rest);
        (sum >> 32) as u32
    }
}

/// What two words add to the sum.
#[inline(always)]
fn product([p, q]: [u64; 2], a: u64, b: u64) -> u64 {
    p.wrapping_add(a).wrapping_mul(q.wrapping_add(b))
}

impl core::fmt::Debug for HashSeed {
    /// Keeps the secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HashSeed")
    }
}
