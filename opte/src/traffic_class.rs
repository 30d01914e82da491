//! What a tunnel does with ECN (RFC 6040) and DSCP (RFC 2983).
//!
//! ECN follows the normal mode of RFC 6040: at encapsulation the outer header takes the inner codepoint, at decapsulation what
//! happened to the packet on its way goes into the inner header. The traffic class is nothing that flows differ by, so none of
//! this is part of a flow's program: it is done packet by packet, and costs a packet without ECN two loads.

use opte_headers::checksum;
use opte_headers::frame::{HeaderKind, Parsed};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::DropReason;
use crate::packet::Packet;

/// What a tunnel does with the DSCP (RFC 2983, section 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub enum DscpModel {
    /// The tunnel has a DSCP of its own, that of the headers the network pushes; the inner one stays as it is.
    #[default]
    Pipe,
    /// There is one DSCP: the outer header takes the inner one, and the inner header what became of it.
    Uniform,
}

/// The traffic class of the innermost IP packet; zero without one.
#[inline(always)]
pub(crate) fn of_inner(parsed: &Parsed, packet: &Packet<'_>) -> u8 {
    match parsed.l3() {
        Some(l3) => of_ip(packet.bytes(l3, l3 + 2)),
        None => 0,
    }
}

/// The same of a packet in no tunnel, without VLAN tags.
pub(crate) fn of_guest(packet: &Packet<'_>) -> u8 {
    of_ip(packet.bytes(ETHERNET, ETHERNET + 2))
}

/// Lets the outer header of a packet that was put into a tunnel take what it is to have of the inner class.
#[inline(always)]
pub(crate) fn encapsulated(model: DscpModel, inner: u8, packet: &mut Packet<'_>) {
    if inner != 0 {
        copy_out(model, inner, packet);
    }
}

/// Whether [`decapsulated`] has nothing to do, of a packet that is in no tunnel or in one over IPv6; else no.
#[inline(always)]
pub(crate) fn is_unmarked(model: DscpModel, parsed: &Parsed, frame: &[u8]) -> bool {
    const CLASS_AND_VERSION: u16 = 0xfff0;
    let start = frame.get(ETHERNET..).and_then(<[u8]>::first_chunk);
    let start = start.map_or(0, |start| u16::from_be_bytes(*start));
    !parsed.is_tunnelled() || model == DscpModel::Pipe && start & CLASS_AND_VERSION == 6 << 12
}

/// Lets the inner header of a tunnelled packet take what its outer header says happened on the way.
///
/// # Errors
/// `EcnNotCapable` where the way was congested, and the packet's sender would not understand it (RFC 6040, figure 4).
#[inline(always)]
pub(crate) fn decapsulated(
    model: DscpModel,
    parsed: &Parsed,
    packet: &mut Packet<'_>,
) -> Result<(), DropReason> {
    if !parsed.is_tunnelled() {
        return Ok(());
    }
    // Tunnels are over plain Ethernet.
    let outer = of_ip(packet.bytes(ETHERNET, ETHERNET + 2));
    if outer == 0 && model == DscpModel::Pipe {
        return Ok(());
    }
    merge_in(model, outer, parsed, packet)
}

/// The codepoint of the inner header after decapsulation (RFC 6040, figure 4); none where the packet is to be dropped.
const fn merged(inner: u8, outer: u8) -> Option<u8> {
    match (inner, outer) {
        (NOT_ECT, CE) => None,
        (NOT_ECT, _) => Some(NOT_ECT),
        (_, CE) | (CE, _) => Some(CE),
        (ECT_0, ECT_1) => Some(ECT_1),
        (inner, _) => Some(inner),
    }
}

/// Bytes of the outermost header of a tunnelled frame.
const ETHERNET: usize = 14;

const NOT_ECT: u8 = 0b00;
const ECT_1: u8 = 0b01;
const ECT_0: u8 = 0b10;
const CE: u8 = 0b11;
const ECN: u8 = 0b11;

/// The traffic class in the first two bytes of an IP header of either version.
#[inline(always)]
fn of_ip(start: Option<&[u8]>) -> u8 {
    match start {
        Some(&[first, second]) if first >> 4 == 6 => first << 4 | second >> 4,
        Some(&[first, second]) if first >> 4 == 4 => second,
        // ARP.
        _ => 0,
    }
}

#[cold]
#[inline(never)]
fn copy_out(model: DscpModel, inner: u8, packet: &mut Packet<'_>) {
    let Some([_, .., a, b]) = packet.frame().first_chunk::<ETHERNET>() else {
        return;
    };
    let kind = match u16::from_be_bytes([*a, *b]) {
        0x86dd => HeaderKind::Ipv6,
        0x0800 => HeaderKind::Ipv4,
        _ => return,
    };
    if let Some(ip) = packet.frame_mut().get_mut(ETHERNET..) {
        let pushed = of_ip(ip.get(..2));
        let class = match model {
            DscpModel::Pipe => pushed & !ECN | inner & ECN,
            DscpModel::Uniform => inner,
        };
        write(kind, ip, class);
    }
}

#[cold]
#[inline(never)]
fn merge_in(
    model: DscpModel,
    outer: u8,
    parsed: &Parsed,
    packet: &mut Packet<'_>,
) -> Result<(), DropReason> {
    let Some(l3) = parsed.l3().filter(|_| parsed.l3_kind().is_ip()) else {
        return Ok(());
    };
    let inner = of_inner(parsed, packet);
    let ecn = merged(inner & ECN, outer & ECN).ok_or(DropReason::EcnNotCapable)?;
    let dscp = match model {
        DscpModel::Pipe => inner,
        DscpModel::Uniform => outer,
    };
    let class = dscp & !ECN | ecn;
    if class != inner
        && let Some(ip) = packet.frame_mut().get_mut(l3..)
    {
        write(parsed.l3_kind(), ip, class);
    }
    Ok(())
}

/// Writes the traffic class of an IP header, and its checksum.
fn write(kind: HeaderKind, ip: &mut [u8], class: u8) {
    let Some([first, second, ..]) = ip.first_chunk_mut::<12>() else {
        return;
    };
    if kind == HeaderKind::Ipv6 {
        *first = *first & 0xf0 | class >> 4;
        *second = class << 4 | *second & 0x0f;
        return;
    }
    let old = u16::from_be_bytes([*first, *second]);
    *second = class;
    let new = u16::from_be_bytes([*first, *second]);
    if let Some(field) = ip.get_mut(10..12).and_then(<[u8]>::first_chunk_mut::<2>) {
        *field = checksum::update(u16::from_be_bytes(*field), old, new).to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6040, figure 4, row by row.
    #[test]
    fn the_table_of_decapsulation() {
        let rows = [
            (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
            (ECT_0, [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)]),
            (ECT_1, [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)]),
            (CE, [Some(CE), Some(CE), Some(CE), Some(CE)]),
        ];
        for (inner, row) in rows {
            for (outer, expected) in [NOT_ECT, ECT_0, ECT_1, CE].into_iter().zip(row) {
                assert_eq!(merged(inner, outer), expected, "{inner:02b} in {outer:02b}");
            }
        }
    }
}
