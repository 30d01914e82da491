//! Instructions, allocations and bytes per packet
