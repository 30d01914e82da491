//! The keyed hash of flow keys.

use crate::provider::Random;

/// The secret of a flow table's hash, drawn when the table is made.
///
/// The hash is NH (Black and others, "UMAC", CRYPTO 1999) over the key's six 64-bit words, then pair-multiply-shift
/// (Dietzfelbinger 1996; Thorup, "High speed hashing for integers and strings", section 3.5) over what it gives. Both are
/// proven: whoever does not know the secret finds two keys with the same hash with no better chance than 2^-32 + 2^-64 a pair,
/// whatever keys are tried.
#[derive(Clone)]
pub struct HashSeed {
    mask: [u64; 6],
    multipliers: [u64; 4],
    addend: u64,
}

impl HashSeed {
    /// A secret drawn from `random`.
    pub fn draw(random: &dyn Random) -> Self {
        Self {
            mask: [0; 6].map(|_| random.next_u64()),
            multipliers: [0; 4].map(|_| random.next_u64()),
            addend: random.next_u64(),
        }
    }

    /// The hash of a key of at most 48 bytes, which is filled up with zeros.
    #[inline(always)]
    pub fn hash(&self, words: [u64; 6]) -> u32 {
        let [a, b, c, d, e, f] = words;
        let [ka, kb, kc, kd, ke, kf] = self.mask;
        let product = |x: u64, kx: u64, y: u64, ky: u64| {
            u128::from(x.wrapping_add(kx)) * u128::from(y.wrapping_add(ky))
        };
        let nh = product(a, ka, b, kb)
            .wrapping_add(product(c, kc, d, kd))
            .wrapping_add(product(e, ke, f, kf));
        let (low, high) = (nh as u64, (nh >> 64) as u64);
        let [p, q, r, s] = self.multipliers;
        let halves = |p: u64, q: u64, word: u64| {
            p.wrapping_add(word >> 32)
                .wrapping_mul(q.wrapping_add(word & 0xffff_ffff))
        };
        let sum = halves(p, q, low)
            .wrapping_add(halves(r, s, high))
            .wrapping_add(self.addend);
        (sum >> 32) as u32
    }
}

impl core::fmt::Debug for HashSeed {
    /// Keeps the secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HashSeed")
    }
}
