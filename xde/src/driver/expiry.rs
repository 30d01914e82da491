//! Removing flows whose time is over, in slices.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::Driver;
use crate::platform::Platform;

/// Flows that are looked at in one go, of all ports together; a port is as much work as a flow. Packets wait meanwhile.
const SLICE: u32 = 64;

/// How far the ports have been looked through. Workers share it: where they are in each other's way a port has its turn twice, or
/// the next time.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// The port that is next.
    next: AtomicUsize,
    /// One before it has more to remove.
    more: AtomicBool,
}

impl<P: Platform> Driver<P> {
    /// Removes flows whose time is over, as many as packets may wait for, port by port from where it ended the last time. Whether
    /// there is more to do at once.
    pub fn expire(&self) -> bool {
        let now = self.platform.now();
        let switch = self.switch();
        let mut left = SLICE;
        let next = self.expiry.next.load(Ordering::Relaxed);
        for (at, port) in switch.ports().enumerate().skip(next) {
            let Some(engine) = &port.engine else { continue };
            if left == 0 {
                self.expiry.next.store(at, Ordering::Relaxed);
                return true;
            }
            let expired = engine.expire(now, left);
            left = left.saturating_sub(expired.looked_at.max(1));
            if expired.more {
                self.expiry.more.store(true, Ordering::Relaxed);
            }
        }
        self.expiry.next.store(0, Ordering::Relaxed);
        self.expiry.more.swap(false, Ordering::Relaxed)
    }
}
