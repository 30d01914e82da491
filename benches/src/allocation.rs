//! An allocator that counts.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use xde::linux::huge_pages::HugePages;

/// The driver's allocator, counting.
#[derive(Debug)]
pub struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);

/// How often memory was asked for, growing included, since the process began.
pub fn calls() -> u64 {
    CALLS.load(Ordering::Relaxed)
}

/// Bytes asked for and not given back.
pub fn live() -> i64 {
    LIVE.load(Ordering::Relaxed)
}

fn count(bytes: usize) {
    CALLS.fetch_add(1, Ordering::Relaxed);
    LIVE.fetch_add(bytes as i64, Ordering::Relaxed);
}

// SAFETY: every call goes to `HugePages` with the caller's own arguments, whose contract is the same; counting touches only atomics
// and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps `GlobalAlloc::alloc`'s contract.
        unsafe { HugePages.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps `GlobalAlloc::alloc_zeroed`'s contract.
        unsafe { HugePages.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller keeps `GlobalAlloc::dealloc`'s contract.
        unsafe { HugePages.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        count(size);
        // SAFETY: the caller keeps `GlobalAlloc::realloc`'s contract.
        unsafe { HugePages.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
