//! Whether there is memory.

use alloc::vec::Vec;

/// Whether there is memory at hand for what one packet may need beside the places of tables, which are made so that they may fail:
/// what layers hold for a flow, nodes of trees. Those end the process, or the kernel, where there is none, so packets
/// are dropped before it comes to that. What somebody else takes in between is not foreseen.
pub fn is_at_hand() -> bool {
    /// More than any single one of them.
    const ENOUGH: usize = 1000;
    let mut memory = Vec::<u8>::new();
    let there = memory.try_reserve_exact(ENOUGH).is_ok();
    // The allocation must not be optimised away.
    core::hint::black_box(&memory);
    there
}
