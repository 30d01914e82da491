//! DHCPv4 messages written and read byte by byte.

use std::net::Ipv4Addr;

use crate::frames::with_checksums;
use crate::{GATEWAY_IP, GATEWAY_MAC, GUEST_MAC};

pub(crate) type Options = Vec<(u8, Vec<u8>)>;

pub(crate) const DISCOVER: u8 = 1;
pub(crate) const OFFER: u8 = 2;
pub(crate) const REQUEST: u8 = 3;
pub(crate) const DECLINE: u8 = 4;
pub(crate) const ACK: u8 = 5;
pub(crate) const NAK: u8 = 6;
pub(crate) const RELEASE: u8 = 7;
pub(crate) const INFORM: u8 = 8;

pub(crate) const BROADCAST: Ipv4Addr = Ipv4Addr::BROADCAST;
pub(crate) const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
pub(crate) const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 9, 8, 7);

/// What a client sends; by default a broadcast of somebody without an address.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) flags: u16,
    pub(crate) client_ip: Ipv4Addr,
    pub(crate) server_name: Vec<u8>,
    pub(crate) boot_file: Vec<u8>,
    pub(crate) options: Vec<u8>,
}

impl Message {
    pub(crate) fn new(ty: u8) -> Self {
        let (server_name, boot_file) = (vec![0; 64], vec![0; 128]);
        let options = vec![53, 1, ty];
        Self {
            source: NOBODY,
            destination: BROADCAST,
            flags: 0,
            client_ip: NOBODY,
            server_name,
            boot_file,
            options,
        }
    }

    pub(crate) fn option(mut self, code: u8, body: &[u8]) -> Self {
        self.options.extend([code, body.len() as u8]);
        self.options.extend(body);
        self
    }

    /// Of a client that has an address, to its server.
    pub(crate) fn unicast(mut self, client_ip: Ipv4Addr) -> Self {
        (self.source, self.destination, self.client_ip) = (client_ip, GATEWAY_IP, client_ip);
        self
    }

    pub(crate) fn client_ip(mut self, client_ip: Ipv4Addr) -> Self {
        self.client_ip = client_ip;
        self
    }

    pub(crate) fn flags(mut self, flags: u16) -> Self {
        self.flags = flags;
        self
    }

    pub(crate) fn frame(&self) -> Vec<u8> {
        let mut message = vec![1, 1, 6, 0, 0xb5, 0xca, 0x88, 0x03, 0, 7];
        message.extend(self.flags.to_be_bytes());
        message.extend(self.client_ip.octets());
        message.extend([0; 12]);
        message.extend(GUEST_MAC.0);
        message.extend([0; 10]);
        message.extend(&self.server_name);
        message.extend(&self.boot_file);
        message.extend([99, 130, 83, 99]);
        message.extend(&self.options);
        message.push(255);
        let mac = if self.destination == BROADCAST {
            [0xff; 6]
        } else {
            GATEWAY_MAC.0
        };
        let mut frame = [&mac[..], &GUEST_MAC.0, &[8, 0, 0x45, 0]].concat();
        frame.extend((message.len() as u16 + 28).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 17, 0, 0]);
        frame.extend(self.source.octets());
        frame.extend(self.destination.octets());
        frame.extend([0, 68, 0, 67]);
        frame.extend((message.len() as u16 + 8).to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(message);
        with_checksums(frame)
    }
}

/// The options of a reply, split ones apart.
pub(crate) fn options(reply: &[u8]) -> Options {
    assert_eq!(reply[278..282], [99, 130, 83, 99], "cookie");
    let mut rest = &reply[282..];
    let mut options = Vec::new();
    while rest[0] != 255 {
        let (body, behind) = rest[2..].split_at(rest[1].into());
        options.push((rest[0], body.to_vec()));
        rest = behind;
    }
    assert!(rest[1..].iter().all(|byte| *byte == 0), "padding");
    options
}

/// The reply's body under an option's code, put together if it is split.
pub(crate) fn option(reply: &[u8], code: u8) -> Option<Vec<u8>> {
    let bodies: Vec<_> = options(reply)
        .into_iter()
        .filter(|option| option.0 == code)
        .map(|option| option.1)
        .collect();
    (!bodies.is_empty()).then(|| bodies.concat())
}

/// An address in the fixed part of a reply.
pub(crate) fn address(reply: &[u8], offset: usize) -> Ipv4Addr {
    Ipv4Addr::new(
        reply[offset],
        reply[offset + 1],
        reply[offset + 2],
        reply[offset + 3],
    )
}
