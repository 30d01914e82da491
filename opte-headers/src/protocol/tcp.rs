//! Transmission Control Protocol (RFC 9293).

use crate::options::{Each, KindLength, Options, RawOption};
use crate::protocol::{Ipv4, Ipv6, Ipv6Destination, Ipv6Fragment, Ipv6HopByHop, Ipv6Routing};
use crate::{Header, IpProtocol, OptionSet, field_value};
use arbitrary_int::prelude::*;
use bitflags::bitflags;

/// TCP header (RFC 9293, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(
    follows(
        Ipv4 = IpProtocol::TCP,
        Ipv6 = IpProtocol::TCP,
        Ipv6HopByHop = IpProtocol::TCP,
        Ipv6Routing = IpProtocol::TCP,
        Ipv6Destination = IpProtocol::TCP,
        Ipv6Fragment = IpProtocol::TCP
    ),
    len = 20
)]
pub struct Tcp {
    /// Source port.
    #[header(key = source_port)]
    pub source: u16,
    /// Destination port.
    #[header(key = destination_port)]
    pub destination: u16,
    /// Number of the first byte of this segment.
    pub sequence: u32,
    /// Number of the byte awaited next.
    pub acknowledgement: u32,
    /// Length of the header in units of four bytes.
    #[header(length(of = header, unit = 4))]
    pub data_offset: u4,
    /// Zero.
    #[header(reserved)]
    pub reserved: u4,
    /// Control bits.
    #[header(bits = 8)]
    pub flags: TcpFlags,
    /// Bytes the sender is ready to receive, to be scaled (RFC 7323).
    pub window: u16,
    /// Of pseudo-header, header and data.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// Where urgent data ends.
    pub urgent: u16,
    /// Options (RFC 9293, section 3.2).
    #[header(options(len = data_offset * 4 - 20))]
    pub options: Options<TcpOption<'static>, 40>,
}

bitflags! {
    /// Control bits of TCP (RFC 9293, section 3.1; RFC 3168).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct TcpFlags: u8 {
        /// No more data from the sender.
        const FIN = 0x01;
        /// Synchronise sequence numbers.
        const SYN = 0x02;
        /// Reset the connection.
        const RST = 0x04;
        /// Pass data on at once.
        const PSH = 0x08;
        /// The acknowledgement counts.
        const ACK = 0x10;
        /// The urgent pointer counts.
        const URG = 0x20;
        /// Congestion was seen.
        const ECE = 0x40;
        /// The congestion window was reduced.
        const CWR = 0x80;
    }
}

field_value!(TcpFlags as u8: TcpFlags::from_bits_retain, TcpFlags::bits);

/// TCP option (IANA "TCP Option Kind Numbers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, OptionSet)]
#[options(framing = KindLength)]
pub enum TcpOption<'a> {
    /// Greatest segment the sender can receive (RFC 9293, section 3.7.1).
    #[option(2)]
    MaximumSegmentSize(u16),
    /// Shift of the window field (RFC 7323, section 2).
    #[option(3)]
    WindowScale(u8),
    /// Selective acknowledgements are understood (RFC 2018).
    #[option(4)]
    SackPermitted,
    /// Ranges received out of order: left and right edge (RFC 2018).
    #[option(5)]
    Sack(Each<'a, SackBlock>),
    /// Clock of the sender and the one it echoes (RFC 7323, section 3).
    #[option(8)]
    Timestamps {
        /// The sender's clock.
        value: u32,
        /// The peer's, as last seen.
        echo: u32,
    },
    /// Another option.
    #[option(unknown)]
    Unknown(RawOption<'a, u8>),
}

/// A range of sequence numbers that was received (RFC 2018, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SackBlock {
    /// First number.
    pub left: u32,
    /// The number behind the last.
    pub right: u32,
}

impl SackBlock {
    fn from_wire(wire: u64) -> Self {
        Self {
            left: (wire >> 32) as u32,
            right: wire as u32,
        }
    }

    fn to_wire(self) -> u64 {
        u64::from(self.left) << 32 | u64::from(self.right)
    }
}

field_value!(SackBlock as u64: SackBlock::from_wire, |block: &SackBlock| block.to_wire());

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const SYN: [u8; 40] = [
        0xc3, 0x50, 0x00, 0x50, 0x12, 0x34, 0x56, 0x78, 0x00, 0x00, 0x00, 0x00, 0xa0, 0x02, 0xfa,
        0xf0, 0xfe, 0x30, 0x00, 0x00, 0x02, 0x04, 0x05, 0xb4, 0x04, 0x02, 0x08, 0x0a, 0x00, 0x9c,
        0x27, 0x24, 0x00, 0x00, 0x00, 0x00, 0x01, 0x03, 0x03, 0x07,
    ];

    #[test]
    fn syn_of_linux() {
        let (view, rest) = Tcp::parse(&SYN).unwrap();
        assert!(rest.is_empty());
        assert_eq!(
            (view.source(), view.destination(), view.flags()),
            (50_000, 80, TcpFlags::SYN)
        );
        assert_eq!(
            view.options()
                .iter()
                .collect::<Result<Vec<_>, _>>()
                .unwrap(),
            [
                TcpOption::MaximumSegmentSize(1460),
                TcpOption::SackPermitted,
                TcpOption::Timestamps {
                    value: 0x9c2724,
                    echo: 0
                },
                TcpOption::WindowScale(7)
            ]
        );
        let mut out = [0; 40];
        assert_eq!(view.to_owned().unwrap().emit(&mut out), Ok(40));
        assert_eq!(out, SYN);
    }

    #[test]
    fn selective_acknowledgement() {
        let blocks = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 9];
        let options = Options::of(&[TcpOption::Sack(Each::new(&blocks).unwrap())]).unwrap();
        let mut out = [0; 60];
        let len = Tcp {
            options,
            ..Tcp::default()
        }
        .emit(&mut out)
        .unwrap();
        assert_eq!(len, 40);
        let (view, _) = Tcp::parse(&out[..len]).unwrap();
        let Some(Ok(TcpOption::Sack(sack))) = view.options().iter().next() else {
            panic!("no sack: {view}")
        };
        assert_eq!(
            sack.iter().collect::<Vec<_>>(),
            [
                SackBlock { left: 1, right: 2 },
                SackBlock { left: 5, right: 9 }
            ]
        );
    }

    #[test]
    fn odd_options_are_kept_and_broken_ones_end_the_list() {
        let mut bytes = SYN;
        bytes[20..24].copy_from_slice(&[2, 3, 5, 1]);
        let (view, _) = Tcp::parse(&bytes).unwrap();
        assert_eq!(
            view.options().iter().next(),
            Some(Ok(TcpOption::Unknown(RawOption {
                kind: 2,
                body: &[5]
            })))
        );
        for len in [0, 1, 200] {
            bytes[21] = len;
            let (view, _) = Tcp::parse(&bytes).unwrap();
            let all: Vec<_> = view.options().iter().collect();
            assert!(all.len() == 1 && all[0].is_err(), "{all:?}");
        }
    }
}
