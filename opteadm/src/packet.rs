//! A packet from arguments, as a guest or another host would send it.

use std::net::{IpAddr, Ipv6Addr};

use opte::Direction;
use opte::api::OpteError;
use opte_headers::checksum::{Sum, pseudo_v4, pseudo_v6};
use opte_headers::options::Options;
use opte_headers::{
    Ethernet, Ethertype, Geneve, GeneveOption, Header, Icmpv4, Icmpv4Type, Icmpv6, Icmpv6Type,
    IpProtocol, Ipv4, Ipv6, Tcp, TcpFlags, Udp,
};
use oxide_vpc::api::{CreateXdeReq, IpConfig, MacAddr, VpcCfg};
use oxide_vpc::network::BOUNDARY_VNI;

use crate::args::{Described, TracedProtocol};

/// Where a port is: what the frames that come to it depend on.
#[derive(Debug)]
pub(crate) enum Place {
    /// In a VPC.
    Vpc(Box<VpcCfg>),
    /// On a LAN.
    Lan(IpConfig),
}

impl From<CreateXdeReq> for Place {
    fn from(request: CreateXdeReq) -> Self {
        Self::Vpc(Box::new(request.cfg))
    }
}

impl Place {
    /// Whom a frame is from, and whom it is to, within the tunnel if there is one.
    fn stations(&self, dir: Direction) -> (MacAddr, MacAddr) {
        match (self, dir) {
            (Self::Vpc(cfg), Direction::Out) => (cfg.guest_mac, cfg.gateway_mac),
            (Self::Vpc(cfg), Direction::In) => (cfg.gateway_mac, cfg.guest_mac),
            (Self::Lan(cfg), Direction::Out) => (cfg.guest_mac, cfg.gateway_mac),
            (Self::Lan(cfg), Direction::In) => (cfg.gateway_mac, cfg.public_mac),
        }
    }
}

/// The frame that is described, as it comes to the port.
pub(crate) fn frame(
    described: &Described,
    dir: Direction,
    port: &Place,
) -> Result<Vec<u8>, OpteError> {
    let (source, destination) = match (described.source, described.destination) {
        (Some(source), Some(destination)) if source.is_ipv4() == destination.is_ipv4() => {
            (source, destination)
        }
        _ => {
            return Err(invalid(
                "a source and a destination of one family are needed",
            ));
        }
    };
    let (from, to) = port.stations(dir);
    let (protocol, body) = body(described, source, destination)?;
    let ethertype = match destination {
        IpAddr::V4(_) => Ethertype::IPV4,
        IpAddr::V6(_) => Ethertype::IPV6,
    };
    let mut frame = emitted(&Ethernet {
        destination: to,
        source: from,
        ethertype,
    })?;
    frame.extend(ip(source, destination, protocol, body.len())?);
    frame.extend(body);
    match (dir, port) {
        (Direction::In, Place::Vpc(cfg)) => in_tunnel(described.external, cfg, &frame),
        (Direction::Out, _) | (Direction::In, Place::Lan(_)) => Ok(frame),
    }
}

/// What is behind the IP header.
fn body(
    described: &Described,
    source: IpAddr,
    destination: IpAddr,
) -> Result<(IpProtocol, Vec<u8>), OpteError> {
    let ports = (described.source_port, described.destination_port);
    let make = |sum: u16| match described.protocol {
        TracedProtocol::Tcp => emitted(&Tcp {
            source: ports.0,
            destination: ports.1,
            flags: described.flags,
            window: u16::MAX,
            checksum: sum,
            ..Tcp::default()
        }),
        TracedProtocol::Udp => emitted(&Udp {
            source: ports.0,
            destination: ports.1,
            length: 8,
            checksum: sum,
        }),
        TracedProtocol::Icmp if source.is_ipv4() => emitted(&Icmpv4 {
            ty: Icmpv4Type::ECHO_REQUEST,
            code: 0,
            identifier: ports.0,
            sequence: 1,
            checksum: sum,
        }),
        TracedProtocol::Icmp => emitted(&Icmpv6 {
            ty: Icmpv6Type::ECHO_REQUEST,
            code: 0,
            identifier: ports.0,
            sequence: 1,
            checksum: sum,
        }),
    };
    let protocol = match described.protocol {
        TracedProtocol::Tcp => IpProtocol::TCP,
        TracedProtocol::Udp => IpProtocol::UDP,
        TracedProtocol::Icmp if source.is_ipv4() => IpProtocol::ICMP,
        TracedProtocol::Icmp => IpProtocol::ICMPV6,
    };
    let plain = make(0)?;
    // Headers without data, some tens of octets.
    let length = plain.len() as u16;
    let pseudo = match (source, destination) {
        _ if protocol == IpProtocol::ICMP => Sum::ZERO,
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            pseudo_v4(source, destination, protocol.0, length)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            pseudo_v6(source, destination, protocol.0, length.into())
        }
        _ => Sum::ZERO,
    };
    let sum = match pseudo.with(&plain).checksum() {
        0 if protocol == IpProtocol::UDP => u16::MAX,
        sum => sum,
    };
    Ok((protocol, make(sum)?))
}

