//! Generic Network Virtualization Encapsulation (RFC 8926).

use crate::options::{GeneveFraming, GeneveKind, Options, RawOption};
use crate::protocol::{Ethernet, Udp};
use crate::{Ethertype, Header, OptionSet, Vni, field_value};
use arbitrary_int::prelude::*;

/// Geneve header (RFC 8926, section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Udp = Geneve::PORT), carries(Ethernet = Ethertype::ETHERNET), len = 8)]
pub struct Geneve {
    /// Always 0.
    #[header(const = 0)]
    pub version: u2,
    /// Length of the options in units of four bytes.
    #[header(length(of = tail, unit = 4))]
    pub opt_len: u6,
    /// A control message for the endpoint itself.
    pub control: bool,
    /// There are options that must be understood.
    pub critical: bool,
    /// Zero.
    #[header(reserved)]
    pub reserved1: u6,
    /// What follows.
    #[header(next, default = Ethertype::ETHERNET)]
    pub protocol: Ethertype,
    /// The virtual network.
    #[header(key = vni)]
    pub vni: Vni,
    /// Zero.
    #[header(reserved)]
    pub reserved2: u8,
    /// Options (RFC 8926, section 3.5).
    #[header(options(len = opt_len * 4))]
    pub options: Options<GeneveOption<'static>, 252>,
}

impl Geneve {
    /// UDP destination port (RFC 8926, section 3.3).
    pub const PORT: u16 = 6081;
}

/// Geneve option (IANA "Geneve Option Class"; those with a name are Oxide's).
#[derive(Clone, Copy, Debug, PartialEq, Eq, OptionSet)]
#[options(framing = GeneveFraming)]
pub enum GeneveOption<'a> {
    /// The inner packet comes from outside the overlay.
    #[option(GeneveKind::EXTERNAL)]
    External,
    /// The inner packet is multicast, and who copies it.
    #[option(GeneveKind::MULTICAST)]
    Multicast(Replication),
    /// The segment size that is to be kept, bytes.
    #[option(GeneveKind::MSS)]
    Mss(u32),
    /// Another option.
    #[option(unknown)]
    Unknown(RawOption<'a, GeneveKind>),
}

impl GeneveKind {
    /// Oxide's option class.
    pub const OXIDE: u16 = 0x0129;
    /// The inner packet comes from outside the overlay.
    pub const EXTERNAL: Self = Self::new(Self::OXIDE, 0x00);
    /// The inner packet is multicast.
    pub const MULTICAST: Self = Self::new(Self::OXIDE, 0x01);
    /// The segment size that is to be kept.
    pub const MSS: Self = Self::new(Self::OXIDE, 0x02);
}

/// Who copies a multicast packet; the two highest bits of the option's four bytes, the others zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Replication {
    /// To what is outside the overlay.
    #[default]
    External,
    /// To other hosts of the overlay.
    Underlay,
    /// To both.
    Both,
    /// Not defined.
    Reserved,
}

impl Replication {
    fn from_wire(wire: u32) -> Self {
        match wire >> 30 {
            0 => Self::External,
            1 => Self::Underlay,
            2 => Self::Both,
            _ => Self::Reserved,
        }
    }

    const fn to_wire(self) -> u32 {
        (self as u32) << 30
    }
}

field_value!(Replication as u32: Replication::from_wire, |replication: &Replication| replication.to_wire());

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn options() {
        let sent = [
            GeneveOption::External,
            GeneveOption::Multicast(Replication::Both),
            GeneveOption::Mss(8_448),
        ];
        let header = Geneve {
            vni: Vni::new(99).unwrap(),
            options: Options::of(&sent).unwrap(),
            ..Geneve::default()
        };
        let mut out = [0; 40];
        assert_eq!(header.emit(&mut out), Ok(28));
        assert_eq!(
            out[..28],
            [
                0x05, 0x00, 0x65, 0x58, 0x00, 0x00, 0x63, 0x00, // header
                0x01, 0x29, 0x00, 0x00, // External
                0x01, 0x29, 0x01, 0x01, 0x80, 0x00, 0x00, 0x00, // Multicast
                0x01, 0x29, 0x02, 0x01, 0x00, 0x00, 0x21, 0x00, // Mss
            ]
        );
        let (view, rest) = Geneve::parse(&out[..28]).unwrap();
        assert!(rest.is_empty());
        assert_eq!(
            view.options()
                .iter()
                .collect::<Result<Vec<_>, _>>()
                .unwrap(),
            sent
        );
    }

    #[test]
    fn unknown_and_misshapen_options_are_kept() {
        let bytes = [
            0x04, 0x40, 0x65, 0x58, 0, 0, 1, 0, // header
            0x01, 0x08, 0x80, 0x01, 1, 2, 3, 4, // of another class
            0x01, 0x29, 0x00, 0x01, 5, 6, 7, 8, // External has no body
        ];
        let (view, _) = Geneve::parse(&bytes).unwrap();
        let unknown = |kind, body| Ok(GeneveOption::Unknown(RawOption { kind, body }));
        assert_eq!(
            view.options().iter().collect::<Vec<_>>(),
            [
                unknown(GeneveKind::new(0x0108, 0x80), &[1, 2, 3, 4]),
                unknown(GeneveKind::EXTERNAL, &[5, 6, 7, 8])
            ]
        );
        let mut out = [0; 24];
        view.to_owned().unwrap().emit(&mut out).unwrap();
        assert_eq!(out, bytes);
    }

    #[test]
    fn an_option_longer_than_its_room() {
        let bytes = [0x01, 0, 0x65, 0x58, 0, 0, 1, 0, 0x01, 0x29, 0x02, 0x01];
        let (view, _) = Geneve::parse(&bytes).unwrap();
        assert!(view.options().check().is_err());
        assert!(Geneve::parse(&[0x40, 0, 0x65, 0x58, 0, 0, 1, 0]).is_err());
    }
}
