//! What identifies a flow, and what rules may ask of it.

use alloc::string::{String, ToString as _};
use core::fmt;
use core::net::IpAddr;

use opte_headers::frame::{FlowKey, KeyKind};
use opte_headers::program::{Keyed, Program, Template, Translation};
use opte_headers::{Ethertype, IpProtocol};

use zerocopy::{Immutable, IntoBytes};

use crate::api::FlowId;
use crate::rule::{Glance, Ip};

/// What all packets of a flow in one direction have in common. A network definition names its own; [`FlowKey`] serves
/// most.
pub trait Key: Copy + Eq + fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// Whether packets with this key make a flow. Those that do not (ARP) walk the layers each time.
    fn is_flow(&self) -> bool;

    /// What rules may ask of a packet with this key.
    fn fields(&self) -> Fields;

    /// Where packets with this key come from.
    fn source(&self) -> Option<IpAddr> {
        self.fields().source
    }

    /// [`Key::fields`] at a glance; asked for more often.
    fn glance(&self) -> Glance {
        Glance::of(&self.fields())
    }

    /// All of the key in six words, the last of which is below 2^16: keys are equal where their words are. So they are kept,
    /// compared and hashed.
    fn words(&self) -> [u64; 6];

    /// The key of these words.
    fn from_words(words: [u64; 6]) -> Self;

    /// The key of a packet with this key after `program` has been applied to it. `l3_index` is the position of the
    /// innermost IP header in the frame before.
    #[must_use]
    fn rewritten(&self, program: &Program, l3_index: u8) -> Self;

    /// Takes apart what `program` does to packets with this key ([`Program::bind`]). `l3_index` is as above.
    fn bind(&self, program: &Program, l3_index: u8) -> (Template, Translation);

    /// The translation that [`Key::bind`] gives if the template it gives is this one, and that is bound; else none. Most new
    /// flows go as one before them went: those that answer this in fewer steps than by [`Key::bind`] save the rest.
    fn translation(
        &self,
        template: &Template,
        program: &Program,
        l3_index: u8,
    ) -> Option<Translation> {
        let (bound, translation) = self.bind(program, l3_index);
        (bound.is_bound() && bound == *template).then_some(translation)
    }

    /// The kind of headers that packets with this key have, a number below 8: one program is bound to the same template for all
    /// keys of a kind, whatever it writes to their addresses and ports. None where that is not so.
    fn stack(&self) -> Option<u8> {
        None
    }

    /// Another key of the same [`Key::stack`], which differs from this one in every bit that programs may write: so it shows which
    /// of them a program does write. This one itself where there is none.
    #[must_use]
    fn contrast(&self) -> Self {
        *self
    }

    /// The [words](Key::words) of a key with the addresses and ports of `ends`; None where [`Key::stack`] is none.
    fn words_of(_ends: &FlowKey) -> Option<[u64; 6]> {
        None
    }

    /// The translation of a flow that has this key when it comes, and `after` when it leaves; None where
    /// [`Key::stack`] is none.
    fn translation_to(&self, _after: &Self, _keyed: &Keyed) -> Option<Translation> {
        None
    }

    /// The flow as people read it.
    fn id(&self) -> FlowId;

    /// What `program` does to packets with this key, as people read it.
    fn text_of(&self, program: &Program) -> String;
}

/// What rules may ask of a packet. A field that the packet lacks is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// What the innermost Ethernet header says follows.
    pub ethertype: Ethertype,
    /// The protocol over IP.
    pub protocol: Option<IpProtocol>,
    /// The source address.
    pub source: Option<IpAddr>,
    /// The destination address.
    pub destination: Option<IpAddr>,
    /// The source port.
    pub source_port: Option<u16>,
    /// The destination port.
    pub destination_port: Option<u16>,
    /// The ICMP or ICMPv6 type and code.
    pub icmp: Option<(u8, u8)>,
    /// The network's discriminator bits.
    pub flags: u8,
}

impl Key for FlowKey {
    #[inline]
    fn is_flow(&self) -> bool {
        self.kind != KeyKind::NOT_IP
    }

    fn fields(&self) -> Fields {
        let ip = self.kind != KeyKind::NOT_IP;
        let with_ports = self.kind == KeyKind::PLAIN && has_ports(self.ip_protocol());
        Fields {
            ethertype: match (ip, self.is_v4()) {
                (false, _) => Ethertype(self.destination_port),
                (true, true) => Ethertype::IPV4,
                (true, false) => Ethertype::IPV6,
            },
            protocol: ip.then(|| self.ip_protocol()),
            source: ip.then(|| self.source_ip()),
            destination: ip.then(|| self.destination_ip()),
            source_port: with_ports.then_some(self.source_port),
            destination_port: with_ports.then_some(self.destination_port),
            icmp: self.icmp(),
            flags: self.flags,
        }
    }

