//! Frames as tests see them: built whole, read whole, with sums by the book.

use std::net::{IpAddr, Ipv6Addr};

use opte_headers::options::Options;
use opte_headers::{
    Ethernet, EthernetGet, Ethertype, Geneve, GeneveGet, GeneveOption, Header, Icmpv4, Icmpv4Get,
    Icmpv4Type, Icmpv6, Icmpv6Get, Icmpv6Type, IpProtocol, Ipv4, Ipv4Get, Ipv6, Ipv6Get, MacAddr,
    Tcp, TcpFlags, TcpGet, Udp, UdpGet, Vni,
};

/// A frame between two stations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub source_mac: MacAddr,
    pub destination_mac: MacAddr,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub body: Body,
}

/// What is behind the IP header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    Tcp {
        source: u16,
        destination: u16,
        flags: TcpFlags,
        sequence: u32,
        acknowledgement: u32,
        data: Vec<u8>,
    },
    Udp {
        source: u16,
        destination: u16,
        data: Vec<u8>,
    },
    /// ICMP or ICMPv6, as the addresses are; data with what the type wants embedded.
    Icmp {
        ty: u8,
        code: u8,
        identifier: u16,
        sequence: u16,
        data: Vec<u8>,
    },
    Other {
        protocol: u8,
        data: Vec<u8>,
    },
}

pub fn udp(source: u16, destination: u16, data: &[u8]) -> Body {
    Body::Udp {
        source,
        destination,
        data: data.to_vec(),
    }
}

pub fn tcp(
    source: u16,
    destination: u16,
    flags: TcpFlags,
    sequence: u32,
    acknowledgement: u32,
    data: &[u8],
) -> Body {
    Body::Tcp {
        source,
        destination,
        flags,
        sequence,
        acknowledgement,
        data: data.to_vec(),
    }
}

impl Frame {
    /// An echo request, of ICMP or ICMPv6 as the addresses are.
    pub fn ping(
        source: (MacAddr, IpAddr),
        destination: (MacAddr, IpAddr),
        identifier: u16,
        sequence: u16,
    ) -> Self {
        let ty = if destination.1.is_ipv4() {
            Icmpv4Type::ECHO_REQUEST.0
        } else {
            Icmpv6Type::ECHO_REQUEST.0
        };
        let body = Body::Icmp {
            ty,
            code: 0,
            identifier,
            sequence,
            data: b"abcdefgh".to_vec(),
        };
        Self::new(source, destination, body)
    }

    pub fn new(source: (MacAddr, IpAddr), destination: (MacAddr, IpAddr), body: Body) -> Self {
        Self {
            source_mac: source.0,
            destination_mac: destination.0,
            source: source.1,
            destination: destination.1,
            body,
        }
    }

    /// What the receiver of a ping answers.
    pub fn pong(&self) -> Self {
        let Body::Icmp {
            ty,
            code,
            identifier,
            sequence,
            data,
        } = &self.body
        else {
            panic!("no ping: {self:?}")
        };
        let ty = if *ty == Icmpv4Type::ECHO_REQUEST.0 {
            0
        } else {
            ty + 1
        };
        let body = Body::Icmp {
            ty,
            code: *code,
            identifier: *identifier,
            sequence: *sequence,
            data: data.clone(),
        };
        self.answered(body)
    }

    /// A frame the other way, with another body.
    pub fn answered(&self, body: Body) -> Self {
        Self::new(
            (self.destination_mac, self.destination),
            (self.source_mac, self.source),
            body,
        )
    }

    /// The same UDP datagram the other way.
    pub fn echoed(&self) -> Self {
        let Body::Udp {
            source,
            destination,
            data,
        } = &self.body
        else {
            panic!("no UDP: {self:?}")
        };
        self.answered(Body::Udp {
            source: *destination,
            destination: *source,
            data: data.clone(),
        })
    }

