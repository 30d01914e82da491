//! Memory for large tables, in huge pages where the kernel has them.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

/// The system's allocator, but for what is at least as large as a huge page: that is mapped by itself, at the boundary of one, and
/// where it was [asked for](ask) the kernel is advised to back it with huge pages (`madvise`, `MADV_HUGEPAGE`).
#[derive(Clone, Copy, Debug, Default)]
pub struct HugePages;

/// Bytes of a huge page.
const HUGE: usize = 2 << 20;

static ASKED: AtomicBool = AtomicBool::new(false);

/// Has what is large backed with huge pages from now on. Flows of a table of many megabytes are found in no order, and with small pages
/// each needs translations of addresses that no cache has; but every port then takes some megabytes from its first flow on, and
/// a new flow may have to wait until a huge page is cleared.
pub fn ask() {
    ASKED.store(true, Ordering::Relaxed);
}

/// How many bytes are mapped for so many; none if there are no such numbers.
fn mapped(size: usize) -> Option<usize> {
    size.checked_next_multiple_of(HUGE)
}

fn is_large(layout: &Layout) -> bool {
    layout.size() >= HUGE && layout.align() <= HUGE
}

/// Zeroed memory at the boundary of a huge page.
fn map(size: usize) -> *mut u8 {
    let (protection, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    let Some((len, room)) = mapped(size).and_then(|len| Some((len, len.checked_add(HUGE)?))) else {
        return ptr::null_mut();
    };
    // SAFETY: a new mapping, wherever the kernel puts it.
    let start = unsafe { libc::mmap(ptr::null_mut(), room, protection, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return ptr::null_mut();
    }
    let start = start.cast::<u8>();
    let before = start.addr().wrapping_neg() % HUGE;
    let from = start.wrapping_add(before);
    let end = from.wrapping_add(len);
    // SAFETY: the parts before and behind belong to the mapping just made, and nobody knows of them; advice changes no contents.
    unsafe {
        if before != 0 {
            libc::munmap(start.cast(), before);
        }
        libc::munmap(end.cast(), HUGE - before);
        if ASKED.load(Ordering::Relaxed) {
            libc::madvise(from.cast(), len, libc::MADV_HUGEPAGE);
        }
    }
    from
}

// SAFETY: what is not large goes to `System` with the caller's own arguments, whose contract is the same. What is large is a mapping of
// its own, aligned to the boundary of a huge page, which is as large as any alignment asked for here, and unmapped whole; whether memory
// is large is told by its layout, which is the same when it is given back.
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_large(&layout) {
            return map(layout.size());
        }
        // SAFETY: the caller keeps `GlobalAlloc::alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_large(&layout) {
            return map(layout.size());
        }
        // SAFETY: the caller keeps `GlobalAlloc::alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match mapped(layout.size()).filter(|_| is_large(&layout)) {
            // SAFETY: `map` has mapped as much here.
            Some(len) => unsafe {
                libc::munmap(pointer.cast(), len);
            },
            // SAFETY: the caller keeps `GlobalAlloc::dealloc`'s contract.
            None => unsafe { System.dealloc(pointer, layout) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(new) = Layout::from_size_align(size, layout.align()) else {
            return ptr::null_mut();
        };
        if !is_large(&layout) && !is_large(&new) {
            // SAFETY: the caller keeps `GlobalAlloc::realloc`'s contract.
            return unsafe { System.realloc(pointer, layout, size) };
        }
        if is_large(&layout) && is_large(&new) && mapped(layout.size()) == mapped(size) {
            return pointer;
        }
        // SAFETY: `new` is not of no bytes, as the caller promises of `size`; both places hold as many bytes as are copied, and are
        // not the same; the old one is the caller's to give back.
        unsafe {
            let place = self.alloc(new);
            if !place.is_null() {
                ptr::copy_nonoverlapping(pointer, place, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
            place
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    /// Small or large, zeroed memory is zeroed and aligned, and keeps what is written to it however it grows and shrinks.
    #[test]
    fn memory_of_every_size() {
        let sizes = [1, 4096, HUGE - 1, HUGE, HUGE + 1, 3 * HUGE, 3 * HUGE + 5];
        for (from, to) in sizes.iter().flat_map(|from| sizes.map(|to| (*from, to))) {
            let old = layout(from, 64);
            // SAFETY: the layouts are of bytes; memory is read and written within them, and given back with the one it has.
            unsafe {
                let place = HugePages.alloc_zeroed(old);
                assert!(!place.is_null() && place.addr().is_multiple_of(64));
                let bytes = std::slice::from_raw_parts_mut(place, from);
                assert!(bytes.iter().all(|byte| *byte == 0));
                bytes.fill(7);
                let place = HugePages.realloc(place, old, to);
                assert!(!place.is_null() && place.addr().is_multiple_of(64));
                let bytes = std::slice::from_raw_parts_mut(place, to);
                assert!(bytes.iter().take(from).all(|byte| *byte == 7));
                bytes.fill(8);
                HugePages.dealloc(place, layout(to, 64));
            }
        }
    }

    #[test]
    fn more_than_there_is() {
        // SAFETY: nothing is there to be used.
        assert!(unsafe { HugePages.alloc(layout(isize::MAX as usize - HUGE, 1)) }.is_null());
    }
}
