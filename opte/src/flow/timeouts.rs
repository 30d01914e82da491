//! How long idle flows live.

use core::time::Duration;

/// How long a flow lives without packets, by what it is and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP before the handshake is complete, and after a reset.
    pub tcp_half_open: Duration,
    /// TCP from the first FIN on.
    pub tcp_closing: Duration,
    /// TCP with its handshake complete.
    pub tcp_established: Duration,
    /// UDP with packets in one direction only.
    pub udp_one_way: Duration,
    /// UDP with packets in both directions.
    pub udp_both_ways: Duration,
    /// ICMP and ICMPv6.
    pub icmp: Duration,
    /// Every other protocol.
    pub other: Duration,
}

impl Default for Timeouts {
    /// 5 s, 120 s, 2 h 4 min (RFC 5382, section 5); 120 s and 300 s (RFC 4787, section 4.3); 60 s (RFC 5508, section 3.2);
    /// 600 s.
    fn default() -> Self {
        Self {
            tcp_half_open: Duration::from_secs(5),
            tcp_closing: Duration::from_secs(120),
            tcp_established: Duration::from_secs(2 * 3600 + 4 * 60),
            udp_one_way: Duration::from_secs(120),
            udp_both_ways: Duration::from_secs(300),
            icmp: Duration::from_secs(60),
            other: Duration::from_secs(600),
        }
    }
}
