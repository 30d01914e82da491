//! The states of a connection.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The state of the guest's end of a connection (RFC 9293, section 3.3.2), as far as it can be told from the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum TcpState {
    /// Reset, or closed in good order.
    Closed,
    /// The far end's SYN has passed and the guest has not answered.
    Listen,
    /// The guest's SYN has passed.
    SynSent,
    /// Both SYNs have passed, the last of them not acknowledged.
    SynRcvd,
    /// Data may flow both ways.
    Established,
    /// The far end has sent its FIN.
    CloseWait,
    /// The guest has sent its FIN after the far end's.
    LastAck,
    /// The guest has sent its FIN.
    FinWait1,
    /// The guest's FIN is acknowledged.
    FinWait2,
    /// Both have sent their FINs, and the guest's is not acknowledged.
    Closing,
    /// Both FINs are acknowledged; the guest's was the first.
    TimeWait,
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TcpState::Closed => "CLOSED",
            TcpState::Listen => "LISTEN",
            TcpState::SynSent => "SYN_SENT",
            TcpState::SynRcvd => "SYN_RCVD",
            TcpState::Established => "ESTABLISHED",
            TcpState::CloseWait => "CLOSE_WAIT",
            TcpState::LastAck => "LAST_ACK",
            TcpState::FinWait1 => "FIN_WAIT_1",
            TcpState::FinWait2 => "FIN_WAIT_2",
            TcpState::Closing => "CLOSING",
            TcpState::TimeWait => "TIME_WAIT",
        })
    }
}
