//! A connection, followed segment by segment.

mod saved;

use super::segment::{Segment, at_most};
use super::state::TcpState;
use crate::direction::PerDirection;
use crate::{Direction, DropReason};

/// What the tracker knows of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// What the ends have sent: `outbound` is the guest's.
    ends: PerDirection<End>,
    state: TcpState,
    /// Which way the first segment went.
    opened: Direction,
    /// Which way the first FIN went.
    closed: Direction,
    /// Established, and both ends have been heard and have acknowledged: nothing is to be asked of a segment but its numbers.
    smooth: bool,
    /// By how much the windows of either end are shifted then.
    shifts: PerDirection<u8>,
}

/// What one end has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct End {
    /// The sequence number behind all it has sent.
    next: u32,
    /// The last acknowledgement it has sent.
    acked: u32,
    /// The window it has offered, scaled.
    window: u32,
    /// The sequence number behind its FIN.
    fin_end: u32,
    scale: u8,
    flags: u8,
}

impl End {
    const NONE: Self = Self {
        next: 0,
        acked: 0,
        window: 0,
        fin_end: 0,
        scale: 0,
        flags: 0,
    };
    /// It has sent something.
    const SEEN: u8 = 1;
    /// It has acknowledged something.
    const ACKED: u8 = 2;
    /// It has sent its FIN.
    const FIN: u8 = 4;
    /// Its FIN is acknowledged.
    const FIN_ACKED: u8 = 8;
    /// It has offered window scaling.
    const SCALES: u8 = 16;

    #[inline]
    fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// What becomes of a segment of a known connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passes.
    Pass,
    /// It is dropped.
    Drop(DropReason),
    /// It opens a new connection between the same ends: the old one is to be forgotten.
    Restart,
}

/// The largest shift that RFC 7323, section 2.3 allows.
const MAX_SCALE: u8 = 14;

impl Connection {
    /// No connection.
    pub(crate) const NONE: Self = Self {
        ends: PerDirection {
            inbound: End::NONE,
            outbound: End::NONE,
        },
        state: TcpState::Closed,
        opened: Direction::In,
        closed: Direction::In,
        smooth: false,
        shifts: PerDirection {
            inbound: 0,
            outbound: 0,
        },
    };

    /// Whether `segment` may be the first of a connection; `midstream` says whether one that is no SYN may.
    pub fn may_open(segment: &Segment, midstream: bool) -> Result<(), DropReason> {
        let syn = segment.has(Segment::SYN);
        if segment.has(Segment::RST) {
            return Err(if syn {
                DropReason::TcpUnexpectedSegment
            } else {
                DropReason::TcpNoConnection
            });
        }
        match (syn, segment.has(Segment::ACK)) {
            (true, false) if !segment.has(Segment::FIN) => Ok(()),
            (true, true) if !segment.has(Segment::FIN) => Err(DropReason::TcpNoConnection),
            (true, _) | (false, false) => Err(DropReason::TcpUnexpectedSegment),
            (false, true) if midstream => Ok(()),
            (false, true) => Err(DropReason::TcpNoConnection),
        }
    }

    /// The connection whose first segment is this one, which goes `dir`. See [`Connection::may_open`].
    pub fn open(dir: Direction, segment: &Segment) -> Self {
        const CONTROL: u8 = Segment::SYN | Segment::FIN | Segment::RST | Segment::ACK;
        if segment.flags & CONTROL == Segment::SYN {
            Self::opened(dir, segment)
        } else {
            Self::open_any(dir, segment)
        }
    }

    /// [`Connection::open_any`] of a SYN that is nothing else.
    fn opened(dir: Direction, segment: &Segment) -> Self {
        let mut connection = Self {
            state: opening_state(dir),
            opened: dir,
            closed: dir,
            ..Self::NONE
        };
        let scales = segment.scale.map_or(0, |_| End::SCALES);
        *connection.ends.get_mut(dir) = End {
            next: segment.end(),
            window: segment.window.into(),
            scale: segment.scale.map_or(0, |scale| scale.min(MAX_SCALE)),
            flags: End::SEEN | scales,
            ..End::NONE
        };
        connection
    }

    fn open_any(dir: Direction, segment: &Segment) -> Self {
        let mut connection = Self {
            ends: PerDirection::default(),
            state: TcpState::Established,
            opened: dir,
            closed: dir,
            ..Self::NONE
        };
        if segment.has(Segment::SYN) {
            connection.state = opening_state(dir);
        } else {
            // The handshake was not seen: any scale is possible.
            connection.ends.inbound.scale = MAX_SCALE;
            connection.ends.outbound.scale = MAX_SCALE;
        }
        connection.record(dir, segment);
        connection.close_if_finished(dir, segment);
        connection.smoothen();
        connection
    }

