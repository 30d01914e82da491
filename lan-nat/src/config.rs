//! The configuration of a port.

use alloc::format;
use alloc::string::String;
use core::net::Ipv4Addr;

use opte::api::{Ipv4Cidr, OpteError, PortRange};
use opte_headers::MacAddr;
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

/// A guest and what stands for it on the LAN.
///
/// In messages the addresses have the names that `opteadm set-ip-config` knows them by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct IpConfig {
    /// The guest's MAC address.
    pub guest_mac: MacAddr,
    /// The guest's address (`private_ip`).
    pub private_ip: Ipv4Addr,
    /// The address that stands for the guest on the LAN (`public_ip`): one of the LAN's that nobody else has.
    pub public_ip: Ipv4Addr,
    /// The MAC address under which the LAN finds the public address (`public_mac`): [`IpConfig::usual_mac`] or another that nobody
    /// else has.
    pub public_mac: MacAddr,
    /// The ports of the public address that are the guest's (`port_start`, `port_end`).
    pub ports: PortRange,
    /// The LAN's subnet (`vpc_sub4`).
    pub subnet: Ipv4Cidr,
    /// The MAC address of the LAN's gateway (`gw_mac`).
    pub gateway_mac: MacAddr,
    /// The address of the LAN's gateway (`gw_ip`).
    pub gateway_ip: Ipv4Addr,
}

impl IpConfig {
    /// The MAC address of a public address for which none is given: as unique on the LAN as the address itself. That of 10.0.0.99 is
    /// A8:40:25:00:00:63.
    pub const fn usual_mac(public_ip: Ipv4Addr) -> MacAddr {
        let [_, b, c, d] = public_ip.octets();
        MacAddr::new([0xa8, 0x40, 0x25, b, c, d])
    }

    /// The MAC address of a guest for which none is given. Its link has nobody else on it.
    pub const fn usual_guest_mac(private_ip: Ipv4Addr) -> MacAddr {
        let [_, b, c, d] = private_ip.octets();
        MacAddr::new([0xa8, 0x40, 0x25, 0xf0 | b & 0x0f, c, d])
    }

    /// Checks that the addresses are such as stations have, and fit each other.
    ///
    /// # Errors
    /// [`OpteError::InvalidIpCfg`], with what was given and what is possible.
    pub fn validate(&self) -> Result<(), OpteError> {
        let macs = [
            ("guest_mac", self.guest_mac),
            ("public_mac", self.public_mac),
            ("gw_mac", self.gateway_mac),
        ];
        for (what, mac) in macs {
            if mac.is_multicast() || mac == MacAddr::ZERO {
                return Err(bad(format!(
                    "{what} {mac} is no station's: that of one is neither a group's nor zero"
                )));
            }
        }
        if self.public_mac == self.gateway_mac {
            return Err(bad(format!(
                "public_mac and gw_mac are both {}, they must differ",
                self.public_mac
            )));
        }
        let subnet = self.subnet;
        for (what, ip) in [("public_ip", self.public_ip), ("gw_ip", self.gateway_ip)] {
            if !subnet.contains(ip) {
                return Err(bad(format!("{what} {ip} is not in vpc_sub4 {subnet}")));
            }
            if is_of_no_host(subnet, ip) {
                return Err(bad(format!(
                    "{what} {ip} is no host's: it is the first or the last of vpc_sub4 {subnet}"
                )));
            }
        }
        let [private, public, gateway] = [self.private_ip, self.public_ip, self.gateway_ip];
        for ((a, b), ip) in [
            (("private_ip", "public_ip"), (private, public)),
            (("private_ip", "gw_ip"), (private, gateway)),
            (("public_ip", "gw_ip"), (public, gateway)),
        ] {
            if ip.0 == ip.1 {
                return Err(bad(format!(
                    "{a} and {b} are both {}, they must differ",
                    ip.0
                )));
            }
        }
        let special = private.is_unspecified()
            || private.is_multicast()
            || private.is_broadcast()
            || private.is_loopback();
        if special || subnet.contains(private) && is_of_no_host(subnet, private) {
            return Err(bad(format!(
                "private_ip {private} is no host's: any unicast address is possible"
            )));
        }
        Ok(())
    }
}

/// Whether the address stands for the subnet itself or all of it. Those of two addresses or one have neither (RFC 3021).
fn is_of_no_host(subnet: Ipv4Cidr, ip: Ipv4Addr) -> bool {
    subnet.length() < 31 && (ip == subnet.network() || ip == subnet.last())
}

fn bad(reason: String) -> OpteError {
    OpteError::InvalidIpCfg { reason }
}
