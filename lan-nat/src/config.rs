//! The configuration of a port.

use alloc::format;
use alloc::string::String;
use core::net::Ipv4Addr;

use opte::api::{Ipv4Cidr, OpteError, PortRange};
use opte_headers::MacAddr;

/// A guest and what stands for it on the LAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpConfig {
    /// The guest's MAC address.
    pub guest_mac: MacAddr,
    /// The guest's address.
    pub private_ip: Ipv4Addr,
    /// The address that stands for the guest on the LAN: one of the LAN's that nobody else has.
    pub public_ip: Ipv4Addr,
    /// The MAC address under which the LAN finds the public address.
    pub public_mac: MacAddr,
    /// The ports of the public address that are the guest's.
    pub ports: PortRange,
    /// The LAN's subnet.
    pub subnet: Ipv4Cidr,
    /// The MAC address of the LAN's gateway.
    pub gateway_mac: MacAddr,
    /// The address of the LAN's gateway.
    pub gateway_ip: Ipv4Addr,
}

impl IpConfig {
    /// Checks that the addresses are such as stations have, and fit each other.
    pub fn validate(&self) -> Result<(), OpteError> {
        let macs = [
            ("guest MAC address", self.guest_mac),
            ("public MAC address", self.public_mac),
            ("gateway MAC address", self.gateway_mac),
        ];
        for (what, mac) in macs {
            if mac.is_multicast() || mac == MacAddr::ZERO {
                return Err(bad(format!("{what} {mac} is no station's")));
            }
        }
        for (what, ip) in [
            ("public address", self.public_ip),
            ("gateway address", self.gateway_ip),
        ] {
            if !self.subnet.contains(ip) {
                return Err(bad(format!(
                    "{what} {ip} is not in the subnet {}",
                    self.subnet
                )));
            }
        }
        let [private, public, gateway] = [self.private_ip, self.public_ip, self.gateway_ip];
        if private == public || private == gateway || public == gateway {
            return Err(bad(format!(
                "guest {private}, public address {public} and gateway {gateway} must differ"
            )));
        }
        if private.is_unspecified()
            || private.is_multicast()
            || private.is_broadcast()
            || private.is_loopback()
        {
            return Err(bad(format!("private address {private} is no host's")));
        }
        Ok(())
    }
}

fn bad(reason: String) -> OpteError {
    OpteError::InvalidIpCfg { reason }
}
