//! Nothing but the links: see `check` beside.

#![no_std]

use core::alloc::{GlobalAlloc, Layout};

pub use {opte, opte_headers, oxide_vpc, xde};

/// Gives nothing: this is linked, never run.
struct Nothing;

// SAFETY: a null pointer is how an allocator says that it has no memory.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Nothing = Nothing;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
