//! Headers that no protocol file has, derived from the public documentation alone.

#![allow(missing_docs)]

use arbitrary_int::prelude::*;
use core::net::Ipv4Addr;
use opte_headers::{
    Cause, Ethernet, Ethertype, Field, Follows, Header, IpProtocol, Ipv4, MacAddr, TailBytes, Udp,
};

/// MPLS label stack entry (RFC 3032, section 2.1).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(follows(Ethernet = Ethertype(0x8847) | Ethertype(0x8848), Mpls), len = 4)]
pub struct Mpls {
    pub label: u20,
    pub traffic_class: u3,
    pub bottom: bool,
    pub ttl: u8,
}

/// PPPoE session header (RFC 2516, section 4).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(follows(Ethernet = Ethertype(0x8864)))]
pub struct Pppoe {
    #[header(const = 1)]
    pub version: u4,
    #[header(const = 1)]
    pub kind: u4,
    pub code: u8,
    pub session: u16,
    #[header(length(of = payload))]
    pub length: u16,
}

/// Network service header (RFC 8300, section 2.2).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(follows(Ethernet = Ethertype(0x894f)))]
pub struct Nsh {
    #[header(const = 0)]
    pub version: u2,
    pub oam: bool,
    #[header(reserved)]
    pub reserved1: u1,
    #[header(default = 63)]
    pub ttl: u6,
    #[header(length(of = header, unit = 4))]
    pub length: u6,
    #[header(reserved)]
    pub reserved2: u4,
    pub md_type: u4,
    #[header(next)]
    pub next_protocol: u8,
    pub service_path: u24,
    pub service_index: u8,
    #[header(bytes(len = length * 4 - 8))]
    pub context: TailBytes<244>,
}

/// L2TPv3 over UDP (RFC 3931, section 4.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(follows(Udp = 1701))]
pub struct L2tpv3 {
    pub control: bool,
    #[header(reserved)]
    pub reserved1: u11,
    #[header(const = 3)]
    pub version: u4,
    #[header(reserved)]
    pub reserved2: u16,
    pub session: u32,
}

/// BFD control packet (RFC 5880, section 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(follows(Udp = 3784), len = 24)]
pub struct Bfd {
    #[header(const = 1)]
    pub version: u3,
    pub diagnostic: u5,
    pub state: u2,
    pub flags: u6,
    pub detect_multiplier: u8,
    #[header(default = 24)]
    pub length: u8,
    pub my_discriminator: u32,
    pub your_discriminator: u32,
    pub desired_min_tx: u32,
    pub required_min_rx: u32,
    pub required_min_echo_rx: u32,
}

/// VRRP advertisement (RFC 9568, section 5.1).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(follows(Ipv4 = IpProtocol::VRRP))]
pub struct Vrrp {
    #[header(const = 3)]
    pub version: u4,
    #[header(const = 1)]
    pub kind: u4,
    pub router: u8,
    #[header(default = 100)]
    pub priority: u8,
    pub count: u8,
    #[header(reserved)]
    pub reserved: u4,
    pub interval: u12,
    #[header(checksum(pseudo))]
    pub checksum: u16,
    pub first: Ipv4Addr,
    #[header(bytes(len = count * 4 - 4))]
    pub others: TailBytes<1016>,
}

/// QUIC long header up to the destination connection (RFC 9000, section 17.2).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
pub struct QuicLong {
    #[header(const = 1)]
    pub form: u1,
    #[header(const = 1)]
    pub fixed: u1,
    pub packet_type: u2,
    pub specific: u4,
    #[header(hex)]
    pub version: u32,
    #[header(length(of = tail))]
    pub connection_len: u8,
    #[header(bytes(len = connection_len))]
    pub connection: TailBytes<20>,
}

/// A frame as a field bus sends it: little-endian, bits counted from the low end, signed measurements.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(le)]
pub struct FieldBus {
    pub identifier: u11,
    pub remote: bool,
    pub length: u4,
    pub temperature: i12,
    pub torque: i20,
    pub counter: u64,
}

/// Network order but for one field.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
pub struct Mixed {
    pub station: MacAddr,
    #[header(le)]
    pub little: u24,
    pub big: u24,
}

fn emitted(header: &impl Header) -> Vec<u8> {
    let mut out = vec![0xff; header.len()];
    assert_eq!(header.emit(&mut out), Ok(header.len()));
    out
}

