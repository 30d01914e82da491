//! The stacks of headers that ingot is given, as its documentation writes them.

use ingot::Parse;
use ingot::choice;
use ingot::ethernet::{EthernetPacket, Ethertype};
use ingot::geneve::GenevePacket;
use ingot::icmp::{IcmpV4, IcmpV6, ValidIcmpV4, ValidIcmpV6};
use ingot::ip::{IpProtocol, Ipv4, Ipv6, Ipv6Packet, ValidIpv4, ValidIpv6};
use ingot::tcp::{Tcp, ValidTcp};
use ingot::types::{ByteSlice, ParseControl};
use ingot::udp::{Udp, UdpPacket, UdpRef, ValidUdp};

#[choice(on = Ethertype)]
pub enum Network {
    Ipv4 = Ethertype::IPV4,
    Ipv6 = Ethertype::IPV6,
}

#[choice(on = IpProtocol)]
pub enum Transport {
    Tcp = IpProtocol::TCP,
    Udp = IpProtocol::UDP,
    IcmpV4 = IpProtocol::ICMP,
    IcmpV6 = IpProtocol::ICMP_V6,
}

#[derive(Parse)]
pub struct Guest<Q: ByteSlice> {
    pub ethernet: EthernetPacket<Q>,
    pub network: Network<Q>,
    pub transport: Transport<Q>,
}

#[derive(Parse)]
pub struct Tunnel<Q: ByteSlice> {
    pub ethernet: EthernetPacket<Q>,
    #[ingot(from = "Network<Q>")]
    pub ipv6: Ipv6Packet<Q>,
    #[ingot(from = "Transport<Q>", control = to_geneve)]
    pub udp: UdpPacket<Q>,
    pub geneve: GenevePacket<Q>,
    pub inner_ethernet: EthernetPacket<Q>,
    pub network: Network<Q>,
    pub transport: Transport<Q>,
}

fn to_geneve<V: ByteSlice>(transport: &ValidTransport<V>) -> ParseControl {
    match transport {
        ValidTransport::Udp(udp) if udp.destination() == 6081 => ParseControl::Continue,
        _ => ParseControl::Reject,
    }
}
