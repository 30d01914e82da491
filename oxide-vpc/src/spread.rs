//! Spreading flows over equals: boundary endpoints, floating addresses.

use opte_headers::FlowKey;

/// What spreads flows: the same for all packets of a flow, and, unlike the seeded hash of a flow table, for a flow before and
/// after a restart.
pub(crate) fn entropy(key: &FlowKey) -> u32 {
    let [source, destination] = [key.source, key.destination].map(u128::from_be_bytes);
    let ports = u64::from(key.source_port) << 32
        | u64::from(key.destination_port) << 16
        | u64::from(key.protocol);
    let mixed = [
        source as u64,
        (source >> 64) as u64,
        destination as u64,
        (destination >> 64) as u64,
        ports,
    ]
    .into_iter()
    .fold(0, |hash: u64, word| mix(hash.rotate_left(23) ^ word));
    (mixed ^ mixed >> 32) as u32
}

/// The one of `candidates` that takes the flow (rendezvous hashing): when the candidates change, only the flows of one that
/// left and those a new one wins move.
pub(crate) fn choose<T: Copy>(
    candidates: &[T],
    entropy: impl FnOnce() -> u32,
    bits: impl Fn(&T) -> u128,
) -> Option<T> {
    let at = choose_at(candidates, entropy, bits)?;
    candidates.get(at).copied()
}

/// As [`choose`]; says which one of them it is.
pub(crate) fn choose_at<T>(
    candidates: &[T],
    entropy: impl FnOnce() -> u32,
    bits: impl Fn(&T) -> u128,
) -> Option<usize> {
    if let [_] = candidates {
        return Some(0);
    }
    let entropy = entropy();
    let all = candidates.iter().enumerate();
    let chosen = all.max_by_key(|(_, candidate)| {
        let bits = bits(candidate);
        mix(mix(bits as u64 ^ (bits >> 64) as u64) ^ u64::from(entropy))
    });
    chosen.map(|(at, _)| at)
}

/// The finaliser of MurmurHash3: each bit of the result depends on each bit of `word`.
fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let word = (word ^ (word >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}