#[test]
fn known_bytes() {
    let mpls = Mpls {
        label: u20::new(0x12345),
        traffic_class: u3::new(5),
        bottom: true,
        ttl: 64,
    };
    assert_eq!(emitted(&mpls), [0x12, 0x34, 0x5b, 0x40]);
    let pppoe = Pppoe {
        session: 0x11,
        length: 0x20,
        ..Pppoe::default()
    };
    assert_eq!(emitted(&pppoe), [0x11, 0, 0, 0x11, 0, 0x20]);
    let nsh = Nsh {
        context: TailBytes::new(&[1; 16]).unwrap(),
        md_type: u4::new(1),
        ..Nsh::default()
    };
    assert_eq!(emitted(&nsh)[..4], [0x0f, 0xc6, 0x01, 0x00]);
    assert_eq!(emitted(&L2tpv3::default())[..4], [0, 3, 0, 0]);
    assert_eq!(
        emitted(&Bfd {
            state: u2::new(3),
            ..Bfd::default()
        })[..4],
        [0x20, 0xc0, 0, 24]
    );
    let vrrp = Vrrp {
        count: 1,
        interval: u12::new(100),
        ..Vrrp::default()
    };
    assert_eq!(emitted(&vrrp)[..6], [0x31, 0, 100, 1, 0, 100]);
    let quic = QuicLong {
        version: 1,
        connection: TailBytes::new(&[7; 8]).unwrap(),
        ..QuicLong::default()
    };
    assert_eq!(emitted(&quic)[..7], [0xc0, 0, 0, 0, 1, 8, 7]);
}

#[test]
fn little_endian() {
    let bus = FieldBus {
        identifier: u11::new(0x123),
        remote: true,
        length: u4::new(8),
        temperature: i12::new(-40),
        torque: i20::new(-1),
        counter: 0x0102_0304_0506_0708,
    };
    let bytes = emitted(&bus);
    assert_eq!(
        bytes,
        [0x23, 0x89, 0xd8, 0xff, 0xff, 0xff, 8, 7, 6, 5, 4, 3, 2, 1]
    );
    assert_eq!(FieldBus::parse(&bytes).unwrap().0.to_owned(), bus);
    assert_eq!(
        (
            field_bus::Torque::BIT_OFFSET,
            field_bus::Torque::LITTLE_ENDIAN
        ),
        (28, true)
    );
    let mixed = Mixed {
        station: MacAddr::ZERO,
        little: u24::new(0x01_0203),
        big: u24::new(0x01_0203),
    };
    assert_eq!(emitted(&mixed)[6..], [3, 2, 1, 1, 2, 3]);
}

#[test]
fn lengths_that_cannot_be() {
    let mut vrrp = emitted(&Vrrp {
        count: 1,
        ..Vrrp::default()
    });
    vrrp[3] = 0;
    assert_eq!(
        Vrrp::parse(&vrrp).unwrap_err().cause,
        Cause::BadLength {
            claimed: 0,
            available: 0
        }
    );
    vrrp[3] = 2;
    assert_eq!(
        Vrrp::parse(&vrrp).unwrap_err().cause,
        Cause::Truncated {
            needed: 16,
            available: 12
        }
    );
    let connection = TailBytes::<20>::new(&[0; 20]).unwrap();
    assert_eq!(
        QuicLong {
            connection,
            ..QuicLong::default()
        }
        .len(),
        26
    );
    assert_eq!(TailBytes::<20>::new(&[0; 21]), None);
}

#[test]
fn places_in_the_stack() {
    assert_eq!(
        <Mpls as Follows<Ethernet>>::SELECTOR,
        Some(Ethertype(0x8847))
    );
    assert!(<Mpls as Follows<Ethernet>>::follows(Ethertype(0x8848)));
    assert!(!<Mpls as Follows<Ethernet>>::follows(Ethertype::IPV4));
    assert_eq!(<Bfd as Follows<Udp>>::SELECTOR, Some(3784));
}

/// Nothing of the prelude, and everything shadowed: the generated code names all it needs by its full path.
mod hygiene {
    #![no_implicit_prelude]
    #![allow(dead_code)]

    mod core {}
    struct Option;
    struct Result;
    struct Some;
    struct Ok;
    trait Default {}
    trait Header {}
    trait Field {}

    #[derive(::opte_headers::Header)]
    #[header(follows(::opte_headers::Udp = 7), crate = ::opte_headers)]
    pub(super) struct Plain {
        #[header(const = 2)]
        pub version: u8,
        #[header(length(of = tail, unit = 2))]
        pub length: u8,
        #[header(bytes(len = length * 2))]
        pub body: ::opte_headers::TailBytes<512>,
    }

    #[test]
    fn works() {
        let (view, _) = PlainView::parse(&[2u8, 1, 5, 6][..]).unwrap();
        ::std::assert_eq!(PlainGet::body(&view), [5, 6]);
    }
}