    /// The state of the guest's end.
    #[inline]
    pub fn state(&self) -> TcpState {
        self.state
    }

    /// Whether both ends have been heard and have acknowledged what they heard: the handshake is complete.
    #[inline]
    pub fn is_confirmed(&self) -> bool {
        let ends = [&self.ends.inbound, &self.ends.outbound];
        ends.into_iter()
            .all(|end| end.is(End::SEEN) && end.is(End::ACKED))
    }

    /// The sequence number behind all that the end has sent whose segments go `dir`.
    pub fn next_seq(&self, dir: Direction) -> u32 {
        self.ends.get(dir).next
    }

    /// The last acknowledgement of the end whose segments go `dir`.
    pub fn last_ack(&self, dir: Direction) -> u32 {
        self.ends.get(dir).acked
    }

    /// Takes a segment that goes `dir`.
    #[inline(always)]
    pub fn segment(&mut self, dir: Direction, segment: &Segment) -> Outcome {
        const CONTROL: u8 = Segment::SYN | Segment::FIN | Segment::RST | Segment::ACK;
        if self.smooth && segment.flags & CONTROL == Segment::ACK {
            self.go_on(dir, segment);
            return Outcome::Pass;
        }
        // A copy of its own: the segments above then never leave the registers.
        let segment = *segment;
        let outcome = self.control(dir, &segment);
        self.smoothen();
        outcome
    }

    /// Takes what a later IP fragment brings of a segment that goes `dir`, and whose beginning it has taken: a segment of its own, with
    /// the control bits of the whole.
    pub fn part(&mut self, dir: Direction, part: &Segment) -> Outcome {
        if !part.has(Segment::SYN) {
            return self.segment(dir, part);
        }
        // Data that comes with a SYN counts if the SYN did, which is not answered yet.
        let (me, peer) = (self.ends.get(dir), self.ends.get(dir.opposite()));
        if me.is(End::SEEN) && !peer.is(End::ACKED) {
            self.record(dir, part);
        }
        Outcome::Pass
    }

    /// Whether the connection is established and both ends have been heard and have acknowledged.
    #[inline(always)]
    pub(crate) fn is_smooth(&self) -> bool {
        self.smooth
    }

    /// What [`Connection::record`] does with a segment that acknowledges, of a smooth connection.
    #[inline(always)]
    pub(crate) fn go_on(&mut self, dir: Direction, segment: &Segment) {
        let shift = *self.shifts.get(dir);
        let (me, peer) = match dir {
            Direction::In => (&mut self.ends.inbound, &self.ends.outbound),
            Direction::Out => (&mut self.ends.outbound, &self.ends.inbound),
        };
        let end = segment.seq.wrapping_add(segment.payload);
        let reach = peer.window.max(1 << 16);
        // A window is less than 2^30.
        let within = end.wrapping_sub(peer.acked).wrapping_add(reach) <= reach.wrapping_mul(2);
        if !within || !at_most(segment.ack, peer.next) {
            return;
        }
        if !at_most(end, me.next) {
            me.next = end;
        }
        if at_most(me.acked, segment.ack) {
            me.acked = segment.ack;
        }
        me.window = u32::from(segment.window) << (shift & MAX_SCALE);
    }

    fn smoothen(&mut self) {
        const KNOWN: u8 = End::SEEN | End::ACKED;
        let End { flags: a, .. } = self.ends.inbound;
        let End { flags: b, .. } = self.ends.outbound;
        self.smooth = self.state == TcpState::Established && a & b & KNOWN == KNOWN;
        // RFC 7323, section 2.2: both must have offered it.
        let scaled = (a ^ b) & End::SCALES == 0;
        for dir in Direction::BOTH {
            let shift = if scaled { self.ends.get(dir).scale } else { 0 };
            *self.shifts.get_mut(dir) = shift;
        }
    }

    #[cold]
    #[inline(never)]
    fn control(&mut self, dir: Direction, segment: &Segment) -> Outcome {
        let syn = segment.has(Segment::SYN);
        if syn && segment.flags & (Segment::FIN | Segment::RST) != 0 {
            return Outcome::Drop(DropReason::TcpUnexpectedSegment);
        }
        if segment.has(Segment::RST) {
            return self.reset(dir, segment);
        }
        match (syn, segment.has(Segment::ACK)) {
            (true, false) => self.syn(dir, segment),
            (true, true) => self.syn_ack(dir, segment),
            (false, true) => self.ack(dir, segment),
            // RFC 9293, section 3.10.7.4, fifth: without ACK a segment is dropped.
            (false, false) => Outcome::Drop(DropReason::TcpUnexpectedSegment),
        }
    }