    /// The bytes, with lengths and checksums.
    pub fn bytes(&self) -> Vec<u8> {
        let (protocol, mut body) = self.body(self.destination.is_ipv4());
        let place = match protocol {
            IpProtocol::TCP => Some(16),
            IpProtocol::UDP => Some(6),
            IpProtocol::ICMP | IpProtocol::ICMPV6 => Some(2),
            _ => None,
        };
        if let Some(place) = place {
            let mut covered = body.clone();
            if protocol != IpProtocol::ICMP {
                covered.splice(0..0, self.pseudo(protocol, body.len()));
            }
            let sum = match sum(&covered) {
                0 if protocol == IpProtocol::UDP => 0xffff,
                sum => sum,
            };
            body[place..place + 2].copy_from_slice(&sum.to_be_bytes());
        }
        let mut bytes = Vec::new();
        let ethertype = if self.destination.is_ipv4() {
            Ethertype::IPV4
        } else {
            Ethertype::IPV6
        };
        emit(
            &Ethernet {
                destination: self.destination_mac,
                source: self.source_mac,
                ethertype,
            },
            &mut bytes,
        );
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let total_len = 20 + body.len() as u16;
                let mut header = Vec::new();
                emit(
                    &Ipv4 {
                        total_len,
                        protocol,
                        source,
                        destination,
                        ..Ipv4::default()
                    },
                    &mut header,
                );
                let checksum = sum(&header).to_be_bytes();
                header[10..12].copy_from_slice(&checksum);
                bytes.extend(header);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let payload_len = body.len() as u16;
                emit(
                    &Ipv6 {
                        payload_len,
                        next_header: protocol,
                        source,
                        destination,
                        ..Ipv6::default()
                    },
                    &mut bytes,
                );
            }
            mixed => panic!("addresses of two families: {mixed:?}"),
        }
        bytes.extend(body);
        bytes
    }

    /// The same with another hop limit (IPv6) or time to live (IPv4).
    pub fn bytes_with_hop_limit(&self, hops: u8) -> Vec<u8> {
        let mut bytes = self.bytes();
        set_hop_limit(&mut bytes, hops);
        bytes
    }

    /// Reads a frame that may come from elsewhere than a test: its hop limit is its own, and it may forbid to fragment it.
    #[track_caller]
    pub fn read_any_hop_limit(bytes: &[u8]) -> Self {
        let mut bytes = bytes.to_vec();
        set_hop_limit(&mut bytes, 64);
        Self::read(&bytes)
    }

    /// Reads a frame, which must be right in every byte: sums, lengths, and nothing else in it than a test put there.
    #[track_caller]
    pub fn read(bytes: &[u8]) -> Self {
        let (ethernet, rest) = Ethernet::parse(bytes).unwrap();
        let (source, destination, protocol, rest): (IpAddr, IpAddr, _, _) =
            match ethernet.ethertype() {
                Ethertype::IPV4 => {
                    let (ip, rest) = Ipv4::parse(rest).unwrap();
                    (
                        ip.source().into(),
                        ip.destination().into(),
                        ip.protocol(),
                        rest,
                    )
                }
                Ethertype::IPV6 => {
                    let (ip, rest) = Ipv6::parse(rest).unwrap();
                    (
                        ip.source().into(),
                        ip.destination().into(),
                        ip.next_header(),
                        rest,
                    )
                }
                other => panic!("a frame of {other}"),
            };
        let body = match protocol {
            IpProtocol::TCP => {
                let (tcp, data) = Tcp::parse(rest).unwrap();
                Body::Tcp {
                    source: tcp.source(),
                    destination: tcp.destination(),
                    flags: tcp.flags(),
                    sequence: tcp.sequence(),
                    acknowledgement: tcp.acknowledgement(),
                    data: data.to_vec(),
                }
            }
            IpProtocol::UDP => {
                let (header, data) = Udp::parse(rest).unwrap();
                udp(header.source(), header.destination(), data)
            }
            IpProtocol::ICMP => {
                let (icmp, data) = Icmpv4::parse(rest).unwrap();
                Body::Icmp {
                    ty: icmp.ty().0,
                    code: icmp.code(),
                    identifier: icmp.identifier(),
                    sequence: icmp.sequence(),
                    data: data.to_vec(),
                }
            }
            IpProtocol::ICMPV6 => {
                let (icmp, data) = Icmpv6::parse(rest).unwrap();
                Body::Icmp {
                    ty: icmp.ty().0,
                    code: icmp.code(),
                    identifier: icmp.identifier(),
                    sequence: icmp.sequence(),
                    data: data.to_vec(),
                }
            }
            other => Body::Other {
                protocol: other.0,
                data: rest.to_vec(),
            },
        };
        let frame = Self {
            source_mac: ethernet.source(),
            destination_mac: ethernet.destination(),
            source,
            destination,
            body,
        };
        assert_eq!(
            bytes,
            frame.bytes(),
            "a sum, a length or another field is wrong in {frame:?}"
        );
        frame
    }

    fn body(&self, v4: bool) -> (IpProtocol, Vec<u8>) {
        let mut bytes = Vec::new();
        match &self.body {
            Body::Tcp {
                source,
                destination,
                flags,
                sequence,
                acknowledgement,
                data,
            } => {
                let header = Tcp {
                    source: *source,
                    destination: *destination,
                    flags: *flags,
                    sequence: *sequence,
                    acknowledgement: *acknowledgement,
                    window: 0xffff,
                    ..Tcp::default()
                };
                emit(&header, &mut bytes);
                bytes.extend(data);
                (IpProtocol::TCP, bytes)
            }
            Body::Udp {
                source,
                destination,
                data,
            } => {
                let length = 8 + data.len() as u16;
                emit(
                    &Udp {
                        source: *source,
                        destination: *destination,
                        length,
                        ..Udp::default()
                    },
                    &mut bytes,
                );
                bytes.extend(data);
                (IpProtocol::UDP, bytes)
            }
            Body::Icmp {
                ty,
                code,
                identifier,
                sequence,
                data,
            } => {
                let (code, identifier, sequence) = (*code, *identifier, *sequence);
                if v4 {
                    emit(
                        &Icmpv4 {
                            ty: Icmpv4Type(*ty),
                            code,
                            identifier,
                            sequence,
                            checksum: 0,
                        },
                        &mut bytes,
                    );
                } else {
                    emit(
                        &Icmpv6 {
                            ty: Icmpv6Type(*ty),
                            code,
                            identifier,
                            sequence,
                            checksum: 0,
                        },
                        &mut bytes,
                    );
                }
                bytes.extend(data);
                (
                    if v4 {
                        IpProtocol::ICMP
                    } else {
                        IpProtocol::ICMPV6
                    },
                    bytes,
                )
            }
            Body::Other { protocol, data } => (IpProtocol(*protocol), data.clone()),
        }
    }

    fn pseudo(&self, protocol: IpProtocol, len: usize) -> Vec<u8> {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => [
                &source.octets()[..],
                &destination.octets(),
                &[0, protocol.0],
                &(len as u16).to_be_bytes(),
            ]
            .concat(),
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let len = (len as u32).to_be_bytes();
                [
                    &source.octets()[..],
                    &destination.octets(),
                    &len,
                    &[0, 0, 0, protocol.0],
                ]
                .concat()
            }
            mixed => panic!("addresses of two families: {mixed:?}"),
        }
    }
}

