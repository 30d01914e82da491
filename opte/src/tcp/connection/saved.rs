//! Connections as they are saved.

use super::{Connection, End, MAX_SCALE};
use crate::Direction;
use crate::direction::PerDirection;
use crate::tcp::TcpState;

impl Connection {
    /// Bytes of a saved connection.
    pub(crate) const SAVED: usize = 2 * End::SAVED + 3;

    /// All that is known of the connection, numbers in little-endian order.
    pub(crate) fn save(&self) -> [u8; Self::SAVED] {
        let mut saved = [0; Self::SAVED];
        let ends = [&self.ends.inbound, &self.ends.outbound].map(End::save);
        let rest = [self.state as u8, self.opened as u8, self.closed as u8];
        let all = ends.as_flattened().iter().chain(&rest);
        saved.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        saved
    }

    /// The connection again; `None` if these bytes are none.
    pub(crate) fn restore(saved: &[u8; Self::SAVED]) -> Option<Self> {
        let (inbound, rest) = saved.split_first_chunk()?;
        let (outbound, rest) = rest.split_first_chunk()?;
        let &[state, opened, closed] = rest else {
            return None;
        };
        let mut connection = Self {
            ends: PerDirection {
                inbound: End::restore(inbound)?,
                outbound: End::restore(outbound)?,
            },
            state: STATES.into_iter().find(|known| *known as u8 == state)?,
            opened: direction(opened)?,
            closed: direction(closed)?,
            ..Self::NONE
        };
        connection.smoothen();
        Some(connection)
    }
}

impl End {
    const SAVED: usize = 18;
    const ALL_FLAGS: u8 = Self::SEEN | Self::ACKED | Self::FIN | Self::FIN_ACKED | Self::SCALES;

    fn save(&self) -> [u8; Self::SAVED] {
        let [a, b, c, d] = self.next.to_le_bytes();
        let [e, f, g, h] = self.acked.to_le_bytes();
        let [i, j, k, l] = self.window.to_le_bytes();
        let [m, n, o, p] = self.fin_end.to_le_bytes();
        [
            a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, self.scale, self.flags,
        ]
    }

    fn restore(saved: &[u8; Self::SAVED]) -> Option<Self> {
        let &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, scale, flags] = saved;
        let window = u32::from_le_bytes([i, j, k, l]);
        // No more than a header can say.
        let possible = scale <= MAX_SCALE
            && window <= u32::from(u16::MAX) << MAX_SCALE
            && flags & !Self::ALL_FLAGS == 0;
        possible.then_some(Self {
            next: u32::from_le_bytes([a, b, c, d]),
            acked: u32::from_le_bytes([e, f, g, h]),
            window,
            fin_end: u32::from_le_bytes([m, n, o, p]),
            scale,
            flags,
        })
    }
}

fn direction(number: u8) -> Option<Direction> {
    Direction::BOTH
        .into_iter()
        .find(|known| *known as u8 == number)
}

const STATES: [TcpState; 11] = [
    TcpState::Closed,
    TcpState::Listen,
    TcpState::SynSent,
    TcpState::SynRcvd,
    TcpState::Established,
    TcpState::CloseWait,
    TcpState::LastAck,
    TcpState::FinWait1,
    TcpState::FinWait2,
    TcpState::Closing,
    TcpState::TimeWait,
];
