//! What the driver counts: frames, bytes, and drops by reason.

use alloc::boxed::Box;
use alloc::string::String;
use core::sync::atomic::{AtomicU64, Ordering};

use opte::DropReason;
use opte::api::Stats;

/// Counters that the thread that moves frames writes and others read.
#[derive(Debug)]
pub struct Counters {
    counts: [AtomicU64; Count::NAMES.len()],
    drops: Box<[AtomicU64]>,
}

macro_rules! counts {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What is counted beside drops.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Count { $($(#[$doc])* $variant,)* }

        impl Count {
            const NAMES: &'static [&'static str] = &[$($name,)*];
        }
    };
}

counts! {
    /// Frames from a guest.
    FromGuest = "from_guest_frames",
    /// Bytes of them.
    FromGuestBytes = "from_guest_bytes",
    /// Frames to a guest.
    ToGuest = "to_guest_frames",
    /// Bytes of them.
    ToGuestBytes = "to_guest_bytes",
    /// Frames from another port of this host.
    Local = "local_frames",
    /// Replies made by a port for its guest.
    Replies = "reply_frames",
    /// Frames from the underlay.
    FromUnderlay = "from_underlay_frames",
    /// Bytes of them.
    FromUnderlayBytes = "from_underlay_bytes",
    /// Frames to the underlay, before they are cut into segments.
    ToUnderlay = "to_underlay_frames",
    /// Bytes of them.
    ToUnderlayBytes = "to_underlay_bytes",
    /// Super-packets among them.
    ToUnderlaySuper = "to_underlay_super_packets",
    /// Frames from LANs.
    FromLan = "from_lan_frames",
    /// Bytes of them.
    FromLanBytes = "from_lan_bytes",
    /// Frames to LANs, before they are cut into segments.
    ToLan = "to_lan_frames",
    /// Bytes of them.
    ToLanBytes = "to_lan_bytes",
    /// Super-packets among them.
    ToLanSuper = "to_lan_super_packets",
    /// Frames that had to wait for a neighbour to be found.
    Waited = "waited_for_neighbour",
    /// Multicast frames from a guest to another of this host.
    McastTxLocal = "mcast_tx_local",
    /// Multicast frames to next hops that copy to other hosts.
    McastTxUnderlay = "mcast_tx_underlay",
    /// Multicast frames to next hops that copy to the outside.
    McastTxExternal = "mcast_tx_external",
    /// Multicast frames of a group without next hops.
    McastTxNoFwdEntry = "mcast_tx_no_fwd_entry",
    /// Copies of a guest's frame that a subscriber of this host does not want, by its source.
    McastTxSourceFiltered = "mcast_tx_source_filtered",
    /// Copies that a next hop does not want, by their source.
    McastTxFwdSourceFiltered = "mcast_tx_fwd_source_filtered",
    /// Multicast frames from the underlay to a guest.
    McastRxLocal = "mcast_rx_local",
    /// Multicast frames from the underlay that no port has subscribed to.
    McastRxNoSubscribers = "mcast_rx_no_subscribers",
    /// Copies of a frame from the underlay that a subscriber does not want, by their source.
    McastRxSourceFiltered = "mcast_rx_source_filtered",
    /// Frames in the tunnel of a group that are to no group inside.
    McastRxBadInnerDst = "mcast_rx_bad_inner_dst",
}

impl Counters {
    /// Adds to a count.
    #[inline]
    pub fn add(&self, count: Count, amount: u64) {
        if let Some(counter) = self.counts.get(count as usize) {
            counter.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// Counts a frame and its bytes.
    #[inline]
    pub fn frame(&self, frames: Count, bytes: Count, len: usize) {
        self.add(frames, 1);
        self.add(bytes, len as u64);
    }

    /// Counts a frame that was dropped.
    #[inline]
    pub fn dropped(&self, reason: DropReason) {
        self.dropped_all(reason, 1);
    }

    /// Counts so many frames that were dropped.
    #[inline]
    pub fn dropped_all(&self, reason: DropReason, frames: u64) {
        if let Some(counter) = self.drops.get(reason as usize) {
            counter.fetch_add(frames, Ordering::Relaxed);
        }
    }

    /// How many frames were dropped for `reason`.
    pub fn drops(&self, reason: DropReason) -> u64 {
        let counter = self.drops.get(reason as usize);
        counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// All of them, by their stable names; drops that have not happened are left out.
    pub fn stats(&self) -> Stats {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = Count::NAMES.iter().zip(&self.counts);
        let drops = DropReason::ALL.iter().zip(self.drops.iter());
        Stats {
            counters: counts
                .map(|(name, counter)| (String::from(*name), value(counter)))
                .collect(),
            drops: drops
                .map(|(reason, counter)| (String::from(reason.name()), value(counter)))
                .filter(|(_, count)| *count != 0)
                .collect(),
        }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            counts: Default::default(),
            drops: DropReason::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }
}
