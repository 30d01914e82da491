//! ICMP errors: packets of no flow of their own, related to the flow of the packet they embed (RFC 5508, section 4).
//!
//! What the layers have decided over that flow holds for the error too: it passes where the flow passes, and is translated as
//! the flow is, around and inside. It neither prolongs the flow nor ends it (RFC 4787, REQ-12; RFC 5382, REQ-9; RFC 5508, REQ-6). An
//! error about no flow there is, is dropped.

use core::net::IpAddr;

use opte_headers::FlowKey;
use opte_headers::frame::{EditError, Editor, HeaderKind, IcmpError, Parsed};
use opte_headers::program::{Program, Sums};
use opte_headers::{ipv4, ipv6};

use super::process::{Arrival, entropy};
use super::worker::Claimed;
use super::{Inner, Port};
use crate::flow::Key;
use crate::network::Network;
use crate::packet::Packet;
use crate::{Direction, DropReason};

/// Deprecated, and dropped (RFC 6633, section 5).
const SOURCE_QUENCH: u8 = 4;
/// Of use on its own link only (RFC 1812, section 5.2.7.2).
const REDIRECT: u8 = 5;

/// An ICMP error, and the flow it is related to.
pub(super) struct Related<K> {
    /// The key and hash of that flow in the error's direction.
    pub(super) key: K,
    pub(super) hash: u32,
    error: IcmpError,
    /// The same key as parsed.
    plain: FlowKey,
}

impl<N: Network> Inner<N> {
    /// Sends an ICMP error on as its flow is sent on. `None` if the packet is none.
    pub(super) fn related(
        &mut self,
        port: &Port<N>,
        counts: &Claimed<'_>,
        epoch: u32,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
    ) -> Option<Result<u32, DropReason>> {
        match port.relate(arrival, packet) {
            Ok(None) => None,
            Ok(Some(related)) => {
                let sent = self.send_related(port, counts, epoch, arrival, packet, &related);
                Some(sent)
            }
            Err(reason) => Some(Err(reason)),
        }
    }

    fn send_related(
        &mut self,
        port: &Port<N>,
        counts: &Claimed<'_>,
        epoch: u32,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        related: &Related<N::Key>,
    ) -> Result<u32, DropReason> {
        let Arrival { dir, now, .. } = arrival;
        let of_flow = Arrival {
            key: &related.key,
            hash: related.hash,
            ..arrival
        };
        let found = self.flows.find(dir, related.hash, &related.key);
        let id = found.ok_or(DropReason::IcmpUnrelated)?;
        let flow = self.flows.get(id).ok_or(DropReason::IcmpUnrelated)?;
        if flow.is_doubtful(epoch, now) {
            self.doubtful(port, counts, id, epoch, of_flow, packet)
                .ok_or(DropReason::IcmpUnrelated)??;
        }
        let flow = self.flows.get(id).ok_or(DropReason::IcmpUnrelated)?;
        let program = flow.side(dir).program;
        let program = program.ok_or(DropReason::IcmpUnrelated)?;
        let len = packet.len();
        related.translate(&program, arrival.parsed, packet)?;
        counts.related(dir, len);
        Ok(related.hash)
    }
}

impl<N: Network> Port<N> {
    /// The flow that an ICMP error would be related to, whether there is one or not. `None` if the packet is no error.
    pub(super) fn relate(
        &self,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
    ) -> Result<Option<Related<N::Key>>, DropReason> {
        let Arrival { dir, parsed, .. } = arrival;
        let error = parsed.icmp_error(packet.frame());
        let Some(error) = error.map_err(|error| DropReason::from(&error))? else {
            return Ok(None);
        };
        let ty = parsed.key.icmp().map_or(0, |(ty, _)| ty);
        if parsed.l4_kind() == HeaderKind::Icmpv4 && matches!(ty, SOURCE_QUENCH | REDIRECT) {
            return Err(DropReason::IcmpUnrelated);
        }
        complete(parsed, &error, packet);
        error
            .verify(packet.frame(), parsed)
            .map_err(|error| DropReason::from(&error))?;
        let own = &parsed.key;
        // The packet went the other way.
        let plain = error.embedded.key.mirror().with_vni(own.vni());
        // RFC 792: the error goes to whom the packet at fault came from.
        if own.destination != plain.destination {
            return Err(DropReason::IcmpUnrelated);
        }
        if dir == Direction::Out && own.source != plain.source {
            return Err(DropReason::SpoofedSource);
        }
        let mut of_flow = *parsed;
        of_flow.key = plain;
        let key = self.network.key(dir, &of_flow, packet.frame());
        Ok(Some(Related {
            key,
            hash: self.flows.hash(key.words()),
            error,
            plain,
        }))
    }
}

impl<K> Related<K> {
    /// Does to the error what `program` does to packets of its flow: to link layer and tunnel the same, to addresses and ports
    /// around and inside what follows from it.
    pub(super) fn translate(
        &self,
        program: &Program,
        parsed: &Parsed,
        packet: &mut Packet<'_>,
    ) -> Result<(), DropReason> {
        let l3 = parsed.l3_index().unwrap_or_default();
        let after = self.plain.rewritten(program, l3);
        let frame = packet.frame_mut();
        self.error
            .translate(frame, &after.mirror())
            .map_err(|_| DropReason::ProgramApply)?;
        // An error of the far end itself comes from where its flow comes from; one of a router on the way from there.
        let from_end = parsed.key.source == self.plain.source;
        let source = from_end.then(|| after.source_ip());
        readdress(frame, parsed, source, after.destination_ip())
            .map_err(|_| DropReason::ProgramApply)?;
        packet
            .apply(&program.before_header(l3), parsed, entropy(self.hash))
            .map_err(|_| DropReason::ProgramApply)
    }
}

/// Writes the addresses of the innermost IP header.
fn readdress(
    frame: &mut [u8],
    parsed: &Parsed,
    source: Option<IpAddr>,
    destination: IpAddr,
) -> Result<(), EditError> {
    let mut editor = Editor::new(frame, parsed);
    match source {
        Some(IpAddr::V4(source)) => editor.set::<ipv4::Source>(source)?,
        Some(IpAddr::V6(source)) => editor.set::<ipv6::Source>(source)?,
        None => {}
    }
    match destination {
        IpAddr::V4(destination) => editor.set::<ipv4::Destination>(destination),
        IpAddr::V6(destination) => editor.set::<ipv6::Destination>(destination),
    }
}

/// Completes the checksum of an error that its sender has left to the link: then it can be looked at and translated.
fn complete(parsed: &Parsed, error: &IcmpError, packet: &mut Packet<'_>) {
    if packet.offload.sums == Sums::Complete {
        return;
    }
    let end = parsed.frame_len as usize;
    let message = packet.frame_mut().get_mut(error.at as usize..end);
    if let Some(message) = message {
        let sum = opte_headers::checksum::Sum::of(message).checksum();
        if let Some(field) = message.get_mut(2..4) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
    }
    packet.offload.sums = Sums::Complete;
}
