//! Memory that will be needed, asked for ahead.
//!
//! The only code of this crate that the compiler does not check: for an instruction that it knows no safe name for.
#![allow(unsafe_code)]

use crate::sync::atomic::AtomicU64;

/// Asks for the line of the cache that `word` is in, and does not wait for it.
#[cfg(all(target_arch = "x86_64", target_feature = "sse", not(any(miri, loom))))]
#[inline(always)]
pub(crate) fn prefetch(word: &AtomicU64) {
    use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    let place = core::ptr::from_ref(word).cast();
    // SAFETY: the target has SSE, as asked above. The instruction reads and writes nothing that a program could see, and faults
    // nowhere; what is more, a reference is to memory that is there.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(place) }
}

/// Reads the word, so that its line comes into the cache. Those who read several so wait for all of them at once.
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse", not(any(miri, loom)))))]
#[inline(always)]
pub(crate) fn prefetch(word: &AtomicU64) {
    core::hint::black_box(word.load(crate::sync::atomic::Ordering::Relaxed));
}
