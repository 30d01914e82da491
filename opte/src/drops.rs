//! Why a packet was dropped: a closed set, with one counter a reason.

use core::fmt;

use opte_headers::{Cause, ParseError};
use serde::{Deserialize, Serialize};

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why a packet was dropped. Each reason has a stable name and a counter of its own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum DropReason { $($(#[$doc])* $variant,)* }

        impl DropReason {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [DropReason] = &[$(DropReason::$variant,)*];

            /// The stable name, in snake case.
            pub const fn name(self) -> &'static str {
                match self { $(DropReason::$variant => $name,)* }
            }
        }
    };
}

drop_reasons! {
    /// The frame ends before a header does.
    ParseTruncated = "parse_truncated",
    /// A header field has a value that its standard forbids.
    ParseIllegalValue = "parse_illegal_value",
    /// The frame carries a protocol the network does not take.
    ParseUnsupported = "parse_unsupported",
    /// A length field disagrees with the frame.
    ParseBadLength = "parse_bad_length",
    /// A checksum that must hold does not.
    ParseBadChecksum = "parse_bad_checksum",
    /// A tunnel option marked critical is not known.
    ParseCriticalOption = "parse_critical_option",
    /// The port is not running.
    PortNotRunning = "port_not_running",
    /// More packets come this way than the port's meter lets through.
    MeterPackets = "meter_packets",
    /// More bits come this way than the port's meter lets through.
    MeterBits = "meter_bits",
    /// More flows begin this way than the port's meter lets begin.
    MeterNewFlows = "meter_new_flows",
    /// There are as many flows begun this way as the port's meter allows.
    MeterFlows = "meter_flows",
    /// A rule of a layer denied the packet.
    LayerRuleDeny = "layer_rule_deny",
    /// A rule of a layer rejected the packet; its sender was not told, because too many were, or must not be.
    LayerRuleReject = "layer_rule_reject",
    /// No rule of a layer matched and its default is to deny.
    LayerDefaultDeny = "layer_default_deny",
    /// The action of a matching rule denied the packet.
    LayerActionDeny = "layer_action_deny",
    /// The guest sent from an address, or from a station, that is not its own.
    SpoofedSource = "spoofed_source",
    /// Nothing says where the destination is: no guest has the address, or no way leads outside.
    NoMapping = "no_mapping",
    /// The packet came in a virtual network that the port has nothing to do with.
    ForeignNetwork = "foreign_network",
    /// An action needed a resource of which none is left (NAT ports).
    ActionResourceExhausted = "action_resource_exhausted",
    /// What came to a shared address uses no mapping, or one that does not let its sender in.
    NatFiltered = "nat_filtered",
    /// The flow's answers could not be told from those of another: their ends are the same behind the translation.
    FlowCollision = "flow_collision",
    /// An action could not do what it is for.
    ActionFailed = "action_failed",
    /// The transformations of the layers do not fit one program.
    ProgramCapacity = "program_capacity",
    /// The program does not fit the frame (too little head-room, a header missing).
    ProgramApply = "program_apply",
    /// The packet may not be sent any farther, and its sender was not told.
    HopLimitExceeded = "hop_limit_exceeded",
    /// The tunnel was congested, and the packet's sender would not understand it (RFC 6040).
    EcnNotCapable = "ecn_not_capable",
    /// An ICMP error about a packet of no flow there is, or to somebody else than the packet's sender.
    IcmpUnrelated = "icmp_unrelated",
    /// Fragments of one packet bring the same bytes, or disagree over where it ends (RFC 5722): none of it passes any more.
    FragmentOverlap = "fragment_overlap",
    /// A fragment that came before.
    FragmentDuplicate = "fragment_duplicate",
    /// More fragments, or more bytes that wait for a first fragment, than the port remembers.
    FragmentLimit = "fragment_limit",
    /// A later fragment whose first one did not pass, or did not come in time.
    FragmentOrphan = "fragment_orphan",
    /// The flow table is full and holds nothing that may be displaced.
    FlowTableFull = "flow_table_full",
    /// There is no memory for what the packet would need.
    OutOfMemory = "out_of_memory",
    /// Who began the flow has as many as one address may have.
    FlowQuota = "flow_quota",
    /// The rule that had let the flow in is gone.
    FlowRevoked = "flow_revoked",
    /// A TCP segment of no known connection that may not start one.
    TcpNoConnection = "tcp_no_connection",
    /// A TCP segment that the state of its connection forbids.
    TcpUnexpectedSegment = "tcp_unexpected_segment",
    /// A TCP reset or SYN outside the window (RFC 5961).
    TcpOutOfWindow = "tcp_out_of_window",
    /// The network's own handler denied the packet.
    HandlerDeny = "handler_deny",
    /// A reply does not fit the buffer given for it.
    HairpinTooLong = "hairpin_too_long",
    /// No port has the network identifier and address of the frame.
    NoSuchPort = "no_such_port",
    /// Multicast that nobody wants: no port here has subscribed to it and no next hop takes it, or their filters refuse its source.
    NoReceiver = "no_receiver",
    /// The underlay is not configured.
    NoUnderlay = "no_underlay",
    /// No route to the tunnel's far end.
    NoRoute = "no_route",
    /// The next hop's link-layer address is not known.
    NoNeighbour = "no_neighbour",
    /// The frame does not fit the link.
    TooBig = "too_big",
    /// The link took no more frames.
    LinkCongested = "link_congested",
    /// The link refused the frame.
    LinkError = "link_error",
    /// A frame to none of the addresses of this host.
    NotForUs = "not_for_us",
    /// The guest's end of the link is switched off, or nobody has it open.
    LinkDown = "link_down",
    /// Frames came in faster than they were taken from the link.
    ReceiveQueueFull = "receive_queue_full",
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<&ParseError> for DropReason {
    /// The reason under which a frame that was not understood is counted.
    fn from(error: &ParseError) -> Self {
        match error.cause {
            Cause::Truncated { .. } => DropReason::ParseTruncated,
            Cause::Illegal { .. } => DropReason::ParseIllegalValue,
            Cause::Unsupported { .. } => DropReason::ParseUnsupported,
            Cause::BadLength { .. } => DropReason::ParseBadLength,
            Cause::BadChecksum => DropReason::ParseBadChecksum,
            Cause::CriticalOption { .. } => DropReason::ParseCriticalOption,
        }
    }
}

/// One counter for each [`DropReason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropCounters([u64; DropReason::ALL.len()]);

impl DropCounters {
    /// All zero.
    pub const fn new() -> Self {
        Self([0; DropReason::ALL.len()])
    }

    /// Counts one packet.
    #[inline]
    pub fn count(&mut self, reason: DropReason) {
        if let Some(counter) = self.0.get_mut(reason as usize) {
            *counter = counter.wrapping_add(1);
        }
    }

    /// Counts so many packets.
    pub(crate) fn add_count(&mut self, reason: DropReason, packets: u64) {
        if let Some(counter) = self.0.get_mut(reason as usize) {
            *counter = counter.wrapping_add(packets);
        }
    }

    /// How many packets were dropped for `reason`.
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// How many packets were dropped at all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons that were met, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL
            .iter()
            .zip(self.0.iter())
            .filter(|(_, count)| **count != 0)
            .map(|(reason, count)| (*reason, *count))
    }

    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &DropCounters) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0.iter()) {
            *mine = mine.wrapping_add(*theirs);
        }
    }
}

impl Default for DropCounters {
    fn default() -> Self {
        Self::new()
    }
}
