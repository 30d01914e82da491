//! Where guests and the boundary are in the physical network.

use core::net::Ipv6Addr;

use opte_headers::{MacAddr, Vni};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

/// A guest as its host knows it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema,
)]
pub struct GuestPhysAddr {
    /// The guest's MAC address.
    pub ether: MacAddr,
    /// The underlay address of the host the guest is on.
    pub ip: Ipv6Addr,
}

/// A guest and its network: what an address of the VPC maps to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema,
)]
pub struct PhysNet {
    /// The guest's MAC address.
    pub ether: MacAddr,
    /// The underlay address of the host the guest is on.
    pub ip: Ipv6Addr,
    /// The VPC's network identifier.
    pub vni: Vni,
}

/// The far end of a tunnel that leads out of the rack.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema,
)]
pub struct TunnelEndpoint {
    /// Its underlay address.
    pub ip: Ipv6Addr,
    /// The network identifier it expects, [`BOUNDARY_SERVICES_VNI`](super::BOUNDARY_SERVICES_VNI) as a rule.
    pub vni: Vni,
}

impl From<PhysNet> for GuestPhysAddr {
    fn from(phys: PhysNet) -> Self {
        Self {
            ether: phys.ether,
            ip: phys.ip,
        }
    }
}