fn ip(
    source: IpAddr,
    destination: IpAddr,
    protocol: IpProtocol,
    length: usize,
) -> Result<Vec<u8>, OpteError> {
    // Headers without data, some tens of octets.
    let length = length as u16;
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let header = Ipv4 {
                total_len: 20 + length,
                protocol,
                source,
                destination,
                ..Ipv4::default()
            };
            let checksum = Sum::of(&emitted(&header)?).checksum();
            emitted(&Ipv4 { checksum, ..header })
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => emitted(&Ipv6 {
            payload_len: length,
            next_header: protocol,
            source,
            destination,
            ..Ipv6::default()
        }),
        _ => Err(invalid("the addresses are of two families")),
    }
}

/// A frame as another host or the boundary sends it to the port's host.
fn in_tunnel(external: bool, cfg: &VpcCfg, inner: &[u8]) -> Result<Vec<u8>, OpteError> {
    let options: &[GeneveOption<'static>] = match external {
        true => &[GeneveOption::External],
        false => &[],
    };
    let options = Options::of(options).map_err(|_| invalid("no room for options"))?;
    let geneve = emitted(&Geneve {
        vni: if external { BOUNDARY_VNI } else { cfg.vni },
        options,
        ..Geneve::default()
    })?;
    let length = u16::try_from(8 + geneve.len() + inner.len());
    let length = length.map_err(|_| invalid("the frame is too long"))?;
    let mut frame = emitted(&Ethernet {
        ethertype: Ethertype::IPV6,
        ..Ethernet::default()
    })?;
    frame.extend(emitted(&Ipv6 {
        payload_len: length,
        next_header: IpProtocol::UDP,
        source: ANOTHER_HOST,
        destination: cfg.phys_ip,
        ..Ipv6::default()
    })?);
    frame.extend(emitted(&Udp {
        source: 0xc000,
        destination: Geneve::PORT,
        length,
        checksum: 0,
    })?);
    frame.extend(geneve);
    frame.extend(inner);
    Ok(frame)
}

/// Where tunnelled frames are said to come from; nothing depends on it.
const ANOTHER_HOST: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);

fn emitted<H: Header>(header: &H) -> Result<Vec<u8>, OpteError> {
    let mut bytes = vec![0; header.len()];
    match header.emit(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(invalid(&format!("{error:?}"))),
    }
}

/// A frame in hexadecimal, with or without blanks and colons between octets.
pub(crate) fn parse_hex(text: &str) -> Result<Vec<u8>, String> {
    let is_between = |c: &char| c.is_whitespace() || *c == ':';
    let digits = text.chars().filter(|c| !is_between(c));
    let digits = digits.map(|c| {
        c.to_digit(16)
            .ok_or_else(|| format!("'{c}' is no hexadecimal digit"))
    });
    let digits = digits.collect::<Result<Vec<u32>, String>>()?;
    let (octets, rest) = digits.as_chunks::<2>();
    match rest {
        [] => Ok(octets
            .iter()
            .map(|[high, low]| (high << 4 | low) as u8)
            .collect()),
        _ => Err("an octet has two digits".into()),
    }
}

/// Names of TCP flags with commas between them.
pub(crate) fn parse_flags(text: &str) -> Result<TcpFlags, String> {
    let names = text.split(',').filter(|name| !name.is_empty());
    names
        .map(|name| {
            TcpFlags::from_name(&name.to_uppercase()).ok_or_else(|| {
                format!("'{name}' is no flag (expected fin, syn, rst, psh, ack, urg, ece, cwr)")
            })
        })
        .try_fold(TcpFlags::empty(), |flags, flag| Ok(flags | flag?))
}

fn invalid(reason: &str) -> OpteError {
    OpteError::InvalidArgument {
        name: "packet".into(),
        reason: reason.into(),
    }
}
