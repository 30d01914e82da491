//! What is decided once for a flow and kept with it may depend on the flow's key, and on nothing else of its first packet.

use crate::frame::FlowKey;
use crate::header::{InFlowKey, KeyPart};
use crate::wire::{FieldValue, Wire};

impl FlowKey {
    /// The value that field `F` has in every packet of the flow: `key.get::<ipv4::Destination>()`. Fields that differ from
    /// packet to packet (TTL, TCP flags, payload) are not to be had, so that what is cached with the flow cannot depend on
    /// them.
    ///
    /// None where packets of the flow have no such field: an IPv4 address of an IPv6 flow, a port of ICMP. Ports are those of
    /// whichever protocol the flow has.
    ///
    /// ```
    /// use core::net::Ipv4Addr;
    /// use opte_headers::{FlowKey, ipv4, tcp};
    ///
    /// let source = Ipv4Addr::new(192, 0, 2, 1);
    /// let key = FlowKey {
    ///     source: FlowKey::octets_of_v4(source),
    ///     destination: FlowKey::octets_of_v4(Ipv4Addr::LOCALHOST),
    ///     destination_port: 443,
    ///     ..FlowKey::ZERO
    /// };
    /// assert_eq!(key.get::<ipv4::Source>(), Some(source));
    /// assert_eq!(key.get::<tcp::Destination>(), Some(443));
    /// ```
    /// ```compile_fail
    /// # use opte_headers::{FlowKey, ipv4};
    /// // error: `ipv4::Ttl` is not part of the flow key
    /// FlowKey::ZERO.get::<ipv4::Ttl>();
    /// ```
    #[must_use]
    pub fn get<F: InFlowKey>(&self) -> Option<F::Value> {
        let number = |number: u64| Wire::from_number(number).map(F::Value::from_wire);
        let address = |octets: &[u8; 16]| {
            let matches = match F::BITS {
                32 => self.is_v4(),
                128 => self.is_v6(),
                _ => false,
            };
            let value = || F::Value::from_wire(Wire::read(octets, 128 - F::BITS, false));
            matches.then(value)
        };
        let plain = self.kind == crate::frame::KeyKind::PLAIN;
        match F::PART {
            KeyPart::Source => address(&self.source),
            KeyPart::Destination => address(&self.destination),
            KeyPart::SourcePort => number(self.source_port.into()).filter(|_| plain),
            KeyPart::DestinationPort => number(self.destination_port.into()).filter(|_| plain),
            KeyPart::Protocol => number(self.protocol.into()),
            KeyPart::Vni => number(self.vni().as_u32().into()),
            KeyPart::IcmpType => self.icmp().and_then(|(ty, _)| number(ty.into())),
            KeyPart::IcmpCode => self.icmp().and_then(|(_, code)| number(code.into())),
            KeyPart::Identifier => {
                let echo = self.icmp().is_some() && self.kind != crate::frame::KeyKind::ICMP;
                number(self.source_port.into()).filter(|_| echo)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::KeyKind;
    use crate::protocol::{geneve, icmpv4, icmpv6, ipv4, ipv6, udp};
    use crate::{Icmpv4Type, Icmpv6Type, IpProtocol, Vni};
    use core::net::{Ipv4Addr, Ipv6Addr};

    fn v4() -> FlowKey {
        FlowKey {
            source: FlowKey::octets_of_v4(Ipv4Addr::new(10, 0, 0, 1)),
            destination: FlowKey::octets_of_v4(Ipv4Addr::new(10, 0, 0, 2)),
            source_port: 1000,
            destination_port: 53,
            protocol: IpProtocol::UDP.0,
            ..FlowKey::ZERO
        }
        .with_vni(Vni::MAX)
    }

    #[test]
    fn fields_of_a_key() {
        let key = v4();
        let source = key.get::<ipv4::Source>();
        assert_eq!(source, Some(Ipv4Addr::new(10, 0, 0, 1)));
        let destination = key.get::<ipv4::Destination>();
        assert_eq!(destination, Some(Ipv4Addr::new(10, 0, 0, 2)));
        assert_eq!(key.get::<ipv6::Source>(), None);
        assert_eq!(key.get::<udp::Source>(), Some(1000));
        assert_eq!(key.get::<udp::Destination>(), Some(53));
        assert_eq!(key.get::<ipv4::Protocol>(), Some(IpProtocol::UDP));
        assert_eq!(key.get::<geneve::Vni>(), Some(Vni::MAX));
        assert_eq!(key.get::<icmpv4::Identifier>(), None);
        let source = Ipv6Addr::LOCALHOST;
        let key = FlowKey {
            source: source.octets(),
            ..key
        };
        assert_eq!(key.get::<ipv6::Source>(), Some(source));
        assert_eq!(key.get::<ipv4::Source>(), None);
    }

    #[test]
    fn icmp() {
        let echo = FlowKey {
            protocol: IpProtocol::ICMP.0,
            kind: KeyKind::ECHO_REPLY,
            ..v4()
        };
        assert_eq!(echo.get::<icmpv4::Ty>(), Some(Icmpv4Type::ECHO_REPLY));
        assert_eq!(echo.get::<icmpv4::Identifier>(), Some(1000));
        assert_eq!(echo.get::<udp::Source>(), None);
        let other = FlowKey {
            protocol: IpProtocol::ICMPV6.0,
            kind: KeyKind::ICMP,
            source_port: 0x0104,
            ..v4()
        };
        assert_eq!(other.get::<icmpv6::Ty>(), Some(Icmpv6Type(1)));
        assert_eq!(other.get::<icmpv6::Code>(), Some(4));
        assert_eq!(other.get::<icmpv6::Identifier>(), None);
    }
}
