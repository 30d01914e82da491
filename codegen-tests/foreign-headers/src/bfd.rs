//! Bidirectional forwarding detection (RFC 5880).

use arbitrary_int::prelude::*;
use opte_headers::{Header, TailBytes, Udp, field_value};

/// BFD control packet (RFC 5880, section 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(follows(Udp = 3784), len = 24)]
pub struct Bfd {
    /// Always 1.
    #[header(const = 1)]
    pub version: u3,
    /// Why the session went down.
    pub diagnostic: u5,
    /// State of the session.
    #[header(bits = 2)]
    pub state: BfdState,
    /// Poll.
    pub poll: bool,
    /// Answers a poll.
    pub last: bool,
    /// Detection is independent of the control plane.
    pub independent: bool,
    /// There is authentication behind the header.
    pub authenticated: bool,
    /// On demand.
    pub demand: bool,
    /// Zero.
    #[header(reserved)]
    pub multipoint: bool,
    /// Packets that must be lost until the session is down.
    #[header(default = 3)]
    pub detect_multiplier: u8,
    /// Bytes of the packet.
    #[header(length(of = header))]
    pub length: u8,
    /// The sender's session.
    pub my_discriminator: u32,
    /// The receiver's session.
    pub your_discriminator: u32,
    /// Microseconds.
    #[header(default = 1_000_000)]
    pub desired_min_tx: u32,
    /// Microseconds.
    #[header(default = 1_000_000)]
    pub required_min_rx: u32,
    /// Microseconds; zero for none.
    pub required_min_echo_rx: u32,
    /// Authentication.
    #[header(bytes(len = length - 24))]
    pub authentication: TailBytes<231>,
}

/// State of a session (RFC 5880, section 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BfdState {
    /// Held down by its owner.
    AdminDown,
    /// Down.
    #[default]
    Down,
    /// The other side was heard.
    Init,
    /// Up.
    Up,
}

impl BfdState {
    const fn of(bits: u2) -> Self {
        match bits.value() {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }

    const fn bits(&self) -> u2 {
        match self {
            Self::AdminDown => u2::new(0),
            Self::Down => u2::new(1),
            Self::Init => u2::new(2),
            Self::Up => u2::new(3),
        }
    }
}

field_value!(BfdState as u2: BfdState::of, BfdState::bits);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up() {
        let bytes = [
            0x20, 0xc0, 0x03, 0x18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0x0f, 0x42, 0x40, 0, 0x0f, 0x42,
            0x40, 0, 0, 0, 0,
        ];
        let sent = Bfd {
            state: BfdState::Up,
            my_discriminator: 1,
            your_discriminator: 2,
            ..Bfd::default()
        };
        let mut out = [0; 24];
        assert_eq!(sent.emit(&mut out), Ok(24));
        assert_eq!(out, bytes);
        let (view, _) = Bfd::parse(&bytes).unwrap();
        assert_eq!(
            (view.state(), view.desired_min_tx()),
            (BfdState::Up, 1_000_000)
        );
    }
}