    /// RFC 5961, section 3.2: only a reset at the very edge of the window counts; one within it is for the end to
    /// challenge; one without is dropped.
    fn reset(&mut self, dir: Direction, segment: &Segment) -> Outcome {
        let (me, peer) = (self.ends.get(dir), self.ends.get(dir.opposite()));
        if self.state == TcpState::Closed {
            return Outcome::Pass;
        }
        if !peer.is(End::ACKED) {
            // Nothing of this end is acknowledged, so there is no window to judge by.
            if dir == self.opened {
                if segment.seq == me.next {
                    self.state = TcpState::Closed;
                }
                return Outcome::Pass;
            }
            // RFC 9293, section 3.10.7.3: the reset of a SYN must acknowledge it.
            if segment.has(Segment::ACK) && segment.ack == peer.next {
                self.state = TcpState::Closed;
                return Outcome::Pass;
            }
            return Outcome::Drop(DropReason::TcpOutOfWindow);
        }
        if segment.seq == peer.acked || segment.seq == me.next {
            self.state = TcpState::Closed;
            return Outcome::Pass;
        }
        if segment.seq.wrapping_sub(peer.acked) < peer.window.max(1) {
            return Outcome::Pass;
        }
        Outcome::Drop(DropReason::TcpOutOfWindow)
    }

    fn syn(&mut self, dir: Direction, segment: &Segment) -> Outcome {
        match self.state {
            TcpState::Closed => Outcome::Restart,
            // RFC 9293, section 3.10.7.4: a SYN above all that the last connection used may open the next.
            TcpState::TimeWait | TcpState::LastAck | TcpState::Closing
                if !at_most(segment.seq, self.ends.get(dir).next) =>
            {
                Outcome::Restart
            }
            TcpState::SynSent | TcpState::Listen if dir == self.opened => {
                // Sent again, or a new attempt in the place of the old one.
                *self = Self::open(dir, segment);
                Outcome::Pass
            }
            // RFC 9293, section 3.5: simultaneous open.
            TcpState::SynSent | TcpState::Listen => {
                self.record(dir, segment);
                self.state = TcpState::SynRcvd;
                Outcome::Pass
            }
            // RFC 5961, section 4.2: the end answers with a challenge ACK, whatever the sequence number.
            _ => Outcome::Pass,
        }
    }

    fn syn_ack(&mut self, dir: Direction, segment: &Segment) -> Outcome {
        let acks_syn = self.acks_what_was_sent(dir, segment);
        match self.state {
            TcpState::SynSent | TcpState::Listen if dir == self.opened => {
                Outcome::Drop(DropReason::TcpUnexpectedSegment)
            }
            TcpState::SynSent if acks_syn => {
                self.record(dir, segment);
                self.state = TcpState::Established;
                Outcome::Pass
            }
            TcpState::Listen if acks_syn => {
                self.record(dir, segment);
                self.state = TcpState::SynRcvd;
                Outcome::Pass
            }
            // The second half of a simultaneous open; sent again by the end that was asked, it changes nothing.
            TcpState::SynRcvd if acks_syn && dir == Direction::In => {
                self.record(dir, segment);
                self.state = TcpState::Established;
                Outcome::Pass
            }
            _ => Outcome::Pass,
        }
    }

    fn ack(&mut self, dir: Direction, segment: &Segment) -> Outcome {
        match self.state {
            TcpState::SynSent | TcpState::Listen => {
                return if dir == self.opened {
                    Outcome::Drop(DropReason::TcpUnexpectedSegment)
                } else {
                    // RFC 9293, figure 9: the answer of an end that still holds an older connection.
                    Outcome::Pass
                };
            }
            TcpState::SynRcvd if dir == Direction::In && self.acks_what_was_sent(dir, segment) => {
                self.state = TcpState::Established;
            }
            TcpState::Closed => return Outcome::Pass,
            _ => {}
        }
        if self.record(dir, segment) {
            self.close_if_finished(dir, segment);
        }
        Outcome::Pass
    }

