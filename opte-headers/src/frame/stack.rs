//! What [`stack_parser!`](crate::stack_parser) makes of a stack with a name, and what its user may say in between.

use super::kind::HeaderKind;
use super::parsed::Parsed;
use crate::program::HeaderSpec;
use crate::protocol::{
    Ah, Arp, Esp, Ethernet, Geneve, Gre, Icmpv4, Icmpv6, Ipv4, Ipv6, Sctp, Tcp, Udp, Vlan, Vxlan,
};

use super::walk::Stacked;

/// What a control function of a stack parser says: `Header => control`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Control {
    /// Go on with what follows.
    #[default]
    Continue,
    /// Nothing behind this header is to be looked at. Where a header must follow, the frame is refused.
    Accept,
}

/// What a stack parser came to, with what its headers are: [`Parsed`] for the headers of this crate, and each type that
/// [`stack_parser!`](crate::stack_parser) makes for its own.
pub trait ParsedStack {
    /// The headers there may be, with their checksums, lengths and addresses.
    const HEADERS: &'static [(HeaderKind, HeaderSpec)];

    /// Shape and offsets.
    fn parsed(&self) -> &Parsed;

    /// What is known of a kind of header.
    fn spec(kind: HeaderKind) -> Option<&'static HeaderSpec> {
        let mut headers = Self::HEADERS.iter();
        headers
            .find(|(own, _)| *own == kind)
            .map(|(_, header)| header)
    }

    /// A view of the header of this type, the last one if there are several; none if it is not there.
    ///
    /// ```
    /// use opte_headers::frame::ParsedStack;
    /// use opte_headers::{Ethernet, Ipv4, Ipv4Get, Ipv6, stack_parser};
    /// # use opte_headers::{Ethertype, Header, ParseError};
    ///
    /// stack_parser! {
    ///     /// Ethernet and IP of either version.
    ///     pub fn parse_ip -> Ip = Ethernet (Ipv4 | Ipv6);
    /// }
    ///
    /// fn ttl(frame: &[u8]) -> Result<Option<u8>, ParseError> {
    ///     let ip = parse_ip(frame)?;
    ///     Ok(ip.narrow::<Ipv4>(frame).map(|ipv4| ipv4.ttl()))
    /// }
    /// # let mut frame = [0; 34];
    /// # Ethernet { ethertype: Ethertype::IPV4, ..Ethernet::default() }.emit(&mut frame).unwrap();
    /// # Ipv4 { total_len: 20, ..Ipv4::default() }.emit(&mut frame[14..]).unwrap();
    /// assert_eq!(ttl(&frame), Ok(Some(64)));
    /// ```
    fn narrow<'a, H: Stacked>(&self, frame: &'a [u8]) -> Option<H::View<'a>>
    where
        Self: Holds<H>,
    {
        self.parsed().view::<H>(frame, self.position())
    }
}

/// A parsed stack that may have this header in it; implemented by [`stack_parser!`](crate::stack_parser).
#[diagnostic::on_unimplemented(
    message = "the stack of `{Self}` has no `{H}`",
    label = "there is no `{H}` in any of its choices",
    note = "add it to the stack in the `stack_parser!` that makes `{Self}`"
)]
pub trait Holds<H: Stacked>: ParsedStack {
    /// Its position in the stack, the last if there are several; one that none has if it is not there.
    fn position(&self) -> u8;
}

impl ParsedStack for Parsed {
    const HEADERS: &'static [(HeaderKind, HeaderSpec)] = &[
        entry::<Ethernet>(),
        entry::<Vlan>(),
        entry::<Arp>(),
        entry::<Ipv4>(),
        entry::<Ipv6>(),
        entry::<Tcp>(),
        entry::<Udp>(),
        entry::<Icmpv4>(),
        entry::<Icmpv6>(),
        entry::<Geneve>(),
        entry::<Gre>(),
        entry::<Vxlan>(),
        entry::<Sctp>(),
        entry::<Esp>(),
        entry::<Ah>(),
    ];

    fn parsed(&self) -> &Parsed {
        self
    }
}

const fn entry<H: Stacked>() -> (HeaderKind, HeaderSpec) {
    (H::KIND, HeaderSpec::of::<H>())
}

// The numbers of this crate's own headers differ.
const _: () = {
    let mut rest = Parsed::HEADERS;
    while let [(kind, header), behind @ ..] = rest {
        let mut others = behind;
        while let [(other, name), more @ ..] = others {
            crate::derive::assert_kinds(header.name, *kind, name.name, *other);
            others = more;
        }
        rest = behind;
    }
};
