//! Locks, under one name for each kind wherever the engine runs: spin locks without `std`, those of the standard library
//! with it.
//!
//! A holder that panicked does not poison a lock: the product code holds no lock across anything that may panic, and a
//! test that does wants to see its own panic only.

use core::fmt;

/// Atomics, those of the model checker where the engine is run under it.
pub(crate) mod atomic {
    #[cfg(not(loom))]
    pub(crate) use core::sync::atomic::{
        AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence,
    };
    #[cfg(loom)]
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence,
    };
}

/// A value on cache lines of its own: those who write it, or its neighbours, do not make readers of the others wait.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

impl<T> core::ops::Deref for Apart<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// A value on one cache line, if it is no longer than that.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct OnLine<T>(pub(crate) T);

impl<T> core::ops::Deref for OnLine<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// A number of the thread that asks: always the same one, and few others have it.
#[cfg(feature = "std")]
#[inline(always)]
pub(crate) fn thread_number() -> usize {
    use core::cell::Cell;
    use core::sync::atomic::{AtomicUsize, Ordering};
    std::thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(0) };
    }
    #[cold]
    fn draw(number: &Cell<usize>) -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        number.get()
    }
    let number = |number: &Cell<usize>| match number.get() {
        0 => draw(number),
        number => number,
    };
    NUMBER.try_with(number).unwrap_or_default()
}

/// A number of the thread that asks: most often the same one, and few others have it. It is told by where its stack lies.
#[cfg(not(feature = "std"))]
#[inline(always)]
pub(crate) fn thread_number() -> usize {
    let here = 0_u8;
    core::ptr::from_ref(&here).addr() >> 14
}

/// Lets others go on, for whoever waits for them.
pub(crate) fn relax() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(all(feature = "std", not(loom)))]
    std::thread::yield_now();
    #[cfg(all(not(feature = "std"), not(loom)))]
    core::hint::spin_loop();
}

/// A lock that is held for a few instructions, by packets of one flow.
#[cfg(not(loom))]
pub(crate) type SpinLock<T> = spin::Mutex<T>;
/// The model checker has to know who waits.
#[cfg(loom)]
pub(crate) type SpinLock<T> = KMutex<T>;

#[cfg(loom)]
mod imp {
    pub(super) use loom::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

    pub(super) fn unpoison<G>(result: Result<G, std::sync::PoisonError<G>>) -> G {
        result.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(all(feature = "std", not(loom)))]
mod imp {
    pub(super) use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

    pub(super) fn unpoison<G>(result: Result<G, std::sync::PoisonError<G>>) -> G {
        result.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(all(not(feature = "std"), not(loom)))]
mod imp {
    pub(super) use spin::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

    pub(super) fn unpoison<G>(guard: G) -> G {
        guard
    }
}

/// The guard of a [`KMutex`].
pub type KMutexGuard<'a, T> = imp::MutexGuard<'a, T>;
/// The guard of a reader of a [`KRwLock`].
pub type KReadGuard<'a, T> = imp::RwLockReadGuard<'a, T>;
/// The guard of the writer of a [`KRwLock`].
pub type KWriteGuard<'a, T> = imp::RwLockWriteGuard<'a, T>;

/// A mutual exclusion lock.
pub struct KMutex<T>(imp::Mutex<T>);

impl<T> KMutex<T> {
    /// A free lock over `value`.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    /// A free lock over `value`.
    #[cfg(loom)]
    pub fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    /// Waits for the lock and takes it.
    #[inline]
    pub fn lock(&self) -> KMutexGuard<'_, T> {
        imp::unpoison(self.0.lock())
    }
}

impl<T> fmt::Debug for KMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KMutex")
    }
}

impl<T: Default> Default for KMutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// A lock that admits many readers or one writer.
pub struct KRwLock<T>(imp::RwLock<T>);

impl<T> KRwLock<T> {
    /// A free lock over `value`.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Self {
        Self(imp::RwLock::new(value))
    }

    /// A free lock over `value`.
    #[cfg(loom)]
    pub fn new(value: T) -> Self {
        Self(imp::RwLock::new(value))
    }

    /// Waits until no writer holds the lock and reads.
    #[inline]
    pub fn read(&self) -> KReadGuard<'_, T> {
        imp::unpoison(self.0.read())
    }

    /// Waits until nobody holds the lock and writes.
    #[inline]
    pub fn write(&self) -> KWriteGuard<'_, T> {
        imp::unpoison(self.0.write())
    }
}

impl<T> fmt::Debug for KRwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KRwLock")
    }
}

impl<T: Default> Default for KRwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}
