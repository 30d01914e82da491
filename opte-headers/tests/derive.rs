//! The derive on a header that is not this crate's own.

#![allow(missing_docs)]

use arbitrary_int::prelude::*;
use opte_headers::{
    Cause, Field, Follows, Header, NoSelector, ParseError, TailBytes, Vni, field_value,
};

bitflags::bitflags! {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct VxlanFlags: u8 {
        const VNI = 0x08;
        const _ = !0;
    }
}
field_value!(VxlanFlags as u8: VxlanFlags::from_bits_retain, VxlanFlags::bits);

/// A carrier, as UDP is one.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
pub struct Carrier {
    pub source: u16,
    #[header(next(hint))]
    pub destination: u16,
    #[header(length(of = packet))]
    pub length: u16,
    #[header(checksum(pseudo, zero_is_none))]
    pub checksum: u16,
}

/// Virtual eXtensible LAN header (RFC 7348, section 5).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(follows(Carrier = 4789), carries(Carrier))]
pub struct Vxlan {
    #[header(default = VxlanFlags::VNI)]
    pub flags: VxlanFlags,
    #[header(reserved)]
    _reserved1: u24,
    /// The virtual network.
    pub vni: Vni,
    #[header(reserved)]
    _reserved2: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Header)]
struct Odd {
    #[header(const = 5)]
    version: u4,
    #[header(length(of = header, unit = 4))]
    words: u4,
    #[header(le)]
    little: u32,
    signed: i13,
    #[header(default = u3::new(5))]
    three: u3,
    address: [u8; 5],
    #[header(bytes(len = words * 4 - 12))]
    rest: TailBytes<48>,
}

#[test]
fn fixed_fields() {
    let bytes = [0x08, 1, 2, 3, 0xab, 0xcd, 0xef, 4, 99];
    let (view, rest) = Vxlan::parse(&bytes).unwrap();
    assert_eq!(rest, [99]);
    assert_eq!(view.vni().as_u32(), 0xabcdef);
    assert_eq!(view.flags(), VxlanFlags::VNI);
    let owned = view.to_owned();
    let mut out = [0xff; 9];
    assert_eq!(owned.emit(&mut out), Ok(8));
    assert_eq!(out[..8], bytes[..8]);
    assert_eq!(
        (
            vxlan::Vni::BIT_OFFSET,
            vxlan::Vni::BITS,
            vxlan::Vni::NAME,
            Vxlan::MIN_LEN,
            Vxlan::default().flags
        ),
        (32, 24, "vni", 8, VxlanFlags::VNI)
    );
    assert_eq!(<Vxlan as Follows<Carrier>>::SELECTOR, Some(4789));
    assert_eq!(<Carrier as Follows<Vxlan>>::SELECTOR, None::<NoSelector>);
    let short = ParseError {
        header: "Vxlan",
        field: "",
        cause: Cause::Truncated {
            needed: 8,
            available: 7,
        },
    };
    assert_eq!(Vxlan::parse(&bytes[..7]).unwrap_err(), short);
}

#[test]
fn bits_and_tail() {
    let mut odd = Odd {
        little: 0x0102_0304,
        signed: i13::new(-2),
        ..Odd::default()
    };
    odd.rest = TailBytes::new(&[7, 8]).unwrap();
    let mut out = [0; 32];
    assert_eq!(odd.emit(&mut out), Ok(16));
    assert_eq!(
        out[..16],
        [0x54, 4, 3, 2, 1, 0xff, 0xf5, 0, 0, 0, 0, 0, 7, 8, 0, 0]
    );
    let (mut view, rest) = Odd::parse_mut(&mut out).unwrap();
    assert_eq!(
        (view.rest(), rest.len(), view.signed(), view.three()),
        (&[7, 8, 0, 0][..], 16, i13::new(-2), u3::new(5))
    );
    view.set_three(u3::new(0));
    view.set_little(0xa0b0_c0d0);
    assert_eq!(view.signed(), i13::new(-2));
    assert_eq!(out[..7], [0x54, 0xd0, 0xc0, 0xb0, 0xa0, 0xff, 0xf0]);
    for (byte, field, cause) in [
        (0x64, "version", Cause::Illegal { value: 6 }),
        (
            0x52,
            "rest",
            Cause::BadLength {
                claimed: 0,
                available: 20,
            },
        ),
        (
            0x5f,
            "rest",
            Cause::Truncated {
                needed: 60,
                available: 32,
            },
        ),
    ] {
        out[0] = byte;
        assert_eq!(
            Odd::parse(&out).unwrap_err(),
            ParseError {
                header: "Odd",
                field,
                cause
            }
        );
    }
}

/// A header that others hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[header(field)]
struct Tag {
    priority: u3,
    eligible: bool,
    vid: u12,
}

#[derive(Clone, Debug, PartialEq, Eq, Header)]
struct Tagged {
    kind: u8,
    outer: Tag,
    inner: Tag,
    #[header(bytes(len = kind))]
    body: TailBytes<4>,
}

#[test]
fn headers_in_headers() {
    let mut bytes = [1, 0x30, 0x64, 0xe1, 0x23, 9];
    let (view, rest) = Tagged::parse(&bytes).unwrap();
    assert!(rest.is_empty());
    let tag = |priority, eligible, vid| Tag {
        priority: u3::new(priority),
        eligible,
        vid: u12::new(vid),
    };
    assert_eq!(
        (view.outer(), view.inner()),
        (tag(1, true, 100), tag(7, false, 0x123))
    );
    assert_eq!((tagged::Inner::BIT_OFFSET, tagged::Inner::BITS), (24, 16));
    let mut out = [0; 6];
    assert_eq!(view.to_owned().unwrap().emit(&mut out), Ok(6));
    assert_eq!(out, bytes);
    let (mut view, _) = Tagged::parse_mut(&mut bytes).unwrap();
    view.set_inner(tag(0, true, 1));
    assert_eq!(bytes, [1, 0x30, 0x64, 0x10, 0x01, 9]);
    assert_eq!(
        Tagged::default().to_string(),
        "Tagged { kind: 0, outer: Tag { priority: 0, eligible: false, vid: 0 }, inner: Tag { priority: 0, eligible: false, vid: \
         0 }, body: [] }"
    );
}

#[test]
fn roles_and_text() {
    let carrier = Carrier {
        source: 1,
        destination: 2,
        length: 3,
        checksum: 4,
    };
    assert_eq!(
        carrier.to_string(),
        "Carrier { source: 1, destination: 2, length: 3, checksum: 0x4 }"
    );
    assert_eq!(Carrier::CHECKSUM.unwrap().offset, 6);
    assert_eq!(Carrier::LENGTH.unwrap().offset, 4);
    assert_eq!(carrier.selector(), 2);
}

#[test]
fn inside_a_function() {
    #[derive(Header)]
    struct Local {
        kind: u8,
        #[header(bytes(rest))]
        body: TailBytes<4>,
    }
    let (view, rest) = Local::parse(&[1, 2, 3]).unwrap();
    assert_eq!((view.kind(), view.body(), rest), (1, &[2, 3][..], &[][..]));
    assert_eq!(view.to_owned().unwrap().kind, 1);
    assert!(
        Local::parse(&[1, 2, 3, 4, 5, 6])
            .unwrap()
            .0
            .to_owned()
            .is_err()
    );
}