    /// Moves on in the closing of the connection (RFC 9293, section 3.6), after a segment that goes `dir` was recorded.
    fn close_if_finished(&mut self, dir: Direction, segment: &Segment) {
        let other = dir.opposite();
        if segment.has(Segment::FIN) && !self.ends.get(dir).is(End::FIN) {
            if !self.ends.get(other).is(End::FIN) {
                self.closed = dir;
            }
            let me = self.ends.get_mut(dir);
            me.flags |= End::FIN;
            me.fin_end = segment.end();
        }
        let acked = self.ends.get(dir).acked;
        let peer = self.ends.get_mut(other);
        if peer.is(End::FIN) && at_most(peer.fin_end, acked) && segment.has(Segment::ACK) {
            peer.flags |= End::FIN_ACKED;
        }
        let (guest, far) = (&self.ends.outbound, &self.ends.inbound);
        let acked = guest.is(End::FIN_ACKED);
        self.state = match (guest.is(End::FIN), far.is(End::FIN)) {
            (false, false) => self.state,
            (false, true) => TcpState::CloseWait,
            (true, false) if acked => TcpState::FinWait2,
            (true, false) => TcpState::FinWait1,
            (true, true) => match (self.closed, acked) {
                (Direction::Out, true) => TcpState::TimeWait,
                (Direction::Out, false) => TcpState::Closing,
                (Direction::In, true) => TcpState::Closed,
                (Direction::In, false) => TcpState::LastAck,
            },
        };
    }

    /// Whether the segment acknowledges something that the other end has sent, and nothing beyond.
    fn acks_what_was_sent(&self, dir: Direction, segment: &Segment) -> bool {
        let peer = self.ends.get(dir.opposite());
        let held = peer.next.wrapping_sub(segment.ack);
        segment.has(Segment::ACK) && peer.is(End::SEEN) && held < (1 << 30)
    }

    /// Notes what the segment tells of its sender. Says no, and notes nothing, where the segment lies so far outside the
    /// window that it cannot be the sender's (RFC 5961, section 5: or acknowledges what was never sent).
    #[inline(always)]
    fn record(&mut self, dir: Direction, segment: &Segment) -> bool {
        let (me, peer) = match dir {
            Direction::In => (&mut self.ends.inbound, &mut self.ends.outbound),
            Direction::Out => (&mut self.ends.outbound, &mut self.ends.inbound),
        };
        let end = segment.end();
        let ack = segment.has(Segment::ACK);
        if me.is(End::SEEN) && peer.is(End::ACKED) {
            // From one window before what is acknowledged to one window behind it.
            let reach = peer.window.max(1 << 16);
            if end.wrapping_sub(peer.acked).wrapping_add(reach) > reach.saturating_mul(2) {
                return false;
            }
        }
        if ack && peer.is(End::SEEN) && !at_most(segment.ack, peer.next) {
            return false;
        }
        if !me.is(End::SEEN) || !at_most(end, me.next) {
            me.next = end;
        }
        if ack && (!me.is(End::ACKED) || at_most(me.acked, segment.ack)) {
            me.acked = segment.ack;
            me.flags |= End::ACKED;
            if !peer.is(End::SEEN) {
                // Picked up midstream: all that is acknowledged was sent.
                peer.next = segment.ack;
            }
        }
        me.flags |= End::SEEN;
        if segment.has(Segment::SYN) {
            me.window = u32::from(segment.window);
            if let Some(scale) = segment.scale {
                me.scale = scale.min(MAX_SCALE);
                me.flags |= End::SCALES;
            }
        } else {
            // RFC 7323, section 2.2: both must have offered it. Midstream nobody knows, so all is believed.
            let scaled = me.is(End::SCALES) == peer.is(End::SCALES);
            me.window = u32::from(segment.window) << if scaled { me.scale } else { 0 };
        }
        true
    }
}

fn opening_state(dir: Direction) -> TcpState {
    match dir {
        Direction::In => TcpState::Listen,
        Direction::Out => TcpState::SynSent,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_syn_opens_as_any_segment_does(
            (seq, ack, window, payload) in any::<(u32, u32, u16, u16)>(),
            scale in any::<Option<u8>>(),
            others in any::<u8>(),
            out in any::<bool>(),
        ) {
            const CONTROL: u8 = Segment::FIN | Segment::RST | Segment::ACK;
            let segment = Segment {
                seq,
                ack,
                flags: others & !CONTROL | Segment::SYN,
                window,
                payload: payload.into(),
                scale,
            };
            let dir = if out { Direction::Out } else { Direction::In };
            prop_assert_eq!(Connection::open(dir, &segment), Connection::open_any(dir, &segment));
        }
    }
}