    fn source(&self) -> Option<IpAddr> {
        (self.kind != KeyKind::NOT_IP).then(|| self.source_ip())
    }

    #[inline(never)]
    fn glance(&self) -> Glance {
        let [a, b, c, d, ..] = FlowKey::words(self);
        let [a, b, c, d] = [a, b, c, d].map(u64::from_be);
        let [v4, both] = [(a, b), (c, d)].map(|(start, end)| start == 0 && end >> 32 == 0xffff);
        if self.kind == KeyKind::NOT_IP || v4 != both {
            return Glance::of(&self.fields());
        }
        // Those of IPv4 stand at the end.
        let aligned = |start, end| if v4 { [end << 32, 0] } else { [start, end] };
        let with_ports = self.kind == KeyKind::PLAIN && has_ports(self.ip_protocol());
        Glance::of_ip(&Ip {
            v4,
            protocol: self.protocol,
            source: aligned(a, b),
            destination: aligned(c, d),
            ports: with_ports.then_some((self.source_port, self.destination_port)),
            icmp: if with_ports { None } else { self.icmp() },
            flags: self.flags,
        })
    }

    #[inline(always)]
    fn words(&self) -> [u64; 6] {
        FlowKey::words(self)
    }

    #[inline(always)]
    fn from_words([a, b, c, d, e, f]: [u64; 6]) -> Self {
        #[derive(IntoBytes, Immutable)]
        #[repr(C)]
        struct Words {
            whole: [[u8; 8]; 5],
            rest: [u8; 2],
        }
        zerocopy::transmute!(Words {
            whole: [a, b, c, d, e].map(u64::to_ne_bytes),
            rest: (f as u16).to_ne_bytes(),
        })
    }

    fn rewritten(&self, program: &Program, l3_index: u8) -> Self {
        FlowKey::rewritten(self, program, l3_index)
    }

    fn bind(&self, program: &Program, l3_index: u8) -> (Template, Translation) {
        program.bind(self, l3_index)
    }

    fn translation(
        &self,
        template: &Template,
        program: &Program,
        l3_index: u8,
    ) -> Option<Translation> {
        template.translation(program, self, l3_index)
    }

    #[inline]
    fn stack(&self) -> Option<u8> {
        FlowKey::stack(self)
    }

    fn contrast(&self) -> Self {
        let mut other = *self;
        let from = if self.is_v4() { 12 } else { 0 };
        for address in [&mut other.source, &mut other.destination] {
            address.iter_mut().skip(from).for_each(|byte| *byte ^= 0xff);
        }
        other.source_port ^= 0xffff;
        other.destination_port ^= 0xffff;
        // What looks like another family is no contrast.
        if FlowKey::stack(&other) == FlowKey::stack(self) {
            other
        } else {
            *self
        }
    }

    #[inline(always)]
    fn words_of(ends: &FlowKey) -> Option<[u64; 6]> {
        Some(ends.words())
    }

    #[inline(always)]
    fn translation_to(&self, after: &Self, keyed: &Keyed) -> Option<Translation> {
        Some(keyed.translation(self, after))
    }

    fn id(&self) -> FlowId {
        FlowId::from(self)
    }

    fn text_of(&self, program: &Program) -> String {
        program.of_flow(self).to_string()
    }
}

fn has_ports(protocol: IpProtocol) -> bool {
    matches!(
        protocol,
        IpProtocol::TCP | IpProtocol::UDP | IpProtocol::SCTP
    )
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address() -> impl Strategy<Value = [u8; 16]> {
        prop_oneof![
            any::<[u8; 16]>(),
            any::<[u8; 4]>().prop_map(|v4| FlowKey::octets_of_v4(v4.into())),
        ]
    }

    proptest! {
        /// The short way to a glance and the one by fields.
        #[test]
        fn a_glance_is_one_at_the_fields(
            (source, destination) in (address(), address()),
            (source_port, destination_port) in any::<(u16, u16)>(),
            protocol in prop_oneof![Just(1), Just(6), Just(17), Just(58), Just(132), any::<u8>()],
            (kind, flags) in (0u8..6, any::<u8>()),
        ) {
            let key = FlowKey {
                source,
                destination,
                source_port,
                destination_port,
                protocol,
                flags,
                kind: KeyKind(kind),
                ..FlowKey::ZERO
            };
            prop_assert_eq!(key.glance(), Glance::of(&Key::fields(&key)));
        }
    }
}