/// What is around a frame in a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    pub vni: Vni,
    pub external: bool,
}

impl Outer {
    /// The frame in its tunnel, as another host or the boundary sends it.
    pub fn around(&self, inner: &[u8]) -> Vec<u8> {
        let options: &[GeneveOption<'static>] = if self.external {
            &[GeneveOption::External]
        } else {
            &[]
        };
        let mut geneve = Vec::new();
        emit(
            &Geneve {
                vni: self.vni,
                options: Options::of(options).unwrap(),
                ..Geneve::default()
            },
            &mut geneve,
        );
        let length = (8 + geneve.len() + inner.len()) as u16;
        let mut bytes = Vec::new();
        emit(
            &Ethernet {
                ethertype: Ethertype::IPV6,
                ..Ethernet::default()
            },
            &mut bytes,
        );
        let (source, destination) = (self.source, self.destination);
        let next_header = IpProtocol::UDP;
        emit(
            &Ipv6 {
                payload_len: length,
                next_header,
                source,
                destination,
                ..Ipv6::default()
            },
            &mut bytes,
        );
        emit(
            &Udp {
                source: 50_000,
                destination: Geneve::PORT,
                length,
                checksum: 0,
            },
            &mut bytes,
        );
        bytes.extend(geneve);
        bytes.extend(inner);
        bytes
    }

    /// What a host has put around a frame, and the frame. All that the host fills in is checked.
    #[track_caller]
    pub fn off(bytes: &[u8]) -> (Self, &[u8]) {
        let (ethernet, rest) = Ethernet::parse(bytes).unwrap();
        assert_eq!(ethernet.ethertype(), Ethertype::IPV6);
        let (ip, rest) = Ipv6::parse(rest).unwrap();
        assert_eq!((ip.next_header(), ip.hop_limit()), (IpProtocol::UDP, 128));
        assert_eq!(usize::from(ip.payload_len()), rest.len());
        let (udp, behind) = Udp::parse(rest).unwrap();
        assert_eq!((udp.destination(), udp.checksum()), (Geneve::PORT, 0));
        assert_eq!(usize::from(udp.length()), rest.len());
        assert!(
            udp.source() >= 0xc000,
            "a dynamic port carries the flow's entropy"
        );
        assert_eq!(
            ip.flow_label().value() as u16 & 0x3fff,
            udp.source() & 0x3fff,
            "so does the flow label"
        );
        let (geneve, inner) = Geneve::parse(behind).unwrap();
        assert_eq!(
            (geneve.protocol(), geneve.opt_len().value()),
            (Ethertype::ETHERNET, 0)
        );
        let outer = Self {
            source: ip.source(),
            destination: ip.destination(),
            vni: geneve.vni(),
            external: false,
        };
        (outer, inner)
    }
}

fn set_hop_limit(bytes: &mut [u8], hops: u8) {
    if bytes[12..14] == [0x86, 0xdd] {
        bytes[21] = hops;
        return;
    }
    let sum_before = u16::from_be_bytes([bytes[24], bytes[25]]);
    bytes[24..26].fill(0);
    assert!(
        sum_before == sum(&bytes[14..34]),
        "the sum of the IPv4 header is wrong"
    );
    // A test's frames may be fragmented.
    bytes[20] &= !0x40;
    bytes[22] = hops;
    let sum = sum(&bytes[14..34]).to_be_bytes();
    bytes[24..26].copy_from_slice(&sum);
}

fn emit<H: Header>(header: &H, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.resize(start + header.len(), 0);
    header.emit(&mut bytes[start..]).unwrap();
}

/// The internet checksum, a word at a time (RFC 1071).
fn sum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for word in bytes.chunks(2) {
        sum += u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
